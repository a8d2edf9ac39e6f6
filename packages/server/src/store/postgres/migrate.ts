import { SyncError } from '@holdfast/core'
import type { Connection } from './connection.ts'
import { readKeyNumbers } from './key-numbers.ts'
import { scopeLockClass } from './system-tables.ts'
import { enterRows } from './migration/enter-rows.ts'
import { inTransaction, lockTimeoutMs } from './migration/in-batches.ts'
import { makePlan } from './migration/plan.ts'
import type { MigrationPlan, MigrationSetup } from './migration/steps.ts'

/** What a migration did. */
export interface MigrationReport {
  /** What it carried out, as planned when it held the lock. */
  readonly plan: MigrationPlan
  /** Rows it went through. */
  readonly rows: number
}

/** Whom to tell how it goes. */
export interface MigrationProgress {
  readonly onStep?: (says: string) => void
  readonly onRows?: (rows: number) => void
}

/**
 * Adds what the schema needs, and brings rows that were there before into the feed. Structure is one transaction; the
 * rest goes on beside other writers. May be ended anywhere and repeated. The caller is in no transaction.
 * Errors: SCHEMA_INVALID with every reason; STORE_NEWER, STORE_BUSY. Rules: FE-12, MI-1 to MI-6.
 */
export async function carryOut(
  db: Connection,
  setup: MigrationSetup,
  { onStep, onRows }: MigrationProgress = {},
): Promise<MigrationReport> {
  const plan = await inTransaction(db, async () => {
    // One at a time; another one then finds it done.
    await db.exec(
      `SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(${scopeLockClass + 1}, 1); SET LOCAL lock_timeout = ${lockTimeoutMs}`,
    )
    const made = await makePlan(db, setup)
    refuse(made)
    for (const { kind, says, sql } of made.steps) {
      if (kind !== 'structure') continue
      await db.exec(sql)
      onStep?.(says)
    }
    return made
  })
  const keys = await readKeyNumbers(db, setup.schema)
  let rows = 0
  for (const step of plan.steps) {
    if (step.kind === 'index') await db.exec(step.sql)
    if (step.kind === 'rows') {
      const { collection: name = '', work = 'adopt' } = step.rows ?? {}
      const collection = setup.schema.collections.get(name)
      if (collection) rows += await enterRows(db, { ...setup, keys, collection, work, onRows })
    }
    if (step.kind === 'index' || step.kind === 'rows') onStep?.(step.says)
  }
  for (const { kind, says, sql } of plan.steps) {
    if (kind !== 'state') continue
    await db.exec(sql)
    onStep?.(says)
  }
  return { plan, rows }
}

function refuse({ refusals }: MigrationPlan): void {
  if (refusals.length > 0) throw new SyncError('SCHEMA_INVALID', refusals.join('; '))
}
