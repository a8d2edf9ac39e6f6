import type { MergeRuleName } from '@holdfast/core'

import type { SeededRandom } from '../seeded-random.ts'
import { healthy } from '../sim/network.ts'
import type { Action, DevicePlan, NetworkFaults, StorageFaults } from '../sim/plan.ts'
import type { DrawnAction, UserAction } from './person.ts'

/** Faults that come as steps, and how often: strikes for each stretch of work of a device. */
export type FaultKind =
  | Exclude<
      Action['kind'],
      UserAction['kind'] | 'offline' | 'backup' | 'server-backup' | 'operate' | 'app-update' | 'server-update'
    >
  /** A window without a network that nobody tells the device of. */
  | 'outage'

/** How people work in a run. */
export type Tempo =
  /** Mostly without a network; then everybody comes back, one after the other. */
  | 'field'
  /** Bursts with a network, several people at a time. */
  | 'office'
  /** One thing at a time, each synced before the next. */
  | 'interactive'

/** What a seed is about: which faults are on and how strong, who takes part, and what they like to do. */
export interface Swarm {
  readonly isControl: boolean
  readonly tempo: Tempo
  readonly tenants: number
  readonly devices: readonly DevicePlan[]
  readonly network: NetworkFaults
  readonly storage: StorageFaults
  readonly faults: Readonly<Record<FaultKind, number>>
  /** How much people like each action; never all zero. */
  readonly weights: Readonly<Record<DrawnAction['kind'], number>>
  /** Chance that something is done to a record that somebody else is at, too. */
  readonly contention: number
  /** Mean of the pauses between two stretches of work, ms. */
  readonly pauseMs: number
  /** Whether some users see a part of their tenant only. */
  readonly isPartial: boolean
  /** Whether everything dies at the end, at work, and comes back once all faults are over. */
  readonly endsInBlackout: boolean
  /** The rule of the fields that are edited most; undefined: all alike. */
  readonly favourite: MergeRuleName | undefined
  /** Whether the app has one class of priority. */
  readonly isEven: boolean
}

/** What a swarm is drawn for. */
export interface SwarmOptions {
  /** As many devices; 1 to 12 unless said. */
  readonly devices?: number
  /** Each fault is on in as many seeds as if three were laid over one another: what needs several of them comes up sooner. */
  readonly dense?: boolean
}

/** How much of the work each action is, before a seed has its own taste. */
const usualWeights: Swarm['weights'] = {
  insert: 7,
  import: 1,
  update: 34,
  adopt: 2,
  count: 16,
  tag: 8,
  delete: 4,
  recreate: 2,
  move: 4,
  group: 5,
  pair: 5,
  'claim-code': 4,
  'swap-codes': 2,
  settle: 6,
  repair: 5,
  'restore-value': 1,
  look: 5,
  sync: 1,
}

/** How often a fault that is on may strike in one stretch of work, and in which share of the seeds it is on. */
const usualFaults: Readonly<Record<FaultKind, { readonly share: number; readonly most: number }>> = {
  outage: { share: 0.3, most: 0.5 },
  'one-way': { share: 0.25, most: 0.3 },
  clog: { share: 0.25, most: 0.4 },
  crash: { share: 0.4, most: 0.6 },
  'power-cut': { share: 0.3, most: 0.4 },
  suspend: { share: 0.25, most: 0.3 },
  close: { share: 0.25, most: 0.3 },
  'clock-jump': { share: 0.3, most: 0.4 },
  'disk-full': { share: 0.3, most: 0.8 },
  'server-kill': { share: 0.3, most: 0.4 },
  'server-full': { share: 0.15, most: 0.2 },
  collect: { share: 0.25, most: 0.2 },
  foreign: { share: 0.3, most: 1 },
  grant: { share: 0.35, most: 0.6 },
  clone: { share: 0.2, most: 0.15 },
  spy: { share: 0.2, most: 0.5 },
  'put-back': { share: 0.12, most: 0.3 },
  'server-restore': { share: 0.12, most: 0.25 },
}

const favourites: readonly (MergeRuleName | undefined)[] = [
  undefined,
  undefined,
  undefined,
  'ask',
  'ask',
  'latest',
  'latest',
  'max',
  'min',
  'paragraphs',
  'transitions',
  'custom',
]

/** What a seed is about. Rules: SIM-25. */
export function drawSwarm(random: SeededRandom, options: SwarmOptions = {}): Swarm {
  const isControl = random.below(10) === 0
  const deviceCount = options.devices ?? drawDeviceCount(random)
  const tenants = Math.min(deviceCount, random.below(3) === 0 ? 2 + random.below(3) : 1)
  const dice = random.next()
  return {
    isControl,
    tempo: dice < 0.1 ? 'interactive' : dice < 0.35 ? 'office' : 'field',
    tenants,
    devices: drawDevices(random, { deviceCount, tenants, isRight: isControl || random.below(3) === 0 }),
    network: isControl ? healthy(drawDelayMs(random)) : drawNetwork(random),
    storage: isControl ? { deviceFull: 0, serverFull: 0, slow: 0 } : drawStorage(random),
    faults: drawFaults(random, { isControl, layers: options.dense ? 3 : 1 }),
    weights: drawWeights(random),
    contention: random.below(4) === 0 ? 0 : 0.2 + random.next() * 0.6,
    pauseMs: drawPauseMs(random),
    isPartial: !isControl && random.below(4) === 0,
    isEven: random.below(3) > 0,
    endsInBlackout: !isControl && random.below(3) === 0,
    favourite: favourites[random.below(favourites.length)],
  }
}

