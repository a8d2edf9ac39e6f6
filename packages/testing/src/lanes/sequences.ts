import type { Json, Observation, RunEnded, Values } from '../check/observation.ts'
import { sameValue, show } from '../check/same-value.ts'
import type { Extent, Found, Lane, LaneCase, Observe } from './lane.ts'
import { one } from './scenarios/given.ts'
import { runLane } from './run-scenario.ts'
import {
  collectionOf,
  families,
  type Family,
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
  readonly length: number
  /** Both rows are on the server at the beginning, or none is. */
  readonly areThere: boolean
  /** So many steps were offered, and nothing was heard of it, before the others were written. */
  readonly offered: number
}

/** Sequences in one world when none is offered early: enough that the world costs little. */
const togetherMax = 120

/** Mutations in a first push: only so many can be offered while the answer is awaited. */
const pushMax = 50

/** Lengths of every sequence that is tried; `part` leaves out the longest. */
const lengths = [1, 2, 3, 4] as const

const settings: readonly Setting[] = lengths.flatMap((length) =>
  [false, true]
    .flatMap((areThere) =>
      // What is offered early matters from one step on, and is short enough to be tried up to three.
      Array.from({ length: Math.min(length, 3) }, (_, offered) => ({ length, areThere, offered })),
    )
    .filter(({ offered }) => offered === 0 || length <= 3),
)

/**
 * Every sequence of writes to two rows, one of which may point to the other, through the real client and server: once in
 * collections whose outbox is folded and once in their twins that send each mutation. Rules: SIM-43.
 */
export const sequences: Lane = { name: 'sequences', cases: settings.map(caseOf) }

function caseOf(setting: Setting): LaneCase {
  const { length, areThere, offered } = setting
  const all = sequencesOf(length, areThere)
  const size = offered === 0 ? togetherMax : Math.max(1, Math.floor(pushMax / (2 * offered)))
  const worlds = Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  )
  const name = `${length} steps, ${areThere ? 'both rows there' : 'from nothing'}, ${offered} offered`
  return {
    name,
    group: name,
    leastRuns: worlds.length,
    runs: (extent: Extent) => everyWorld(extent === 'all' ? worlds : worlds.filter(isOfPart), setting),
    replay: async (run: string, observe: Observe) => {
      const index = Number(run)
      const { violations } = await playSequences(worlds[index] ?? [], settingOf(setting, index), observe)
      return violations
    },
  }
}

/** Of each case the first world, and of the others one here and there. */
function isOfPart(_: unknown, index: number): boolean {
  return index % 48 === 0
}

async function* everyWorld(
  worlds: readonly (readonly (readonly SequenceStep[])[])[],
  setting: Setting,
): AsyncGenerator<Found, void, void> {
  for (const [index, some] of worlds.entries()) {
    const { violations } = await playSequences(some, settingOf(setting, index))
    const [violation] = violations
    yield violation ? { run: String(index), violation } : null
  }
}

/** What is offered early arrives in every other world, and is lost on its way in the others. */
function settingOf(setting: Setting, index: number): Setting & { readonly isServed: boolean } {
  return { ...setting, isServed: index % 2 === 0 }
}

type Rows = ReadonlyMap<string, Values>

/** Writes each sequence to rows of its own, then compares author, server and twins. `isServed`: what was offered arrived. */
export function playSequences(
  some: readonly (readonly SequenceStep[])[],
  { areThere, offered, isServed }: Omit<Setting, 'length'> & { readonly isServed: boolean },
  observe: Observe = () => undefined,
): ReturnType<typeof runLane> {
  const pairs = some.flatMap((steps, index) =>
    families.map((family) => ({ steps, pair: pairOf(index, family) })),
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
      if (areThere) await stage.on(0, 'insert', (db) => insertAll(db as unknown as SequenceClient, pairs))
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

async function insertAll(db: SequenceClient, pairs: readonly { readonly pair: Pair }[]): Promise<void> {
  for (const { family, parent, child } of pairs.map(({ pair }) => pair)) {
    const values = { batch: 't0a', stock: 5, tags: ['x'] }
    await db.collection(collectionOf(family, 'parent')).insert({ id: parent, ...values })
    await db.collection(collectionOf(family, 'child')).insert({ id: child, ...values, parent })
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
    const what = steps.map(({ row, op }) => `${row} ${op}`).join(', ')
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
