import { isObject, SyncError } from '@holdfast/core'

import type { Engine } from '../engine.ts'
import { pageRows } from '../pull/page-rows.ts'
import type { ParkedEvent } from '../store/event-store.ts'
import type { Consumer } from './consumers.ts'
import type { EventContext } from './event-context.ts'
import { EventWorker, type WorkerCounts } from './event-worker.ts'
import { readLag } from './read-work.ts'

/** Numbers of one consumer: what the store says, and what this process did. */
export interface ConsumerStats extends WorkerCounts {
  readonly consumer: string
  /** Events that will be tried again. */
  readonly waiting: number
  readonly dead: number
  /** Age of the oldest change it has not looked at, ms. */
  readonly lagMs: number
}

/** An event that was given up. It shows no values of the record. */
export interface DeadLetter {
  /** For retrying or discarding it. */
  readonly id: string
  /** Name of the handler or webhook. */
  readonly consumer: string
  /** Id of the event. */
  readonly event: string
  readonly collection: string
  readonly record: string
  readonly attempts: number
  /** What came of the last attempt: a status, OFFLINE, TIMEOUT, or the name of what a handler threw. */
  readonly reason: string
  readonly failedAt: string
}

/** Dead letters by consumer, the oldest first. */
export interface DeadLetterPage {
  readonly letters: readonly DeadLetter[]
  /** null at the end. */
  readonly next: string | null
}

/** Handlers and webhooks, for whoever runs the server. */
export interface Events {
  /** Of the handlers and webhooks of this process. */
  stats(): Promise<readonly ConsumerStats[]>
  /** A page of all there are. `after` is `next` of the page before. Errors: REQUEST_INVALID for any other `after`. */
  deadLetters(options?: { readonly limit?: number; readonly after?: string }): Promise<DeadLetterPage>
  /** Has a dead letter delivered again, with its attempts anew; false when there is none of this id. */
  retry(id: string): Promise<boolean>
  /** Drops a dead letter for good; false when there is none of this id. */
  discard(id: string): Promise<boolean>
  /** Drops the place of a handler or webhook that is no longer there, and all that waits for it; false when it has none. Errors: REQUEST_INVALID for one of this process. */
  forget(consumer: string): Promise<boolean>
}

/** Events that can be ended. */
export interface RunningEvents extends Events {
  close(): Promise<void>
}

/** What events are made from. */
export interface EventSetup extends EventContext {
  readonly engine: Pick<Engine, 'subscribe'>
  readonly consumers: readonly Consumer[]
}

/** Starts a worker for each consumer; one that is new begins now. Rules: EV-1 to EV-16. */
export async function startEvents(setup: EventSetup): Promise<RunningEvents> {
  const { store, env, limits, logger, engine, consumers } = setup
  const context: EventContext = { store, env, limits, logger }
  for (const { name } of consumers) {
    if (await store.read((tx) => tx.consumer(name))) continue
    await store.write(async (tx) => tx.addConsumer(name, await tx.auditHead()))
  }
  const workers = consumers.map((consumer) => new EventWorker(context, consumer))
  const wake = (): void => {
    for (const worker of workers) worker.wake()
  }
  const unsubscribe = engine.subscribe(wake)
  return {
    ...lettersOf(context, wake),
    stats: () => Promise.all(workers.map((worker) => statsOf(context, worker))),
    forget: async (consumer) => {
      if (consumers.some(({ name }) => name === consumer))
        throw new SyncError('REQUEST_INVALID', `The consumer ${consumer} is worked by this process.`)
      return store.write((tx) => tx.removeConsumer(consumer))
    },
    close: async () => {
      unsubscribe()
      await Promise.all(workers.map((worker) => worker.close()))
    },
  }
}

async function statsOf(context: EventContext, worker: EventWorker): Promise<ConsumerStats> {
  const { name } = worker.consumer
  const counts = await context.store.read((tx) => tx.parkedCounts(name))
  return { consumer: name, lagMs: await readLag(context, name), ...counts, ...worker.counts() }
}

/** Rules: EV-10. */
function lettersOf(
  { store, limits }: EventContext,
  wake: () => void,
): Pick<Events, 'deadLetters' | 'retry' | 'discard'> {
  return {
    deadLetters: async ({ limit, after }: { readonly limit?: number; readonly after?: string } = {}) => {
      const from = after === undefined ? { consumer: '', n: 0 } : parseId(after)
      if (!from) throw new SyncError('REQUEST_INVALID', 'after is the `next` of the page before')
      const rows = pageRows(limit, limits)
      const found = await store.read((tx) => tx.deadEvents(from, rows + 1))
      const letters = found.slice(0, rows).map(letterOf)
      return { letters, next: found.length > rows ? (letters.at(-1)?.id ?? null) : null }
    },
    retry: async (id) => {
      const key = parseId(id)
      if (!key) return false
      const isThere = await store.write((tx) => tx.reviveEvent(key.consumer, key.n))
      if (isThere) wake()
      return isThere
    },
    discard: async (id) => {
      const key = parseId(id)
      return key !== null && store.write((tx) => tx.discardEvent(key.consumer, key.n))
    },
  }
}

/** Names of consumers hold no dot. */
function parseId(id: string): { readonly consumer: string; readonly n: number } | null {
  const [, consumer, n] = /^([\w-]{1,64})\.(\d{1,15})$/.exec(id) ?? []
  return consumer === undefined ? null : { consumer, n: Number(n) }
}

function letterOf(parked: ParkedEvent): DeadLetter {
  const { consumer, n, collection, record, attempts, reason, failedMs } = parked
  const event: unknown = JSON.parse(parked.event)
  return {
    id: `${consumer}.${n}`,
    consumer,
    event: isObject(event) ? String(event['id']) : '',
    collection,
    record,
    attempts,
    reason,
    failedAt: new Date(failedMs).toISOString(),
  }
}
