import type { Schema } from '@holdfast/core'
import { Naming, type TableMappings } from './columns.ts'
import { beginRead, Connection, translate } from './connection.ts'
import { carryOut, type MigrationProgress, type MigrationReport } from './migrate.ts'
import { examine, type Finding } from './migration/examine.ts'
import { makePlan } from './migration/plan.ts'
import type { MigrationPlan, MigrationSetup } from './migration/steps.ts'
import { mend, type ReconcileReport } from './migration/reconcile.ts'
import { driver, openPool } from './driver.ts'

/** The database that is looked after, and the schema it is for. */
export interface MaintenanceOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string
  readonly schema: Schema
  /** Tables and columns that are called otherwise than collections and fields. */
  readonly tables?: TableMappings
}

/**
 * What a PostgreSQL database lacks for a schema, and why it cannot be given; reads only. Errors: STORE_NEWER, STORE_BUSY.
 *
 * @example
 * const { steps, refusals } = await planMigration({ url, schema })
 * for (const { says } of steps) console.log(says)
 */
export function planMigration(options: MaintenanceOptions): Promise<MigrationPlan> {
  return connected(options, (db, setup) => reading(db, () => makePlan(db, setup)))
}

/**
 * Plans and carries the plan out: creates tables, or adopts those there are while others write to them. Adds only, may be
 * ended anywhere and repeated. Errors: SCHEMA_INVALID with all refusals; STORE_NEWER, STORE_BUSY.
 */
export function runMigration(options: MaintenanceOptions & MigrationProgress): Promise<MigrationReport> {
  return connected(options, (db, setup) => carryOut(db, setup, options))
}

/** Looks for what is wrong with a PostgreSQL database and says what to do about it. Changes nothing. */
export function doctor(options: MaintenanceOptions): Promise<readonly Finding[]> {
  return connected(options, (db, setup) => reading(db, () => examine(db, setup, options.url)))
}

/**
 * Mends what `doctor` finds about rows: those that were written while triggers were off come into the feed, entries of
 * rows that are gone become deletions, transactions without a position get one. With `dryRun` it only counts.
 * Errors: STORE_FOREIGN when the database is not prepared for the schema; STORE_BUSY.
 */
export function reconcile(
  options: MaintenanceOptions & { readonly dryRun?: boolean },
): Promise<ReconcileReport> {
  return connected(options, (db, setup) => mend(db, setup, options.dryRun === true))
}

async function connected<Result>(
  { url, schema, tables }: MaintenanceOptions,
  work: (db: Connection, setup: MigrationSetup) => Promise<Result>,
): Promise<Result> {
  const pg = driver()
  const pool = openPool(pg, url, 1)
  try {
    const client = await pool.connect().catch((error: unknown) => {
      throw translate(error)
    })
    try {
      return await work(new Connection(client, false), { schema, naming: new Naming(tables) })
    } finally {
      client.release(true)
    }
  } finally {
    await pool.end()
  }
}

/** One snapshot, in which nothing can be changed. */
function reading<Result>(db: Connection, work: () => Promise<Result>): Promise<Result> {
  return db.transact(beginRead, work)
}
