import type { Environment, ErrorReport, PushResult } from '@holdfast/core'
import { BlockedError, ConstraintError } from '../store/store-errors.ts'
import { isRead, noteWaiting } from './decide-unit.ts'
import type { Offer } from './offer.ts'
import type { Waiting } from './session.ts'

/** One mutation, or those of one user transaction. */
export type Unit = readonly Offer[]

/** What one transaction decides. */
export interface Part {
  readonly units: readonly Unit[]
  /** What waits of the parts before. */
  readonly held: Waiting
  /** The constraint that refused the only unit before. */
  readonly refusedBy?: string
  /** Until when parts are tried, by the monotonic clock; set once another transaction was in the way. */
  readonly untilMs?: number
}

/** What a part came to: a result for each of its offers, and what waits now. */
export interface Decided {
  readonly results: readonly PushResult[]
  readonly held: Waiting
}

/** How long the parts of one batch may wait in all for other transactions, ms: a device gives up after 45 seconds. */
const blockedMaxMs = 5_000

/**
 * Decides a part in one transaction. When a constraint or trigger of the host's own refuses a row, or another transaction
 * holds one for long, the part is given up and decided in halves, until the offender is alone: that is refused for good,
 * or answered `retry` with what stands on it. Rules: PU-1, PU-22, PU-43.
 */
export async function decideParts(
  env: Pick<Environment, 'monotonicMs'>,
  part: Part,
  decide: (part: Part) => Promise<Decided>,
): Promise<Decided> {
  const { units, untilMs } = part
  if (untilMs !== undefined && env.monotonicMs() > untilMs) return putOffAll(part)
  try {
    return await decide(part)
  } catch (error) {
    if (error instanceof ConstraintError) {
      if (units.length > 1) return inHalves(env, part, decide)
      if (part.refusedBy !== undefined) throw error
      return decideParts(env, { ...part, refusedBy: error.message }, decide)
    }
    if (!(error instanceof BlockedError) || units.length === 0) throw error
    if (units.length === 1) return putOffAll(part)
    return inHalves(env, { ...part, untilMs: untilMs ?? env.monotonicMs() + blockedMaxMs }, decide)
  }
}

async function inHalves(
  env: Pick<Environment, 'monotonicMs'>,
  part: Part,
  decide: (part: Part) => Promise<Decided>,
): Promise<Decided> {
  const middle = part.units.length >> 1
  const first = await decideParts(env, { ...part, units: part.units.slice(0, middle) }, decide)
  const rest = { ...part, units: part.units.slice(middle), held: first.held }
  const second = await decideParts(env, rest, decide)
  return { results: [...first.results, ...second.results], held: second.held }
}

/** Nothing of these is consumed: the device offers them again. */
function putOffAll({ units, held: before }: Part): Decided {
  const offers = units.flat()
  const held = new Map(before)
  noteWaiting(held, offers.filter(isRead), null)
  const error: ErrorReport = {
    code: 'STORE_BUSY',
    message: 'another transaction holds what it needs',
    retry: 'backoff',
  }
  const result = { status: 'retry', version: null, serverUpdatedAt: null, error } as const
  return { results: offers.map(({ id }) => ({ id, ...result })), held }
}