/** Seconds in some seeds; else long enough that phones go back into pockets: 20 minutes to three days. */
function drawPauseMs(random: SeededRandom): number {
  const roll = random.next()
  return random.below(7) === 0 ? 5_000 + Math.round(roll * 30_000) : Math.round(1_200_000 * 200 ** roll)
}

function drawDeviceCount(random: SeededRandom): number {
  const dice = random.next()
  if (dice < 0.06) return 1
  if (dice < 0.8) return 2 + random.below(4)
  return 6 + random.below(7)
}

interface Crew {
  readonly deviceCount: number
  readonly tenants: number
  /** Whether all clocks are. */
  readonly isRight: boolean
}

/** Devices of the same user and of different ones; a user belongs to one tenant. */
function drawDevices(random: SeededRandom, { deviceCount, tenants, isRight }: Crew): readonly DevicePlan[] {
  const usersByTenant: number[][] = Array.from({ length: tenants }, () => [])
  let userCount = 0
  return Array.from({ length: deviceCount }, (_, index) => {
    const tenant = index < tenants ? index : random.below(tenants)
    const users = usersByTenant[tenant] ?? []
    const known = random.below(3) === 0 ? users[random.below(users.length)] : undefined
    const user = known ?? userCount++
    if (known === undefined) users.push(user)
    return {
      user,
      tenant,
      durability: random.next() < 0.6 ? 'full' : 'fast',
      isBrowser: random.below(2) === 0,
      ...drawClock(random, isRight),
    }
  })
}

const yearMs = 31_557_600_000

function drawClock(
  random: SeededRandom,
  isRight: boolean,
): Pick<DevicePlan, 'clockOffsetMs' | 'clockDriftPpm'> {
  const dice = random.next()
  const widthMs = isRight || dice < 0.3 ? 0 : dice < 0.95 ? 600_000 : 10 * yearMs
  const widthPpm = isRight || random.below(2) === 0 ? 0 : 500
  return { clockOffsetMs: around(random, widthMs), clockDriftPpm: around(random, widthPpm) }
}

/** A whole number within `width` of zero. */
export function around(random: SeededRandom, width: number): number {
  // Adding zero turns -0, which JSON cannot carry, into 0.
  return Math.round((random.next() * 2 - 1) * width) + 0
}

function drawDelayMs(random: SeededRandom): number {
  return 20 + random.below(100)
}

function drawNetwork(random: SeededRandom): NetworkFaults {
  const chance = (share: number, most: number): number => {
    const roll = random.next()
    return random.next() < share ? roundChance(roll * most) : 0
  }
  return {
    delayMs: drawDelayMs(random),
    tail: chance(0.3, 0.05),
    loseRequest: chance(0.4, 0.15),
    loseAnswer: chance(0.4, 0.15),
    duplicate: chance(0.35, 0.5),
    replay: chance(0.3, 0.2),
    cut: chance(0.3, 0.1),
    impostor: chance(0.25, 0.1),
    expire: chance(0.25, 0.05),
  }
}

function drawStorage(random: SeededRandom): StorageFaults {
  const chance = (share: number, most: number): number =>
    random.next() < share ? roundChance(random.next() * most) : 0
  return { deviceFull: chance(0.2, 0.004), serverFull: chance(0.15, 0.003), slow: chance(0.2, 0.02) }
}

/** Short enough to be read in a plan. */
function roundChance(chance: number): number {
  return Math.round(chance * 10_000) / 10_000
}

interface Density {
  readonly isControl: boolean
  readonly layers: number
}

function drawFaults(random: SeededRandom, { isControl, layers }: Density): Swarm['faults'] {
  const rates = Object.entries(usualFaults).map(([kind, { share, most }]): [string, number] => {
    const isOn = random.next() < 1 - (1 - share) ** layers
    const rate = roundChance((0.1 + 0.9 * random.next()) * most)
    return [kind, isOn && !isControl ? rate : 0]
  })
  // Every kind is in the table above.
  return Object.fromEntries(rates) as Record<FaultKind, number>
}

/** Some like one thing more than others do, and some never do another. */
function drawWeights(random: SeededRandom): Swarm['weights'] {
  const tastes = [0, 0.3, 1, 1, 1, 1, 3]
  const weights = Object.entries(usualWeights).map(([kind, weight]): [string, number] => [
    kind,
    weight * (tastes[random.below(tastes.length)] ?? 1),
  ])
  // Every action is in the table above. Records must come from somewhere.
  return {
    ...(Object.fromEntries(weights) as Record<DrawnAction['kind'], number>),
    insert: usualWeights.insert,
  }
}
