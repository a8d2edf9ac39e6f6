import type { Schema } from '@holdfast/core'

import { type Checker, type Violation, Watch } from '../check/checker.ts'
import { checkersFor } from '../check/checkers.ts'
import { factsOf } from '../check/facts-of.ts'
import type { Observation, RunEnded, Values } from '../check/observation.ts'
import { sameValue } from '../check/same-value.ts'
import { healthy } from '../sim/network.ts'
import type { DevicePlan, Plan } from '../sim/plan.ts'
import { heal } from '../sim/play.ts'
import type { ServerImage } from '../sim/server-disk.ts'
import { onlyApp } from '../gen/app-of-plan.ts'
import { World, type WorldOptions } from '../sim/world.ts'
import { countChances, type FaultKind } from './faults.ts'
import { laneSchema, sites } from './lane-schema.ts'
import { OpenLists } from './open-lists.ts'
import { BrokenPromise, Stage } from './stage.ts'

/**
 * Records that must be there in the end and no others, by collection and id; of each, the fields that are named. The id
 * `?` stands for a record whose id nobody chose.
 */
export type Expected = Readonly<Record<string, Readonly<Record<string, Values>>>>

/** A small story with a known end. */
export interface Scenario {
  readonly name: string
  /** Faults strike from the first moment on, while the server makes its tables and the apps are opened. */
  readonly isFromNothing?: boolean
  /** Scopes by device; each device has a user of its own. */
  readonly devices: readonly (readonly string[])[]
  /** What the server is told to do otherwise. */
  readonly world?: Pick<WorldOptions, 'serverLimits'>
  /** What has happened before; no fault strikes in it. */
  readonly given?: (stage: Stage) => Promise<void>
  /** What happens. Faults strike in it; it ends at rest. */
  readonly act: (stage: Stage) => Promise<void>
  /** On the server, and on each device as far as its user may see it. */
  readonly expected: Expected
}

/** A fault and the chance of it that is used. */
export interface Blow {
  readonly kind: FaultKind
  readonly n: number
}

/** What came of a run. */
export interface ScenarioResult {
  readonly violations: readonly Violation[]
  readonly hasStruck: boolean
  readonly traceHash: string
}

/** What came of a run that nothing struck. */
export interface Untouched {
  readonly violations: readonly Violation[]
  /** How many chances each kind had, in the order in which they were asked for. */
  readonly chances: readonly number[]
}

/** A run of a lane: a world that is led by hand, then healed and audited. */
export interface LaneRun {
  readonly devices: Scenario['devices']
  readonly durability: DevicePlan['durability']
  /** All unless said. */
  readonly checkers?: readonly Checker[]
  /** That of the scenarios unless said. */
  readonly schema?: Schema
  readonly isFromNothing?: boolean
  readonly world?: Scenario['world']
  readonly given?: Scenario['given']
  /** Right before `act`, or at the very beginning of a run from nothing. */
  readonly arm?: (world: World) => void
  readonly act: Scenario['act']
  /** What is not as it should be in the end. */
  readonly problems: (end: RunEnded) => readonly string[]
  readonly observe?: (observation: Observation) => void
}

/** Thrown out of `act`: the run is worth nothing more, and nothing of it is audited. */
export class CalledOff extends Error {}

/** What a run came to. */
export interface LaneResult {
  readonly violations: readonly Violation[]
  readonly isCalledOff: boolean
  readonly traceHash: string
}

/** Plays a scenario, heals, audits and compares. Rules: SIM-40, SIM-41. */
export async function runScenario(
  scenario: Scenario,
  blow?: Blow,
  observe?: (observation: Observation) => void,
): Promise<ScenarioResult> {
  let chances = (): number => 0
  const { violations, traceHash } = await runLane({
    ...scenario,
    durability: blow?.kind.durability ?? 'full',
    arm: (world) => {
      if (blow) chances = blow.kind.arm(world, blow.n)
    },
    problems: (end) => problemsOf(scenario.expected, end),
    observe,
  })
  return { violations, traceHash, hasStruck: blow !== undefined && chances() >= blow.n }
}

/** Plays a scenario that nothing strikes, and counts what could have. Kinds of one durability only. */
export async function runUntouched(scenario: Scenario, kinds: readonly FaultKind[]): Promise<Untouched> {
  let chances: readonly number[] = []
  const { violations } = await runLane({
    ...scenario,
    durability: kinds[0]?.durability ?? 'full',
    arm: (world) => {
      chances = countChances(world, kinds)
    },
    problems: (end) => problemsOf(scenario.expected, end),
  })
  return { violations, chances }
}

