import type { HistoryEntry } from '../engine.ts'

/** Where a reader of the audit stands. Places go up in the order in which transactions became visible to readers. */
export interface EventPlace {
  /** Of the transaction; 0 where lines are written in the order in which they commit. */
  readonly position: number
  /** Of the line. */
  readonly n: number
}

/** A line of the audit, with what it is about. */
export interface AuditedLine extends HistoryEntry {
  readonly collection: string
  readonly record: string
  /** Where the record lies as this is read; of one that is gone, until its tombstone is collected. */
  readonly scopes: readonly string[]
  readonly place: EventPlace
}

/** A named reader of the audit. */
export interface StoredConsumer {
  readonly name: string
  readonly place: EventPlace
  /** Who works it; '' is nobody. */
  readonly owner: string
  /** Moves whenever the owner shows that it lives. */
  readonly beat: number
}

/** A record of the schema. */
export interface RecordKey {
  readonly collection: string
  readonly record: string
}

/** An event that a consumer could not be told of yet, or was given up. */
export interface ParkedEvent extends RecordKey {
  readonly consumer: string
  /** Of its line in the audit: events of a record go by it. */
  readonly n: number
  /** As JSON text. */
  readonly event: string
  readonly attempts: number
  /** When to try again, ms since 1970; it counts for the first event of a record alone. */
  readonly dueMs: number
  /** Given up: only an operator has it tried again. */
  readonly isDead: boolean
  /** What came of the last attempt: a code, never a text of somebody else. */
  readonly reason: string
  /** When the last attempt failed, ms since 1970; 0 before the first. */
  readonly failedMs: number
}

/** Reads of event consumers. */
export interface EventReads {
  /** Lines behind a place, in order; no line will ever appear before one of them. */
  auditAfter(place: EventPlace, limit: number): Promise<readonly AuditedLine[]>
  /** Behind every line that there is. */
  auditHead(): Promise<EventPlace>
  consumer(name: string): Promise<StoredConsumer | null>
  /** Of these records those that have a waiting event. */
  waitingRecords(consumer: string, records: readonly RecordKey[]): Promise<readonly RecordKey[]>
  /** The first waiting event of each record, where it is due, or later than an event can be (a clock was ahead). */
  dueEvents(
    consumer: string,
    at: { readonly nowMs: number; readonly latestMs: number },
    limit: number,
  ): Promise<readonly ParkedEvent[]>
  parkedCounts(consumer: string): Promise<{ readonly waiting: number; readonly dead: number }>
  /** In order of consumer and line, behind the given one. */
  deadEvents(
    after: { readonly consumer: string; readonly n: number },
    limit: number,
  ): Promise<readonly ParkedEvent[]>
}

/** Writes of event consumers, and of what else goes on in rounds. */
export interface EventWrites {
  /** Does nothing where it is there. */
  addConsumer(name: string, place: EventPlace): Promise<void>
  /** With everything that is parked for it. False when there is none. */
  removeConsumer(name: string): Promise<boolean>
  /** False when its beat has moved since it was read. */
  takeConsumer(consumer: Pick<StoredConsumer, 'name' | 'beat'>, owner: string): Promise<boolean>
  /** Moves the beat, and the place if one is given. False when it has another owner by now. */
  keepConsumer(name: string, owner: string, place?: EventPlace): Promise<boolean>
  /** Anybody may take it from now on. */
  freeConsumer(name: string, owner: string): Promise<void>
  /** Inserts or replaces, by consumer and line. */
  parkEvents(events: readonly ParkedEvent[]): Promise<void>
  unparkEvents(consumer: string, ns: readonly number[]): Promise<void>
  /** Has a dead event wait again, with no attempts counted; false when there is none. */
  reviveEvent(consumer: string, n: number): Promise<boolean>
  /** Drops a dead event; false when there is none. */
  discardEvent(consumer: string, n: number): Promise<boolean>
  /**
   * Moves the time by which rounds erase to `nowMs`, but at most `stepMs` on, and returns it, ms since 1970. null where there
   * was none yet.
   */
  moveErasing(nowMs: number, stepMs: number): Promise<number | null>
}
