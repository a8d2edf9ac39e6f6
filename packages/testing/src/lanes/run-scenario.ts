import { type Checker, type Violation, Watch } from '../check/checker.ts'
import { checkers as allCheckers } from '../check/checkers.ts'
import type { Observation, RunEnded, Values } from '../check/observation.ts'
import { sameValue } from '../check/same-value.ts'
import { healthy } from '../sim/network.ts'
import type { DevicePlan, Plan } from '../sim/plan.ts'
import { heal } from '../sim/play.ts'
import type { ServerImage } from '../sim/server-disk.ts'
import { World, type WorldOptions } from '../sim/world.ts'
import type { FaultKind } from './faults.ts'
import { laneSchema, sites } from './lane-schema.ts'
import { Stage } from './stage.ts'

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

/** Plays a scenario, heals, audits and compares. Rules: SIM-40, SIM-41. */
export async function runScenario(
  scenario: Scenario,
  blow: Blow | undefined,
  options: {
    readonly checkers?: readonly Checker[]
    readonly observe?: (observation: Observation) => void
  } = {},
): Promise<ScenarioResult> {
  const watch = new Watch(options.checkers ?? allCheckers)
  const image = scenario.isFromNothing ? undefined : await preparedServer()
  // That the server's tables are there is no restore.
  let isStarted = image === undefined
  let stage: Stage | undefined
  let end: RunEnded | undefined
  const world = new World(planOf(scenario.devices, blow?.kind.durability ?? 'full'), {
    ...scenario.world,
    schema: laneSchema,
    scopesOf: () => sites,
    observe: (observation) => {
      if (!isStarted) return
      options.observe?.(observation)
      watch.observe(observation)
      stage?.observe(observation)
      if (observation.kind === 'end') end = observation
    },
  })
  if (image) world.serverDisk.putBack(image)
  isStarted = true
  stage = new Stage(world)
  const onRejection = (error: unknown): void => world.onDefect(error)
  process.on('unhandledRejection', onRejection)
  let hasStruck = (): boolean => false
  try {
    for (const [index, scopes] of scenario.devices.entries()) world.grant(`u${index}`, scopes)
    if (blow && scenario.isFromNothing) hasStruck = blow.kind.arm(world, blow.n)
    await world.server.start()
    for (const device of world.devices) void device.open()
    await stage.rest()
    await scenario.given?.(stage)
    if (!scenario.isFromNothing) for (const { disk } of world.devices) disk.sync()
    if (blow && !scenario.isFromNothing) hasStruck = blow.kind.arm(world, blow.n)
    await scenario.act(stage)
    world.strike = {}
    await heal(world)
  } catch (error) {
    world.onDefect(error)
  } finally {
    process.off('unhandledRejection', onRejection)
    world.close()
  }
  const unexpected =
    end === undefined ? ['the run did not come to its end'] : problems(scenario.expected, end)
  for (const message of unexpected) {
    world.defects.push({
      invariant: 'expected-end',
      index: watch.count,
      atMs: world.scheduler.nowMs,
      message,
    })
  }
  return {
    violations: [...watch.violations, ...world.defects],
    hasStruck: hasStruck(),
    traceHash: world.traceHash,
  }
}

let prepared: Promise<ServerImage> | undefined

/** The disk of a server that was started once and holds nothing; made once, since most runs begin with it. */
function preparedServer(): Promise<ServerImage> {
  const prepare = async (): Promise<ServerImage> => {
    const world = new World(planOf([], 'full'), { schema: laneSchema, observe: () => undefined })
    await world.server.start()
    world.server.kill()
    const image = world.serverDisk.image()
    world.close()
    return image
  }
  prepared ??= prepare()
  return prepared
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
function problems(expected: Expected, { server, devices }: RunEnded): readonly string[] {
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
