import type { Schema } from '@holdfast/core'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import type { Pool } from 'pg'
import { afterAll } from 'vitest'
import { dropCopies, takeCopy } from './given-copies.ts'
import { completeSql } from './store/postgres/read-devices.ts'
import { postgresStore } from './store/postgres/postgres-store.ts'
import { sqliteStore, type SqliteStoreOptions } from './store/sqlite/sqlite-store.ts'
import type { Store } from './store/store.ts'

/** Where the tests of the engine run: on a file, or on the PostgreSQL that the test run shares. */
export const isOnPostgres: boolean = process.env['HOLDFAST_ENGINE_ON'] === 'postgres'

if (isOnPostgres) afterAll(dropCopies)

/** SQL, in the words of each database where they differ. Our own tables are named as SQLite has them: `holdfast_audit`. */
export type Sql = string | { readonly sqlite: string; readonly postgres: string }

/** A row as another program reads it. */
export type Row = Readonly<Record<string, unknown>>

/** A database of a test's own, and what other programs do to it. */
export interface GivenDatabase {
  readonly path: string
  store(options?: Partial<SqliteStoreOptions>): Store
  rows(sql: Sql): Promise<readonly Row[]>
  run(sql: Sql): Promise<void>
  /** A transaction of another program that stays open until it is ended. */
  hold(sql: Sql): Promise<() => Promise<void>>
  /** Waits for writers elsewhere in the same server, before whose end pages may repeat what they bring. */
  settled(): Promise<void>
  /** Puts a copy aside; nobody may be connected. */
  backup(): Promise<void>
  /** Puts the copy in the place of the database. */
  restore(): Promise<void>
  remove(): Promise<void>
}

/** An empty database, prepared for `schema` where that is not for the store to do. */
export async function newDatabase(schema: Schema): Promise<GivenDatabase> {
  if (isOnPostgres) return newPostgres(schema)
  return sqliteDatabase(join(mkdtempSync(join(tmpdir(), 'holdfast-')), 'server.db'))
}

/** The file at `path`. */
export function sqliteDatabase(path: string): GivenDatabase {
  const use = <Result>(work: (db: DatabaseSync) => Result): Result => {
    const db = new DatabaseSync(path)
    try {
      return work(db)
    } finally {
      db.close()
    }
  }
  const textOf = (sql: Sql): string => (typeof sql === 'string' ? sql : sql.sqlite)
  return {
    path,
    store: (options) => sqliteStore({ pollMs: 0, ...options, path }),
    rows: async (sql) => use((db) => db.prepare(textOf(sql)).all()),
    run: async (sql) => use((db) => db.exec(textOf(sql))),
    hold: async (sql) => {
      const db = new DatabaseSync(path)
      db.exec(textOf(sql))
      return async () => {
        db.exec('COMMIT')
        db.close()
      }
    },
    settled: async () => undefined,
    backup: async () => copyFileSync(path, `${path}.backup`),
    restore: async () => copyFileSync(`${path}.backup`, path),
    remove: async () => rmSync(dirname(path), { recursive: true, force: true }),
  }
}

async function newPostgres(schema: Schema): Promise<GivenDatabase> {
  const database = await takeCopy(schema)
  const { url, name } = database
  const backup = `${name}_backup`
  let hasBackup = false
  let pool = await poolOf(url)
  const query = async (sql: Sql): Promise<readonly Row[]> => {
    const { rows } = await pool.query<Row>({ text: textOf(sql), types })
    return rows
  }
  const beside = async (...statements: readonly string[]): Promise<void> => {
    await pool.end()
    const admin = await poolOf(Object.assign(new URL(url), { pathname: '/postgres' }).href)
    for (const sql of statements) await admin.query(sql)
    await admin.end()
    pool = await poolOf(url)
  }
  // A copy is no database of the same history.
  await query(`UPDATE holdfast_state SET epoch = gen_random_uuid(), made_at = now()`)
  return {
    path: url,
    store: ({ busyTimeoutMs, pollMs = 0 } = {}) =>
      postgresStore({
        url,
        pollMs,
        listen: pollMs > 0,
        connections: 4,
        ...(busyTimeoutMs !== undefined && { lockTimeoutMs: busyTimeoutMs }),
      }),
    rows: async (sql) =>
      (await query(sql)).map(({ account, ...row }) =>
        account === undefined ? row : { ...row, user: account },
      ),
    run: async (sql) => void (await query(sql)),
    hold: async (sql) => {
      const holder = await pool.connect()
      await holder.query(textOf(sql))
      return async () => {
        await holder.query('COMMIT')
        holder.release()
      }
    },
    settled: async () => {
      const until = performance.now() + settleMs
      for (;;) {
        const [row] = await query(settledSql)
        if (row?.['settled'] === true || performance.now() > until) return
        await setTimeout(2)
      }
    },
    backup: async () => {
      await beside(`CREATE DATABASE ${backup} TEMPLATE ${name}`)
      hasBackup = true
    },
    restore: () => beside(`DROP DATABASE ${name}`, `CREATE DATABASE ${name} TEMPLATE ${backup}`),
    remove: async () => {
      if (!hasBackup) return database.giveBack(pool)
      await beside(`DROP DATABASE ${backup}`)
      await pool.end()
      await database.drop()
    },
  }
}

async function poolOf(url: string): Promise<Pool> {
  const pg = await import('pg')
  const pool = new pg.default.Pool({ connectionString: url, max: 3 })
  pool.on('error', () => undefined)
  return pool
}

/** Longer than other tests write; not for ever, because a test may hold a transaction itself. */
const settleMs = 500
const settledSql = `SELECT coalesce((${completeSql}), 0) = coalesce((SELECT max(position) FROM holdfast.transactions), 0) AS settled`

const numbers = [20, 21, 23]
const bool = 16
const types = {
  getTypeParser: (oid: number) => (text: string) =>
    numbers.includes(oid) ? Number(text) : oid === bool ? text === 't' : text,
}

function textOf(sql: Sql): string {
  const text = typeof sql === 'string' ? sql : sql.postgres
  return text
    .replaceAll(/\bholdfast_(\w+)/g, 'holdfast.$1')
    .replaceAll(/\buser\b/g, 'account')
    .replaceAll(/json_extract\((\w+), '\$\.(\w+)'\)/g, `$1 ->> '$2'`)
}
