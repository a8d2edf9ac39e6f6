import { createRequire } from 'node:module'
import type * as pgDriver from 'pg'
import type { Pool } from 'pg'

/** The package `pg`. */
export type Driver = typeof pgDriver

/** The driver is an optional dependency: only who uses this store needs it. */
export function driver(): Driver {
  // A CommonJS package, loaded when it is needed.
  return createRequire(import.meta.url)('pg') as Driver
}

const int8 = 20

/**
 * A pool whose int8 are numbers. A session that breaks, whether it is in use, idle or only just open, is replaced, and
 * whoever needs it next is told. Rules: FE-69.
 */
export function openPool(pg: Driver, url: string, max: number): Pool {
  const types = {
    getTypeParser: (oid: number, format?: 'text' | 'binary'): ((text: string) => unknown) =>
      oid === int8 ? Number : (pg.types.getTypeParser(oid, format) as (text: string) => unknown),
  }
  // Statements that do not need each other's answers are on their way together.
  const pool = new pg.Pool({ connectionString: url, types, pipeline: true, max })
  pool.on('error', () => undefined)
  // The pool listens to what is idle and the store to what is in use. A session that is opened and lost in what is read at
  // once is neither yet, and an error without a listener ends the process.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}
