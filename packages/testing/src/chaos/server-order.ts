import { SyncError } from '@holdfast/core'
import { postgresStore, sqliteStore, type WorkerOptions } from '@holdfast/server'

import { chaosSchema } from './chaos-schema.ts'

/** What a server of a chaos run, or a worker beside it, is started with. */
export interface ServerOrder {
  readonly path: string
  /** 0 takes a free one. */
  readonly port: number
  /** Of a PostgreSQL to use in place of the file. */
  readonly database: string | null
  /** Of a Redis: each push is queued. */
  readonly redis: string | null
  /** Whether this process applies what is queued as well. */
  readonly works: boolean
}

/** How a worker, which is a program of its own, is told its order: JSON. */
export const orderVariable = 'HOLDFAST_CHAOS_ORDER'

/** Short waits, so that what dies is noticed within a run. */
const limits = { receiptSweepMs: 500, receiptLeaseMs: 3_000 }

/** What servers and workers of a run have in common. What fails inside them goes to stderr, which must stay empty. */
export function serverOptions({ path, database, redis, works }: ServerOrder): WorkerOptions {
  const failure = (fields: object, message: string): void =>
    void process.stderr.write(`${message} ${JSON.stringify(fields, errorsAsText)}\n`)
  return {
    schema: chaosSchema,
    store: database === null ? sqliteStore(path) : postgresStore({ url: database, migrate: true }),
    scopes: () => '*',
    logger: { info: () => undefined, warn: () => undefined, error: failure },
    ...(redis !== null && { limits, ingest: { mode: 'queued', redis, works } }),
  }
}

/** Whether a database that is down when a process starts is why it did not. */
export function isDown(error: unknown): boolean {
  return error instanceof SyncError && error.code === 'STORE_BUSY'
}

function errorsAsText(_name: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value
}
