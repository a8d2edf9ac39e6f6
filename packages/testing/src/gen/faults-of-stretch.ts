import { assertNever } from '@holdfast/core'

import type { SeededRandom } from '../seeded-random.ts'
import type { Action } from '../sim/plan.ts'
import { addStep, type Draft, type Stretch } from './draft.ts'
import { around, type FaultKind } from './swarm.ts'

/** Adds what goes wrong around a stretch of work, as often as the swarm says: mostly while something is under way. */
export function addFaults(draft: Draft, stretch: Stretch): void {
  const { random, swarm } = draft
  for (const [kind, rate] of Object.entries(swarm.faults)) {
    if (rate === 0) continue
    for (let chance = rate; random.next() < chance; chance -= 1) {
      // The keys of the rates are the kinds of faults.
      addFault(draft, stretch, kind as FaultKind)
    }
  }
}

/** What happens to everybody rather than to one device. */
const atServer: ReadonlySet<FaultKind> = new Set([
  'server-kill',
  'server-full',
  'server-restore',
  'collect',
  'foreign',
  'grant',
])

function addFault(draft: Draft, stretch: Stretch, kind: FaultKind): void {
  const { random } = draft
  const device = atServer.has(kind) ? -1 : stretch.device
  // Requests are under way right after the device came online; writes, from the start.
  const isSyncing = random.next() < 0.6
  const atMs = isSyncing
    ? stretch.onlineMs + random.next() * 1_500
    : stretch.startMs + random.next() * (stretch.endMs - stretch.startMs)
  addStep(draft, { atMs, device, action: faultOf(draft, kind) })
  // What is put back was kept before, and much may have happened since.
  const earlierMs = earlierThan(draft, stretch)
  if (kind === 'put-back') addStep(draft, { atMs: earlierMs, device, action: { kind: 'backup' } })
  if (kind === 'server-restore')
    addStep(draft, { atMs: earlierMs, device, action: { kind: 'server-backup' } })
  if (kind === 'clone') draft.deviceCount += 1
}

/** A moment in one of the last stretches before this one, of the same device if it had one. */
function earlierThan({ random, stretches }: Draft, { device, startMs }: Stretch): number {
  const earlier = stretches.filter((stretch) => stretch.endMs < startMs)
  const own = earlier.filter((stretch) => stretch.device === device)
  const choice = own.length > 0 ? own : earlier
  const recent = choice.slice(-3)
  const { onlineMs, endMs } = recent[random.below(recent.length)] ?? { onlineMs: 0, endMs: startMs }
  return onlineMs + random.next() * (endMs - onlineMs)
}

/** Long in a few cases, short in most. */
function span(random: SeededRandom, mostMs: number): number {
  return Math.round(500 + random.next() ** 3 * mostMs)
}

const yearMs = 31_557_600_000

function faultOf(draft: Draft, kind: FaultKind): Action {
  const { random } = draft
  switch (kind) {
    case 'outage':
      return { kind: 'offline', forMs: span(random, 300_000), told: false }
    case 'one-way':
      return { kind, forMs: span(random, 120_000), direction: random.below(2) === 0 ? 'up' : 'down' }
    case 'clog':
      return { kind, forMs: span(random, 5_000) }
    case 'crash':
    case 'power-cut':
      return { kind, afterCalls: random.below(120), downMs: span(random, 60_000) }
    case 'suspend':
      return { kind, forMs: span(random, 600_000) }
    case 'close':
      return { kind, downMs: span(random, 60_000) }
    case 'clock-jump':
      return { kind, byMs: around(random, random.below(12) === 0 ? 10 * yearMs : 900_000) }
    case 'disk-full': {
      // Where something still fits people go on working, and find out one write at a time.
      const way = random.below(4)
      const isTight = way > 1
      return { kind, forMs: span(random, isTight ? 120_000 : 30_000), late: way === 0, tight: isTight }
    }
    case 'server-full':
      return { kind, forMs: span(random, 30_000), late: random.below(2) === 0 }
    case 'server-kill':
      return { kind, afterCalls: random.below(120), downMs: span(random, 30_000) }
    case 'collect':
      return { kind, olderThanMs: span(random, 4 * draft.swarm.pauseMs) }
    case 'foreign':
      return { kind, collection: foreignCollection(draft) }
    case 'grant':
      return { kind, revoke: random.next() < 0.55 }
    case 'clone':
    case 'spy':
    case 'put-back':
    case 'server-restore':
      return { kind }
    default:
      return assertNever(kind)
  }
}

function foreignCollection({ random, collections }: Draft): string {
  const names = collections.insert ?? []
  return names[random.below(names.length)] ?? ''
}
