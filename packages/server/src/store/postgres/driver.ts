import { createRequire } from 'node:module'
import type * as pgDriver from 'pg'
import type { PoolConfig } from 'pg'

/** The package `pg`. */
export type Driver = typeof pgDriver

/** The driver is an optional dependency: only who uses this store needs it. */
export function driver(): Driver {
  // A CommonJS package, loaded when it is needed.
  return createRequire(import.meta.url)('pg') as Driver
}

const int8 = 20

/** Of a pool whose int8 are numbers. */
export function poolConfig(pg: Driver, url: string): PoolConfig {
  const types = {
    getTypeParser: (oid: number, format?: 'text' | 'binary'): ((text: string) => unknown) =>
      oid === int8 ? Number : (pg.types.getTypeParser(oid, format) as (text: string) => unknown),
  }
  // Statements that do not need each other's answers are on their way together.
  return { connectionString: url, types, pipeline: true }
}
