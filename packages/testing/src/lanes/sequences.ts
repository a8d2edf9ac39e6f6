import type { Json, Observation, RunEnded, Values } from '../check/observation.ts'
import { sameValue, show } from '../check/same-value.ts'
import type { Extent, Lane, LaneCase, Observe, Ran } from './lane.ts'
import { one } from './scenarios/given.ts'
import { runLane } from './run-scenario.ts'
import {
  collectionOf,
  countSequences,
  families,
  type Family,
  isRepresentative,
  type Pair,
  sequenceSchema,
  type SequenceClient,
  sequencesOf,
  type SequenceStep,
  takeSequenceStep,
} from './sequence-steps.ts'
import type { Stage } from './stage.ts'

/** How the rows stand and what of them has been offered when the rest is written. */
interface Setting {
  /** Both rows are on the server at the beginning, or none is. */
  readonly areThere: boolean
  /** So many steps were offered, and nothing was heard of it, before the others were written. */
  readonly offered: number
}

/** Sequences that are run as one case: of long ones those that begin alike, so that a case takes minutes and not hours. */
interface Slice extends Setting {
  readonly length: number
  readonly first: readonly SequenceStep[]
}

/** Sequences that are run together. */
interface Together {
  /** The name of the run. */
  readonly run: string
  readonly some: readonly (readonly SequenceStep[])[]
  /** Every other one is not. */
  readonly isServed: boolean
  readonly families: readonly Family[]
}

/** Sequences in one world when none is offered early: enough that the world costs little. */
const togetherMax = 120

/** Mutations in a first push: only so many can be offered while the answer is awaited. */
const pushMax = 50

/** The longest sequences of which some steps are offered early: such worlds hold few of them, and take their time. */
const offeredMax = 4

/** The longest sequences that are written to twins as well: what the author saw, one write after the other, is the same test. */
const twinsMax = 5

/** Sequences of a case are not many more than this. */
const sliceMax = 10_000

/** Of the worlds of most cases one in so many is run for every change of the code, the first among them. */
const partStride = 400

/** Of these, nothing of them offered, all representatives are run for every change of the code. */
const representedLength = 4

/** The longest sequences that `npm run lanes` runs unless it is told otherwise. */
export const usualLength = 5

/**
 * Every sequence of writes to two rows, one of which may point to the other, through the real client and server: once in
 * collections whose outbox is folded and once in their twins that send each mutation. Rules: SIM-43.
 */
export function sequencesUpTo(longest: number): Lane {
  const lengths = Array.from({ length: longest }, (_, index) => index + 1)
  return { name: 'sequences', unit: 'sequences', cases: lengths.flatMap(slicesOf).map(caseOf) }
}

function slicesOf(length: number): readonly Slice[] {
  return [false, true]
    .flatMap((areThere) =>
      Array.from({ length: length <= offeredMax ? length : 1 }, (_, offered) => ({ areThere, offered })),
    )
    .flatMap((setting) => sliced({ ...setting, length, first: [] }))
}

/** Step by step until no slice is too large. */
function sliced(slice: Slice): readonly Slice[] {
  const { length, areThere, first } = slice
  if (countSequences(length, slice) <= sliceMax) return [slice]
  return [...sequencesOf(first.length + 1, { areThere, first })].flatMap((steps) =>
    sliced({ ...slice, first: steps }),
  )
}

function caseOf(slice: Slice): LaneCase {
  const { length, areThere, offered, first } = slice
  const group = `${length} steps, ${areThere ? 'both rows there' : 'from nothing'}, ${offered} offered`
  return {
    name: first.length === 0 ? group : `${group}, ${first.map(textOf).join(', ')} first`,
    group,
    least: countSequences(length, slice),
    runs: (extent: Extent) => everyWorld(slice, extent),
    replay: async (run: string, observe: Observe) => {
      for (const extent of ['all', 'part'] as const)
        for (const together of worldsOf(slice, extent))
          if (together.run === run) return (await playSequences(together, slice, observe)).violations
      throw new Error(`there is no run ${run}`)
    },
  }
}

async function* everyWorld(slice: Slice, extent: Extent): AsyncGenerator<Ran, void, void> {
  for (const together of worldsOf(slice, extent)) {
    const { run, some } = together
    const { violations } = await playSequences(together, slice)
    const [violation] = violations
    yield { worth: some.length, failure: violation ? { run, violation } : null }
  }
}

/** What is run of a slice: everything, or a part of it. */
function* worldsOf(slice: Slice, extent: Extent): Generator<Together, void, void> {
  const isRepresented = extent === 'part' && slice.length === representedLength && slice.offered === 0
  const size = sizeOfWorld(slice)
  let some: (readonly SequenceStep[])[] = []
  let count = 0
  const next = (): Together => ({
    run: `${isRepresented ? 'representatives ' : ''}${count}`,
    some,
    isServed: count % 2 === 0,
    // That each is as its author saw it is enough for these.
    families: isRepresented || slice.length > twinsMax ? ['folded'] : families,
  })
  const isRun = (): boolean => extent === 'all' || isRepresented || count % partStride === 0
  for (const steps of sequencesOf(slice.length, slice)) {
    if (isRepresented && !isRepresentative(steps)) continue
    some.push(steps)
    if (some.length < size) continue
    if (isRun()) yield next()
    count += 1
    some = []
  }
  if (some.length > 0 && isRun()) yield next()
}

function sizeOfWorld({ offered, length }: Slice): number {
  if (length > twinsMax) return togetherMax * families.length
  return offered === 0 ? togetherMax : Math.max(1, Math.floor(pushMax / (families.length * offered)))
}

function textOf({ row, op }: SequenceStep): string {
  return `${row} ${op}`
}

