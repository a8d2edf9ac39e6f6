import type { Fate } from '../sim/disk-ports.ts'
import type { SimDevice } from '../sim/sim-device.ts'
import { needsRoom, type StatementKind, statementKind } from '../sim/statement-kind.ts'
import type { AnswerFate, Leg, RequestFate, Strike } from '../sim/strike.ts'
import type { World } from '../sim/world.ts'

/** A fault that strikes once, at the nth chance it has. */
export interface FaultKind {
  readonly name: string
  /** What apps were promised in such runs. */
  readonly durability: 'full' | 'fast'
  /** Puts it into a world, where it strikes at its nth chance; the answer says how many chances it has had so far. */
  arm(world: World, n: number): () => number
  /** What it does when `isIt`, asked at each chance, says so. */
  strike(world: World, isIt: Turn): Strike
}

/** How long whoever was killed stays down, virtual ms. */
const downMs = 2_000

/** Asked at each chance, and says whether this is the one. */
type Turn = () => boolean

function faultKind(
  name: string,
  strike: (world: World, isIt: Turn) => Strike,
  durability: FaultKind['durability'] = 'full',
): FaultKind {
  return {
    name,
    durability,
    strike,
    arm: (world, n) => {
      let count = 0
      world.strike = strike(world, () => ++count === n)
      return () => count
    },
  }
}

/** Counts in a world that nothing strikes what chances each of these kinds has; gives them in the order of the kinds. */
export function countChances(world: World, kinds: readonly FaultKind[]): readonly number[] {
  const counts = kinds.map(() => 0)
  const strikes = kinds.map((kind, index) =>
    kind.strike(world, () => {
      counts[index] = (counts[index] ?? 0) + 1
      return false
    }),
  )
  world.strike = {
    device: (device, sql) => {
      strikes.forEach((each) => each.device?.(device, sql))
      return undefined
    },
    server: (sql) => {
      strikes.forEach((each) => each.server?.(sql))
      return undefined
    },
    request: (leg) => {
      strikes.forEach((each) => each.request?.(leg))
      return undefined
    },
    answer: (leg) => {
      strikes.forEach((each) => each.answer?.(leg))
      return undefined
    },
  }
  return counts
}

/**
 * The process, or the whole device, ends before something that outlives it: a commit, a write outside any transaction, a
 * request. Between two of these nothing changes but its own memory, so that death before each of them is death at every
 * call. `powerRoll` null: the power stays.
 */
function death(world: World, isIt: Turn, powerRoll: number | null): Strike {
  const die = (device: SimDevice): 'kill' => {
    device.crash({ afterCalls: 0, downMs, powerRoll })
    world.scheduler.after(downMs + 1, () => void device.open())
    return 'kill'
  }
  return {
    device: (device, sql) => (outlives(sql, device.disk) && isIt() ? die(device) : undefined),
    request: ({ sender }) => {
      if (!isIt()) return undefined
      const device = world.devices.find(({ name }) => name === sender.name)
      if (device) die(device)
      return 'lose'
    },
  }
}

const kinds = new Map<string, StatementKind>()

function kindOf(sql: string): StatementKind {
  let kind = kinds.get(sql)
  if (kind === undefined) kinds.set(sql, (kind = statementKind(sql)))
  return kind
}

/** Whether a statement changes the disk for good. */
function outlives(sql: string, disk: { readonly isInTransaction: boolean }): boolean {
  const kind = kindOf(sql)
  return kind === 'commit' || (needsRoom(kind) && !disk.isInTransaction)
}

function isFullFor(sql: string, isIt: Turn): Fate | undefined {
  return needsRoom(kindOf(sql)) && isIt() ? 'full' : undefined
}

function onRequest(name: string, fate: () => RequestFate): FaultKind {
  return faultKind(name, (_, isIt) => ({ request: () => (isIt() ? fate() : undefined) }))
}

function onAnswer(name: string, fate: AnswerFate): FaultKind {
  return faultKind(name, (_, isIt) => ({ answer: () => (isIt() ? fate : undefined) }))
}

const isOrdinary = ({ route }: Leg): boolean => route !== 'stream'

/** Everything that goes wrong once. Rules: SIM-40. */
export const faultKinds: readonly FaultKind[] = [
  faultKind('device killed', (world, isIt) => death(world, isIt, null)),
  faultKind('device disk full', (_, isIt) => ({ device: (_device, sql) => isFullFor(sql, isIt) })),
  faultKind('power cut, nothing spared', (world, isIt) => death(world, isIt, 0), 'fast'),
  faultKind('power cut, half spared', (world, isIt) => death(world, isIt, 0.5), 'fast'),
  faultKind('server killed', (world, isIt) => ({
    server: (sql) => {
      if (!outlives(sql, world.serverDisk) || !isIt()) return undefined
      world.server.crash(0, downMs)
      return 'kill'
    },
    answer: () => (isIt() ? 'kill' : undefined),
  })),
  faultKind('server disk full', (_, isIt) => ({ server: (sql) => isFullFor(sql, isIt) })),
  onRequest('request lost', () => 'lose'),
  onRequest('request reset', () => 'reset'),
  faultKind('request doubled', (_, isIt) => ({
    request: (leg) => (isOrdinary(leg) && isIt() ? 'double' : undefined),
  })),
  onRequest('token refused', () => new Response('{"error":{"code":"AUTH_REQUIRED"}}', { status: 401 })),
  onRequest('server busy', () => new Response('upstream connect error', { status: 503 })),
  onAnswer('answer lost', 'lose'),
  onAnswer('answer reset', 'reset'),
  onAnswer('answer broken off', 'cut'),
  onAnswer('answer ends early', 'short'),
  onAnswer('answer falls silent', 'stall'),
  onAnswer('answer of which only the head comes', 'head'),
]
