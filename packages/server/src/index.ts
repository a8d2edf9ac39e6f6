export type {
  ApplyOptions,
  ApplyResponse,
  AttachmentKey,
  AttachmentSight,
  AuthorizeRequest,
  Caller,
  ChangesSince,
  CommitEvent,
  DeviceInfo,
  Engine,
  EngineStats,
  Grants,
  HistoryDecision,
  HistoryEntry,
  HostTransaction,
  HostValue,
  ListOptions,
  LostValue,
  Page,
  PlainResult,
  PlainWrite,
  Precondition,
  PullOptions,
  RecordPage,
  Resolution,
  SnapshotOptions,
  User,
} from './engine.ts'
export type { AttachmentOptions } from './attachments/attachment-options.ts'
export type { AttachmentStore, UploadKey, StoredAttachment } from './attachments/attachment-store.ts'
export { fileAttachments } from './attachments/file-attachments.ts'
export type { CommitHandler, EventOptions, RecordEvent, WebhookOptions } from './events/event-options.ts'
export type { ConsumerStats, DeadLetter, DeadLetterPage, Events } from './events/events.ts'
export type { RetentionOptions } from './events/retention.ts'
export type {
  EscrowAnswer,
  EscrowDecision,
  EscrowedEdit,
  EscrowedMutation,
  EscrowPage,
  EscrowQuery,
} from './escrow/escrowed-edit.ts'
export { createServer, type HoldfastServer, type HttpServerOptions } from './http/create-server.ts'
export { createWorker, type HoldfastWorker, type WorkerOptions } from './queue/create-worker.ts'
export type { AutoBounds, IngestOptions } from './queue/ingest-options.ts'
export { createEngine, type Logger, type ServerOptions } from './server.ts'
export type { Store } from './store/store.ts'
export type { OpenSqlite, SqliteDatabase, SqliteStatement } from './store/sqlite/connection.ts'
export { sqliteApplicationId, sqliteLayout } from './store/sqlite/create-tables.ts'
export { sqliteStore, type SqliteStoreOptions } from './store/sqlite/sqlite-store.ts'
export { postgresStore, type PostgresStoreOptions } from './store/postgres/postgres-store.ts'
export type { TableMapping, TableMappings } from './store/postgres/columns.ts'
export {
  doctor,
  type MaintenanceOptions,
  planMigration,
  reconcile,
  runMigration,
} from './store/postgres/maintenance.ts'
export type { MigrationProgress, MigrationReport } from './store/postgres/migrate.ts'
export type { Finding } from './store/postgres/migration/examine.ts'
export type { MigrationPlan, MigrationStep, RowWork } from './store/postgres/migration/steps.ts'
export type { CollectionReport, ReconcileReport } from './store/postgres/migration/reconcile.ts'
