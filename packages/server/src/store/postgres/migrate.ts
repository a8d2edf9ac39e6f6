import { SyncError } from '@holdfast/core'
import type { Connection } from './connection.ts'
import { readKeyNumbers } from './key-numbers.ts'
import { asBegun, asOnly, begin } from './migration/begun.ts'
import { enterRows } from './migration/enter-rows.ts'
import { makeIndexes } from './migration/make-indexes.ts'
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
  const { schema } = setup
  const plan = await asOnly(db, async () => {
    // Another one of the same schema may have done it meanwhile.
    const made = await makePlan(db, setup)
    refuse(made)
    for (const { kind, says, sql } of made.steps) {
      if (kind !== 'structure') continue
      await db.exec(sql)
      onStep?.(says)
    }
    if (made.steps.some(({ kind }) => kind === 'state')) await begin(db, schema)
    return made
  })
  const keys = await readKeyNumbers(db, schema)
  if (plan.steps.some(({ kind }) => kind === 'index'))
    for (const collection of schema.collections.values())
      await makeIndexes(db, { ...setup, collection }, (says) => onStep?.(says))
  let rows = 0
  for (const { kind, says, rows: of } of plan.steps) {
    const collection = schema.collections.get(of?.collection ?? '')
    if (kind !== 'rows' || !collection) continue
    rows += await enterRows(db, { ...setup, keys, collection, work: of?.work ?? 'adopt', onRows })
    onStep?.(says)
  }
  for (const { kind, says, sql } of plan.steps) {
    if (kind !== 'state') continue
    await asBegun(db, schema, () => db.exec(sql))
    onStep?.(says)
  }
  return { plan, rows }
}

function refuse({ refusals }: MigrationPlan): void {
  if (refusals.length > 0) throw new SyncError('SCHEMA_INVALID', refusals.join('; '))
}
