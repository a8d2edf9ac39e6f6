import type { Values } from '@holdfast/core'

import type { HistoryEntry } from '../engine.ts'

/** One version of one record that was committed, whoever wrote it. */
export interface RecordEvent {
  /** The same each time this event is delivered, and no other event's: for dropping repeats. */
  readonly id: string
  readonly collection: string
  readonly record: string
  readonly op: Exclude<HistoryEntry['op'], 'none'>
  /** Goes up with every event of the record. */
  readonly version: number
  /** Where the record lies when the event is first looked at. */
  readonly scopes: readonly string[]
  /** null: another writer than Holdfast. */
  readonly user: string | null
  readonly device: string | null
  /** ISO time of the edit, as the history says it. */
  readonly at: string
  /** ISO time at which the server took it. */
  readonly receivedAt: string
  /** Names of the fields that changed; of a record that came or went all. */
  readonly changed: readonly string[]
  /** Values that those fields had before; null of a record that came. */
  readonly before: Values | null
  /** Values that they have now; null of a record that went. */
  readonly after: Values | null
}

/**
 * Told of each event at least once, of several records at a time, of one record in order. When it rejects, or is not done
 * within `limits.eventTimeoutMs`, it is told again.
 */
export type CommitHandler = (event: RecordEvent) => void | Promise<void>

/** An address that is sent every event. */
export interface WebhookOptions {
  /** Names it for good: it goes on where a webhook of this name left off. Letters, digits, `_` and `-`. */
  readonly name: string
  readonly url: string
  /** `whsec_` and 24 to 64 random bytes in base64. Two while one takes the place of the other. */
  readonly secret: string | readonly string[]
  /** Only events of these; of every collection unless said. */
  readonly collections?: readonly string[]
}

/** What `createServer` and `createWorker` take to tell others of commits. See docs/events.md. */
export interface EventOptions {
  /** One handler, or several by names that stay, each of which goes on by itself. */
  readonly onCommit?: CommitHandler | Readonly<Record<string, CommitHandler>>
  readonly webhooks?: readonly WebhookOptions[]
}

/** Why an attempt failed: a code, and how long to wait at least, ms, where the other side said so. */
export interface Failure {
  readonly reason: string
  readonly waitMs?: number
}
