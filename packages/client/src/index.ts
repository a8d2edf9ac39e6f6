export {
  type Client,
  type ClientBase,
  type ClientCollection,
  type ClientTransaction,
  openClient,
} from './client.ts'
export type { AttachmentsApi } from './attachments/attachments-api.ts'
export type { AttachmentUpload, UploadCounts } from './attachments/attachment-upload.ts'
export type { ClientOptions } from './client-parts.ts'
export type { Conflict, ConflictPart } from './conflicts/conflict.ts'
export type { ConflictQuery, ConflictsApi } from './conflicts/conflicts-api.ts'
export type { ForetoldConflict } from './conflicts/foretold.ts'
export type { Settled } from './conflicts/settle-conflict.ts'
export {
  type RunResult,
  type SqliteConnection,
  type SqliteDriver,
  type SqlParam,
  type SqlRow,
  type SqlValue,
  type StatementDescription,
  storeError,
} from './drivers/sqlite-driver.ts'
export type { ExplainedMutation, Explanation } from './inspect/explain.ts'
export type { InspectedShadow, Inspection, InspectQuery } from './inspect/inspect-device.ts'
export type { StopWatching } from './live/live-queries.ts'
export { compileQuery, type QueryBuilder } from './live/run-query.ts'
export type { Durability } from './local/local-database.ts'
export { type Rescue, type RescuedEntry, rescueOutbox } from './local/rescue-outbox.ts'
export type { DeadLettersApi, Discarded } from './outbox/dead-letters.ts'
export type { DeadLetter, DeadMutation } from './outbox/read-letters.ts'
export type { Entry, EntryError, EntryStatus } from './outbox/entry.ts'
export type { EscrowApi, EscrowedEdit } from './outbox/escrow-api.ts'
export type { EntryQuery } from './outbox/outbox.ts'
export type { OutboxApi } from './outbox/outbox-api.ts'
export type { QuarantinedRow } from './apply/quarantine.ts'
export type { StatusApi } from './status/status-feed.ts'
export type { Tally } from './status/tally.ts'
export type {
  StorageLoss,
  StorageStatus,
  SyncMetrics,
  SyncProgress,
  SyncStatus,
} from './status/sync-status.ts'
export type { SyncApi, VerifySummary } from './sync/create-sync.ts'
export type { CollectionHistory } from './sync/collection-history.ts'
export type { HistoryEntry, LostValue, RecordHistory } from './sync/record-history.ts'
export type { SyncSummary } from './sync/sync-engine.ts'
export type { Conditions, SavingCause, SyncPolicy } from './sync/sync-policy.ts'
export type { PauseCause } from './sync/sync-state.ts'
export type { AttachmentOptions, Identity, Logger, SyncOptions } from './sync-context.ts'
export { systemEnvironment } from './system-environment.ts'
export type { Auth, AuthRequest } from './transport/auth.ts'
export type { CollectionWrites, Receipt } from './write/collection-writes.ts'
export type { WriteVerdict } from './write/verdicts.ts'
export type { CollectionApi, CollectionApis, TransactionCollections } from './write/writer.ts'
