import { type Checker, type Violation, Watch } from '../check/checker.ts'
import { checkers as allCheckers } from '../check/checkers.ts'
import type { Observation, RunEnded, Values } from '../check/observation.ts'
import { sameValue } from '../check/same-value.ts'
import { healthy } from '../sim/network.ts'
import type { DevicePlan, Plan } from '../sim/plan.ts'
import { heal } from '../sim/play.ts'
import { World, type WorldOptions } from '../sim/world.ts'
import type { FaultKind } from './faults.ts'
import { laneSchema, sites } from './lane-schema.ts'
import { Stage } from './stage.ts'

/** Records that must be there in the end and no others, by collection and id; of each, the fields that are named. */
export type Expected = Readonly<Record<string, Readonly<Record<string, Values>>>>

/** A small story with a known end. */
export interface Scenario {
  readonly name: string
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
  let stage: Stage | undefined
  let end: RunEnded | undefined
  const world = new World(planOf(scenario, blow?.kind.durability ?? 'full'), {
    ...scenario.world,
    schema: laneSchema,
    scopesOf: () => sites,
    observe: (observation) => {
      options.observe?.(observation)
      watch.observe(observation)
      stage?.observe(observation)
      if (observation.kind === 'end') end = observation
    },
  })
  stage = new Stage(world)
  const onRejection = (error: unknown): void => world.onDefect(error)
  process.on('unhandledRejection', onRejection)
  let hasStruck = (): boolean => false
  try {
    for (const [index, scopes] of scenario.devices.entries()) world.grant(`u${index}`, scopes)
    await world.server.start()
    for (const device of world.devices) void device.open()
    await stage.rest()
    await scenario.given?.(stage)
    if (blow) hasStruck = blow.kind.arm(world, blow.n)
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

function planOf({ devices }: Scenario, durability: DevicePlan['durability']): Plan {
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

function problems(expected: Expected, { server, devices }: RunEnded): readonly string[] {
  const found: string[] = []
  const places = [{ name: 'the server', collections: server.collections, grants: undefined }].concat(
    devices.map(({ disk, collections, grants }) => ({ name: disk, collections, grants })) as never,
  )
  for (const { name, collections, grants } of places as readonly Place[]) {
    for (const [collection, rows] of Object.entries(collections)) {
      const wanted = Object.entries(expected[collection] ?? {}).filter(([id]) =>
        isSeen(server.scopes[`${collection}/${id}`] ?? [], grants),
      )
      const there = new Map(rows.map((row) => [row.id, row.values]))
      for (const [id, values] of wanted) {
        const row = there.get(id)
        if (!row) found.push(`${name} has no ${collection}/${id}`)
        else found.push(...differences(`${collection}/${id} on ${name}`, row, values))
        there.delete(id)
      }
      for (const id of there.keys()) found.push(`${name} has ${collection}/${id}, which nobody expects`)
    }
  }
  return found
}

interface Place {
  readonly name: string
  readonly collections: RunEnded['server']['collections']
  /** undefined: sees everything. */
  readonly grants: readonly string[] | undefined
}

function isSeen(scopes: readonly string[], grants: readonly string[] | undefined): boolean {
  return grants === undefined || scopes.some((scope) => grants.includes(scope))
}

function differences(name: string, row: Values, values: Values): readonly string[] {
  return Object.entries(values).flatMap(([field, value]) =>
    sameValue(row[field], value)
      ? []
      : [`${field} of ${name} is ${JSON.stringify(row[field])}, not ${JSON.stringify(value)}`],
  )
}