type Rows = ReadonlyMap<string, Values>

/** Writes each sequence to rows of its own, then compares author, server and twins. `isServed`: what was offered arrived. */
export function playSequences(
  together: Pick<Together, 'some' | 'isServed' | 'families'>,
  { areThere, offered }: Setting,
  observe: Observe = () => undefined,
): ReturnType<typeof runLane> {
  const { some, isServed } = together
  const pairs = some.flatMap((steps, index) =>
    together.families.map((family) => ({ steps, pair: pairOf(index, family) })),
  )
  const refused: string[] = []
  let seen: Rows = new Map()
  const write = (stage: Stage, from: number, to?: number): Promise<void> =>
    stage.on(0, 'write', async (db) => {
      // The stage gives the client of whatever schema the run is of.
      const client = db as unknown as SequenceClient
      for (const { steps, pair } of pairs)
        for (const step of steps.slice(from, to)) await takeSequenceStep(client, pair, step)
    })
  return runLane({
    devices: one,
    durability: 'full',
    schema: sequenceSchema,
    observe: (o) => {
      observe(o)
      refused.push(...refusals(o))
    },
    given: async (stage) => {
      if (areThere) insertAll(stage, pairs)
      await stage.rest()
      stage.offline(0)
    },
    act: async (stage) => {
      const { world } = stage
      if (offered > 0) {
        await write(stage, 0, offered)
        world.strike = isServed
          ? { answer: ({ route }) => (route === 'push' ? 'lose' : undefined) }
          : { request: ({ route }) => (route === 'push' ? 'lose' : undefined) }
        world.devices[0]?.link.heal()
        world.devices[0]?.client?.sync.setOnline(true)
        await stage.pass(2_000)
        world.strike = {}
      }
      await write(stage, offered)
      seen = rowsOn(stage)
      await stage.online(0)
    },
    problems: (end) => [...refused, ...differences(pairs, seen, end)],
  })
}

function pairOf(index: number, family: Family): Pair {
  const id = (which: number): string =>
    `00000000-0000-7000-8000-${family === 'raw' ? 'f' : 'e'}${which}${String(index).padStart(10, '0')}`
  return { family, parent: id(1), child: id(2) }
}

/** Another program fills the tables of the server, and the device pulls: to write them there took most of the time. */
function insertAll({ world }: Stage, pairs: readonly { readonly pair: Pair }[]): void {
  for (const family of new Set(pairs.map(({ pair }) => pair.family))) {
    const own = pairs.map(({ pair }) => pair).filter((pair) => pair.family === family)
    const values = `'t0a', 5, '["x"]' FROM json_each(?) ORDER BY key`
    world.serverDisk.write(
      `INSERT INTO ${collectionOf(family, 'parent')} (id, batch, stock, tags) SELECT value, ${values}`,
      JSON.stringify(own.map(({ parent }) => parent)),
    )
    world.serverDisk.write(
      `INSERT INTO ${collectionOf(family, 'child')} (parent, id, batch, stock, tags)
       SELECT value ->> 0, value ->> 1, ${values}`,
      JSON.stringify(own.map(({ parent, child }) => [parent, child])),
    )
  }
}

/** One person writes, and nobody else: nothing can be refused, and nothing is in dispute. */
function refusals(o: Observation): readonly string[] {
  if (o.kind !== 'outcome' || o.status === 'applied') return []
  return [`the server says ${o.status} ${o.code ?? ''} to number ${o.seq}, which nobody else had to do with`]
}

function rowsOn({ world }: Stage): Rows {
  const disk = world.devices[0]?.disk
  const rows = new Map<string, Values>()
  for (const family of families) {
    for (const row of ['parent', 'child'] as const) {
      for (const found of disk?.read(`SELECT * FROM ${collectionOf(family, row)}`) ?? []) {
        const { id, name, note, stock, tags } = found
        const parent = found['parent'] ?? null
        // What these columns hold is text, numbers and null; a set is a list as JSON.
        const members = JSON.parse(String(tags)) as Json
        rows.set(String(id), { name, note, stock, tags: members, parent } as Values)
      }
    }
  }
  return rows
}

/** Where the server has something else than the author saw, or a folded pair ended otherwise than its twin. */
function differences(
  pairs: readonly { readonly pair: Pair; readonly steps: readonly SequenceStep[] }[],
  seen: Rows,
  { server }: RunEnded,
): readonly string[] {
  const there: Rows = new Map(
    Object.values(server.collections).flatMap((rows) => rows.map(({ id, values }) => [id, values] as const)),
  )
  return pairs.flatMap(({ pair, steps }) => {
    const what = steps.map(textOf).join(', ')
    return (['parent', 'child'] as const).flatMap((row) => {
      const id = pair[row]
      const twin = pairOf(Number(id.slice(-10)), 'folded')
      const problem =
        difference(seen.get(id), there.get(id)) ??
        difference(plain(there.get(twin[row])), plain(there.get(id)))
      return problem === undefined ? [] : [`${pair.family} ${row} after ${what}: ${problem}`]
    })
  })
}

/** What two twins have in common: whether the child points to the parent, not where that is. */
function plain(values: Values | undefined): Values | undefined {
  return values && { ...values, parent: values['parent'] == null ? null : 'its own' }
}

function difference(wanted: Values | undefined, found: Values | undefined): string | undefined {
  if (!wanted || !found) return wanted === found ? undefined : `${show(wanted)} became ${show(found)}`
  for (const [name, value] of Object.entries(wanted)) {
    const other = found[name] ?? null
    if (!sameValue(value, other)) return `${name} is ${show(other)}, not ${show(value)}`
  }
  return undefined
}
