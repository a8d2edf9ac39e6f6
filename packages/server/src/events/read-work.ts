import { SyncError } from '@holdfast/core'

import type { AuditedLine, EventPlace, ParkedEvent, RecordKey, StoredConsumer } from '../store/event-store.ts'
import type { Consumer } from './consumers.ts'
import type { EventContext } from './event-context.ts'
import type { RecordEvent } from './event-options.ts'

/** What lies before a consumer, in one database snapshot. */
export interface Work {
  readonly stored: StoredConsumer
  /** Events that waited and are due: of each record the first. */
  readonly due: readonly ParkedEvent[]
  /** Events of its collections that it has not seen, in order. */
  readonly fresh: readonly ParkedEvent[]
  /** Records of `fresh` that have waiting events, behind which theirs wait. */
  readonly held: ReadonlySet<string>
  /** Up to where `fresh` goes. */
  readonly place: EventPlace
  /** There is probably more. */
  readonly isFull: boolean
}

/** Reads what a consumer is to do next; null: nothing. Rules: EV-1, EV-8, EV-11. */
export function readWork(context: EventContext, consumer: Consumer): Promise<Work | null> {
  const { store, env, limits } = context
  return store.read(async (tx) => {
    const stored = await tx.consumer(consumer.name)
    if (!stored) throw new SyncError('NOT_FOUND', `the consumer ${consumer.name} is gone`)
    const nowMs = env.now()
    const at = { nowMs, latestMs: nowMs + limits.retryCapMs }
    const due = await tx.dueEvents(consumer.name, at, limits.eventRows)
    const { waiting } = await tx.parkedCounts(consumer.name)
    const lines = waiting < limits.eventsWaiting ? await tx.auditAfter(stored.place, limits.eventRows) : []
    const place = lines.at(-1)?.place
    if (place === undefined && due.length === 0) return null
    const fresh = lines.flatMap((line) => parkedOf(consumer, line) ?? [])
    const held = fresh.length > 0 && waiting > 0 ? await tx.waitingRecords(consumer.name, fresh) : []
    return {
      stored,
      due,
      fresh,
      held: new Set(held.map(keyOf)),
      place: place ?? stored.place,
      isFull: lines.length === limits.eventRows || due.length > 0,
    }
  })
}

/** How long the oldest line that a consumer has not seen has been there, ms. */
export function readLag({ store, env }: EventContext, name: string): Promise<number> {
  return store.read(async (tx) => {
    const stored = await tx.consumer(name)
    const [oldest] = stored ? await tx.auditAfter(stored.place, 1) : []
    return oldest ? Math.max(0, env.now() - Date.parse(oldest.receivedAt)) : 0
  })
}

/** One text for each record. */
export function keyOf({ collection, record }: RecordKey): string {
  return `${collection}.${record}`
}

function parkedOf({ name, collections }: Consumer, line: AuditedLine): ParkedEvent | undefined {
  const { collection, record, n } = line
  const event = collections.has(collection) ? eventOf(line) : undefined
  if (!event) return undefined
  const text = JSON.stringify(event)
  const untried = { attempts: 0, dueMs: 0, isDead: false, reason: '', failedMs: 0 }
  return { consumer: name, n, collection, record, event: text, ...untried }
}

/** Lines that made no version are of what was turned down. */
function eventOf(line: AuditedLine): RecordEvent | undefined {
  const { n, collection, record, op, version, scopes, user, device, at, receivedAt, before, after } = line
  if (op === 'none' || version === null) return undefined
  return {
    // Numbers of lines are given again when a backup is restored; the time they were given at is another one then.
    id: `evt_${n.toString(36)}_${Date.parse(receivedAt).toString(36)}`,
    collection,
    record,
    op,
    version,
    scopes,
    user,
    device,
    at,
    receivedAt,
    changed: [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])],
    before,
    after,
  }
}