/** Leads a world through a run. */
export async function runLane(run: LaneRun): Promise<LaneResult> {
  const { schema = laneSchema } = run
  const watch = new Watch(run.checkers ?? checkersFor(factsOf(schema)))
  const image = run.isFromNothing ? undefined : await preparedServer(schema)
  // That the server's tables are there is no restore.
  let isStarted = image === undefined
  // The world tells of itself while it is being made, when there is no stage yet.
  const listeners: ((observation: Observation) => void)[] = [watch.observe]
  if (run.observe) listeners.push(run.observe)
  let end: RunEnded | undefined
  const lists = new OpenLists((error) => world.onDefect(error))
  const world: World = new World(planOf(run.devices, run.durability), {
    ...run.world,
    app: onlyApp(schema),
    onOpen: schema === laneSchema ? lists.open : undefined,
    scopesOf: () => sites,
    observe: (observation) => {
      if (!isStarted) return
      for (const listen of listeners) listen(observation)
      if (observation.kind === 'end') end = observation
    },
  })
  if (image) world.serverDisk.putBack(image)
  isStarted = true
  const stage = new Stage(world, lists)
  listeners.push(stage.observe)
  const onRejection = (error: unknown): void => world.onDefect(error)
  process.on('unhandledRejection', onRejection)
  const breach = (invariant: string, message: string): void => {
    world.defects.push({ invariant, index: watch.count, atMs: world.scheduler.nowMs, message })
  }
  let isCalledOff = false
  try {
    await lead(world, stage, run)
  } catch (error) {
    isCalledOff = error instanceof CalledOff
    if (error instanceof BrokenPromise) breach(error.invariant, error.message)
    else if (!isCalledOff) world.onDefect(error)
  } finally {
    process.off('unhandledRejection', onRejection)
    await world.close()
  }
  const problems = end ? run.problems(end) : ['the run did not come to its end']
  for (const message of problems) breach('expected-end', message)
  const violations = isCalledOff ? [] : [...watch.violations, ...world.defects]
  return { violations, isCalledOff, traceHash: world.traceHash }
}

async function lead(world: World, stage: Stage, run: LaneRun): Promise<void> {
  for (const [index, scopes] of run.devices.entries()) world.grant(`u${index}`, scopes)
  if (run.isFromNothing) run.arm?.(world)
  await world.server.start()
  for (const device of world.devices) void device.open()
  await stage.rest()
  await run.given?.(stage)
  if (!run.isFromNothing) {
    for (const { disk } of world.devices) disk.sync()
    run.arm?.(world)
  }
  await run.act(stage)
  world.strike = {}
  // What is expected names the records there are: nobody makes one of both sides.
  world.ways = ['mine', 'theirs']
  await heal(world)
}

const prepared = new WeakMap<Schema, Promise<ServerImage>>()

/** The disk of a server that was started once and holds nothing; made once, since most runs begin with it. */
function preparedServer(schema: Schema): Promise<ServerImage> {
  const prepare = async (): Promise<ServerImage> => {
    const world = new World(planOf([], 'full'), { app: onlyApp(schema), observe: () => undefined })
    await world.server.start()
    world.server.kill()
    const image = world.serverDisk.image()
    await world.close()
    return image
  }
  let image = prepared.get(schema)
  if (!image) prepared.set(schema, (image = prepare()))
  return image
}

function planOf(devices: Scenario['devices'], durability: DevicePlan['durability']): Plan {
  return {
    version: 1,
    seed: 1,
    tenants: 1,
    devices: devices.map((_, user) => ({
      user,
      tenant: 0,
      durability,
      clockOffsetMs: 0,
      clockDriftPpm: 0,
    })),
    network: healthy(20),
    storage: { deviceFull: 0, serverFull: 0, slow: 0 },
    steps: [],
    chaosMs: 0,
  }
}

/** What is not as it should be, on the server and on every device as far as its user sees it. */
export function problemsOf(expected: Expected, { server, devices }: RunEnded): readonly string[] {
  const places: readonly Place[] = [
    { name: 'the server', collections: server.collections, grants: null },
    ...devices.map(({ disk, collections, grants }) => ({ name: disk, collections, grants })),
  ]
  return places.flatMap((place) =>
    Object.keys(place.collections).flatMap((collection) =>
      problemsIn(place, collection, {
        wanted: expected[collection] ?? {},
        isSeen: (id) =>
          place.grants?.some((scope) => server.scopes[`${collection}/${id}`]?.includes(scope)) !== false,
      }),
    ),
  )
}

interface Place {
  readonly name: string
  readonly collections: RunEnded['server']['collections']
  /** null: sees everything. */
  readonly grants: readonly string[] | null
}

function problemsIn(
  { name, collections }: Place,
  collection: string,
  { wanted, isSeen }: { readonly wanted: Expected[string]; readonly isSeen: (id: string) => boolean },
): readonly string[] {
  const found: string[] = []
  const left = new Map((collections[collection] ?? []).map((row) => [row.id, row.values]))
  // Records without a chosen id come last, and take what is left.
  for (const [id, values] of Object.entries(wanted)) {
    const actual = id === '?' ? (left.keys().next().value ?? id) : id
    if (!isSeen(actual)) continue
    const row = left.get(actual)
    if (row) found.push(...differences(`${collection}/${id} on ${name}`, row, values))
    else found.push(`${name} has no ${collection}/${id}`)
    left.delete(actual)
  }
  for (const id of left.keys()) found.push(`${name} has ${collection}/${id}, which nobody expects`)
  return found
}

function differences(name: string, row: Values, values: Values): readonly string[] {
  return Object.entries(values).flatMap(([field, value]) =>
    sameValue(row[field], value)
      ? []
      : [`${field} of ${name} is ${JSON.stringify(row[field])}, not ${JSON.stringify(value)}`],
  )
}
