import type { CollectionSchema, Schema } from '@holdfast/core'

import { SeededRandom } from '../seeded-random.ts'
import { healthy } from '../sim/network.ts'
import type { Action, DevicePlan, NetworkFaults, Plan, Step } from '../sim/plan.ts'
import { assumeScopes } from './assumed-scopes.ts'
import { addStep } from './draft.ts'
import { around } from './swarm.ts'
import { type Traits, traitsOf } from './traits.ts'

/** How much goes wrong. `none`: only people being offline. */
export type FaultLevel = 'none' | 'usual' | 'harsh'

/** A team at work with an app. */
export interface UserPlanOptions {
  readonly schema: Schema
  readonly devices: number
  /** Virtual days. */
  readonly days: number
  /** Edits of one person on one day. */
  readonly edits: number
  /** How long people are without a network when they are, ms; 0: nobody is. */
  readonly offlineMs: number
  readonly faults: FaultLevel
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** A day of work. */
const workMs = 8 * hourMs
/** Until then the first of each team puts in what there is to work on, and everybody has it; virtual ms. */
export const openingMs = 180_000
/** Devices of one team. */
const teamSize = 10
/** Rows of each collection that a team has on the first day: so many transactions of so many rows. */
const firstImports = 3
const firstRows = 20
/** Share of the people who are without a network on a day. */
const offlineShare = 0.5
/** Share of what people do that is about one of the records that are on everybody's desk that day. */
const sharedWork = 0.15
/** Such records of a team. */
const themeCount = 8

/**
 * The plan of some days of work with a schema: everybody opens the app now and then for a few edits, half of the people
 * spend a part of the day without a network, and a few records are edited by many. The same seed and options always give
 * the same. Rules: SIM-71.
 */
export function userPlan(seed: number, options: UserPlanOptions): Plan {
  const random = new SeededRandom(seed)
  const { schema, faults } = options
  const tenants = assumeScopes(schema).hasTeams ? Math.ceil(options.devices / teamSize) : 1
  const devices = Array.from({ length: options.devices }, (_, index) =>
    devicePlan(random, { index, tenants, faults }),
  )
  const desk: Desk = { random, steps: [], kinds: kindsOf(schema), options, devices }
  begin(desk, tenants)
  for (let day = 0; day < options.days; day++) addDay(desk, day)
  const steps = desk.steps.toSorted((left, right) => left.atMs - right.atMs)
  return {
    version: 1,
    seed,
    tenants,
    devices,
    network: networks[faults],
    storage: { deviceFull: 0, serverFull: 0, slow: faults === 'none' ? 0 : 0.002 },
    steps,
    chaosMs: Math.max(options.days * dayMs - workMs, (steps.at(-1)?.atMs ?? 0) + openingMs),
  }
}

interface Desk {
  readonly random: SeededRandom
  readonly steps: Step[]
  readonly kinds: readonly WeightedAction[]
  readonly options: UserPlanOptions
  readonly devices: readonly DevicePlan[]
}

/** Every fifth person has a second device. */
function devicePlan(
  random: SeededRandom,
  {
    index,
    tenants,
    faults,
  }: { readonly index: number; readonly tenants: number; readonly faults: FaultLevel },
): DevicePlan {
  const place = Math.floor(index / tenants)
  const owner = place % 6 === 5 ? index - tenants : index
  const widthMs = { none: 0, usual: 120_000, harsh: 3 * hourMs }[faults]
  return {
    user: owner,
    tenant: index % tenants,
    durability: faults === 'harsh' && random.below(2) === 0 ? 'fast' : 'full',
    clockOffsetMs: around(random, widthMs),
    clockDriftPpm: around(random, faults === 'none' ? 0 : 50),
  }
}

const networks: Readonly<Record<FaultLevel, NetworkFaults>> = {
  none: healthy(80),
  usual: {
    delayMs: 80,
    tail: 0.005,
    loseRequest: 0.01,
    loseAnswer: 0.01,
    duplicate: 0.002,
    replay: 0.002,
    cut: 0.003,
    impostor: 0.005,
    expire: 0.002,
  },
  harsh: {
    delayMs: 150,
    tail: 0.03,
    loseRequest: 0.08,
    loseAnswer: 0.08,
    duplicate: 0.05,
    replay: 0.05,
    cut: 0.03,
    impostor: 0.04,
    expire: 0.01,
  },
}

interface WeightedAction {
  readonly weight: number
  readonly draw: (random: SeededRandom) => Action
}

/** What people do with the rows of a collection, and how often; wide collections get more of it. */
function kindsOf(schema: Schema): readonly WeightedAction[] {
  return [...schema.collections.values()].flatMap((collection) => {
    const traits = traitsOf(collection)
    const share = 3 + traits.given.length
    return actionsOn(collection, traits).map(({ weight, draw }) => ({ weight: weight * share, draw }))
  })
}

function actionsOn(collection: CollectionSchema, traits: Traits): readonly WeightedAction[] {
  const { name } = collection
  const fixed = (weight: number, action: Action): WeightedAction => ({ weight, draw: () => action })
  const isHot = (random: SeededRandom): boolean => random.below(6) === 0
  return [
    fixed(10, { kind: 'insert', collection: name }),
    fixed(1, { kind: 'delete', collection: name }),
    fixed(0.5, { kind: 'recreate', collection: name }),
    {
      weight: traits.assigned.length > 0 ? 60 : 0,
      draw: (random) => ({
        kind: 'update',
        collection: name,
        fields: random.below(4) === 0 ? 2 + random.below(2) : 1,
        hot: isHot(random),
      }),
    },
    {
      weight: traits.counters.length > 0 ? 25 : 0,
      draw: (random) => ({ kind: 'count', collection: name, hot: isHot(random) }),
    },
    fixed(traits.sets.length > 0 ? 10 : 0, { kind: 'tag', collection: name }),
    fixed(traits.places.length > 0 ? 1 : 0, { kind: 'move', collection: name }),
    {
      weight: 3,
      draw: (random) => ({ kind: 'group', size: 2 + random.below(3) }),
    },
  ]
}

/** What there is to work on: somebody of each team puts it in, and everybody has it before the first day begins. */
function begin({ steps, random, options }: Desk, tenants: number): void {
  for (let tenant = 0; tenant < tenants; tenant++) {
    for (const [place, collection] of [...options.schema.collections.keys()].entries()) {
      const action: Action = { kind: 'import', collection, count: firstRows, apart: true }
      // Devices are dealt to the teams in turn: the first ones are the first of each.
      for (let step = 0; step < firstImports; step++)
        addStep({ steps, random }, { atMs: 10_000 + place * 3_000 + step * 1_000, device: tenant, action })
    }
  }
}

function addDay(desk: Desk, day: number): void {
  const { random, devices, options } = desk
  const startMs = openingMs + day * dayMs
  const themes = new Map<number, readonly number[]>()
  for (const [device, { tenant }] of devices.entries()) {
    if (!themes.has(tenant))
      themes.set(
        tenant,
        Array.from({ length: themeCount }, () => random.below(2 ** 24)),
      )
    if (options.offlineMs > 0 && random.next() < offlineShare) goOffline(desk, { device, startMs })
    addWork(desk, { device, startMs, themes: themes.get(tenant) ?? [] })
    addFaults(desk, { device, startMs })
  }
  if (options.faults === 'harsh') {
    const action: Action = { kind: 'server-kill', afterCalls: random.below(200), downMs: 30_000 }
    addStep(desk, { atMs: startMs + random.next() * workMs, device: -1, action })
  }
}

interface Shift {
  readonly device: number
  readonly startMs: number
}

/** Somewhere in the day of work, as far as it fits; who is away for longer comes back on a later day. */
function goOffline(desk: Desk, { device, startMs }: Shift): void {
  const { random, options } = desk
  const room = Math.max(hourMs, workMs - options.offlineMs)
  // Half of them walk out of reach, the others switch it off.
  const action: Action = { kind: 'offline', forMs: options.offlineMs, told: random.below(2) === 0 }
  const atMs = startMs + random.next() * room
  addStep(desk, { atMs, device, action })
  // Back again, they look at what the others did.
  addStep(desk, { atMs: atMs + options.offlineMs + 60_000, device, action: { kind: 'look' } })
}

/** People open the app, do a few things and put the device away again. */
function addWork(
  desk: Desk,
  { device, startMs, themes }: Shift & { readonly themes: readonly number[] },
): void {
  const { random, options } = desk
  for (let left = options.edits; left > 0; ) {
    const count = Math.min(left, 3 + random.below(6))
    left -= count
    let atMs = startMs + random.next() * workMs
    for (let step = 0; step < count; step++) {
      const theme = random.next() < sharedWork ? themes[random.below(themes.length)] : undefined
      addStep(desk, { atMs, device, action: drawAction(desk), theme })
      atMs += 5_000 + random.next() * 40_000
    }
    addCare(desk, { device, atMs })
  }
}

function drawAction({ kinds, random }: Desk): Action {
  let roll = random.next() * kinds.reduce((sum, { weight }) => sum + weight, 0)
  const drawn = kinds.find(({ weight }) => {
    roll -= weight
    return roll < 0
  })
  return drawn?.draw(random) ?? { kind: 'look' }
}

/** Before the device goes back into the pocket, its owner decides on what is in front of them, or some of it. */
function addCare(desk: Desk, { device, atMs }: { readonly device: number; readonly atMs: number }): void {
  const { random } = desk
  const settlements = [
    'mine',
    'mine',
    'mine',
    'theirs',
    'theirs',
    'theirs',
    'merge',
    'merge',
    'both',
  ] as const
  const repairs = ['retry', 'discard', 'edit'] as const
  const how = settlements[random.below(settlements.length)] ?? 'mine'
  addStep(desk, { atMs, device, action: { kind: 'settle', how } })
  addStep(desk, { atMs: atMs + 2_000, device, action: { kind: 'look' } })
  if (random.below(2) === 0) {
    const action: Action = { kind: 'repair', how: repairs[random.below(repairs.length)] ?? 'retry' }
    addStep(desk, { atMs: atMs + 4_000, device, action })
  }
}

/** What happens to a device on a day of work, and how often. The app is open again before the device is put away. */
const deviceFaults: readonly {
  readonly usual: number
  readonly harsh: number
  readonly draw: (random: SeededRandom) => Action
}[] = [
  { usual: 0.5, harsh: 1, draw: (random) => ({ kind: 'close', downMs: random.below(60_000) }) },
  {
    usual: 0.1,
    harsh: 1,
    draw: (random) => ({ kind: 'crash', afterCalls: random.below(200), downMs: 20_000 }),
  },
  {
    usual: 0.02,
    harsh: 0.5,
    draw: (random) => ({ kind: 'power-cut', afterCalls: random.below(200), downMs: 45_000 }),
  },
  { usual: 0.3, harsh: 1, draw: (random) => ({ kind: 'clog', forMs: random.below(8_000) }) },
  {
    usual: 0.1,
    harsh: 1,
    draw: (random) => ({ kind: 'one-way', forMs: random.below(90_000), direction: 'down' }),
  },
  { usual: 0.01, harsh: 0.3, draw: (random) => ({ kind: 'disk-full', forMs: random.below(600_000) }) },
  { usual: 0.02, harsh: 0.3, draw: (random) => ({ kind: 'clock-jump', byMs: around(random, hourMs) }) },
]

function addFaults(desk: Desk, { device, startMs }: Shift): void {
  const { random, options, steps } = desk
  if (options.faults === 'none') return
  for (const fault of deviceFaults) {
    if (random.next() >= fault[options.faults]) continue
    // Where people are at work, so that it meets something.
    const own = steps.filter((step) => step.device === device && step.atMs >= startMs)
    const atMs = (own[random.below(own.length)]?.atMs ?? startMs) + random.below(3_000)
    addStep(desk, { atMs, device, action: fault.draw(random) })
  }
}
