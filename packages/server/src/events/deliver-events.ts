import type { ParkedEvent } from '../store/event-store.ts'
import type { Consumer } from './consumers.ts'
import type { EventContext } from './event-context.ts'
import type { Failure, RecordEvent } from './event-options.ts'
import { keyOf, type Work } from './read-work.ts'

/** What is to be saved together with the place. */
export interface Outcome {
  readonly delivered: readonly ParkedEvent[]
  readonly failed: readonly ParkedEvent[]
  /** Events that nobody was told of: they wait for one of their record, or for the next node. */
  readonly untried: readonly ParkedEvent[]
}

/** What events are delivered with. */
export interface DeliveryContext extends EventContext {
  readonly consumer: Consumer
  /** Asked before each attempt. */
  readonly mayGoOn: () => boolean
}

/** Delivers what is due and what is new: several records at once, of each record in order. Rules: EV-3, EV-8. */
export async function deliverEvents(context: DeliveryContext, { due, fresh, held }: Work): Promise<Outcome> {
  const delivered: ParkedEvent[] = []
  const failed: ParkedEvent[] = []
  const untried = fresh.filter((event) => held.has(keyOf(event)))
  const lanes = [
    ...due.map((event) => [event]),
    ...Map.groupBy(
      fresh.filter((event) => !held.has(keyOf(event))),
      keyOf,
    ).values(),
  ]
  await eachOf(lanes, context.limits.eventConcurrency, async (lane) => {
    let isOpen = true
    for (const event of lane) {
      isOpen &&= context.mayGoOn()
      if (!isOpen) {
        untried.push(event)
        continue
      }
      const failure = await attempt(context, event)
      if (failure === null) delivered.push(event)
      else failed.push(failedEvent(context, event, failure))
      isOpen = failure === null
    }
  })
  return { delivered, failed, untried }
}

/** Rules: EV-9. */
async function attempt(
  { consumer, env, limits }: DeliveryContext,
  { event }: ParkedEvent,
): Promise<Failure | null> {
  const abort = new AbortController()
  let cancel = (): void => undefined
  const timedOut = new Promise<Failure>((resolve) => {
    cancel = env.setTimer(() => {
      resolve({ reason: 'TIMEOUT' })
      abort.abort()
    }, limits.eventTimeoutMs)
  })
  try {
    // Written by `readWork` from a RecordEvent.
    return await Promise.race([consumer.deliver(JSON.parse(event) as RecordEvent, abort.signal), timedOut])
  } finally {
    cancel()
  }
}

function failedEvent(
  { env, limits }: EventContext,
  event: ParkedEvent,
  { reason, waitMs = 0 }: Failure,
): ParkedEvent {
  const attempts = event.attempts + 1
  const nowMs = env.now()
  const dueMs = nowMs + Math.max(backoffMs(attempts, { env, limits }), Math.min(waitMs, limits.retryCapMs))
  return { ...event, attempts, reason, failedMs: nowMs, dueMs, isDead: attempts >= limits.eventAttempts }
}

/** Doubles up to the cap; between half of it and the whole, so that what failed together is not repeated together. */
export function backoffMs(attempts: number, { env, limits }: Pick<EventContext, 'env' | 'limits'>): number {
  const whole = Math.min(limits.retryCapMs, limits.retryBaseMs * 2 ** Math.min(attempts - 1, 30))
  return Math.ceil(whole * (0.5 + env.random() / 2))
}

async function eachOf<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items.values()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of left) await work(item)
    }),
  )
}
