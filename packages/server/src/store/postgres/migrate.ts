import { type CollectionSchema, describeSchema, newUuid, type Schema, SyncError } from '@holdfast/core'
import type { StoreSetup } from '../store.ts'
import { captureStatements } from './capture.ts'
import { columnOf, hasDeletedAt, type Naming, quoteName } from './columns.ts'
import type { Connection } from './connection.ts'
import { postgresLayout, systemFunctions, systemTables } from './system-tables.ts'

/** One step of a migration. */
export interface MigrationStep {
  /** What it does, for a person. */
  readonly says: string
  readonly sql: string
  /** `CREATE INDEX CONCURRENTLY` and its like cannot be part of a transaction. */
  readonly isAlone?: boolean
}

/** What a database lacks. Nothing was changed yet. */
export interface MigrationPlan {
  readonly steps: readonly MigrationStep[]
  /** Why it cannot be done, one line each; empty when it can. */
  readonly refusals: readonly string[]
}

/** What the plan is made for. */
export interface MigrationSetup extends Pick<StoreSetup, 'schema' | 'env'> {
  readonly naming: Naming
}

/**
 * Compares the database with the schema: what is missing is added, nothing is ever dropped or rewritten but our own
 * functions and triggers. Rules: FE-11, FE-12.
 */
export async function planMigration(db: Connection, setup: MigrationSetup): Promise<MigrationPlan> {
  const { schema, env, naming } = setup
  const steps: MigrationStep[] = []
  const refusals: string[] = []
  const before = await stateOf(db)
  if (before === null || before.layout < postgresLayout)
    steps.push(...systemTables.map((sql) => ({ says: saysOf(sql), sql })))
  steps.push(...systemFunctions.map((sql) => ({ says: saysOf(sql), sql })))
  for (const collection of schema.collections.values())
    steps.push(...(await planCollection(db, { naming, collection, refusals })))
  const described = describeSchema(schema).replaceAll("'", "''")
  steps.push({
    says: 'note the schema',
    sql: `INSERT INTO holdfast.state (one, epoch, layout, schema_version, described)
    VALUES (1, '${newUuid(env)}', ${postgresLayout}, ${schema.version}, '${described}')
    ON CONFLICT (one) DO UPDATE SET layout = excluded.layout, schema_version = excluded.schema_version, described = excluded.described`,
  })
  return { steps, refusals }
}

/** The first line, without what only the database reads. */
function saysOf(sql: string): string {
  return (sql.split('\n')[0] ?? sql)
    .replace(/ RETURNS .*| \($|IF NOT EXISTS |OR REPLACE /g, '')
    .toLowerCase()
    .slice(0, 100)
}

interface State {
  readonly layout: number
  readonly version: number
  readonly described: string
}

async function stateOf(db: Connection): Promise<State | null> {
  const there = await db.get(`SELECT to_regclass('holdfast.state') IS NOT NULL AS there`)
  if (there?.['there'] !== true) return null
  const row = await db.get('SELECT layout, schema_version, described FROM holdfast.state')
  if (!row) return null
  return {
    layout: Number(row['layout']),
    version: Number(row['schema_version']),
    described: String(row['described']),
  }
}

/** Checks that the database was made for this schema. Errors: STORE_FOREIGN, STORE_NEWER. */
export async function checkMigrated(db: Connection, schema: Schema): Promise<void> {
  const state = await stateOf(db)
  if (state && (state.layout > postgresLayout || state.version > schema.version))
    throw new SyncError('STORE_NEWER', 'the database was made for a newer version; nothing was changed')
  if (state?.layout !== postgresLayout || state.described !== describeSchema(schema))
    throw new SyncError(
      'STORE_FOREIGN',
      'the database is not prepared for this schema: run `holdfast migrate`, or open the store with `migrate: true`',
    )
}

/** Whether there is nothing to do. Errors: STORE_NEWER. */
export async function isMigrated(db: Connection, schema: Schema): Promise<boolean> {
  const state = await stateOf(db)
  if (state && (state.layout > postgresLayout || state.version > schema.version))
    throw new SyncError('STORE_NEWER', 'the database was made for a newer version; nothing was changed')
  return state?.layout === postgresLayout && state.described === describeSchema(schema)
}

interface CollectionPlan {
  readonly naming: Naming
  readonly collection: CollectionSchema
  readonly refusals: string[]
}

async function planCollection(
  db: Connection,
  { naming, collection, refusals }: CollectionPlan,
): Promise<readonly MigrationStep[]> {
  const steps: MigrationStep[] = []
  const table = naming.table(collection)
  const [namespace, name] = naming.tableParts(collection)
  const columns = await db.all(
    `SELECT column_name AS name, is_nullable = 'YES' AS nullable, data_type AS type FROM information_schema.columns
     WHERE table_schema = $1 AND table_name = $2`,
    namespace,
    name,
  )
  const there = new Map(columns.map((column) => [String(column['name']), column]))
  const fields = collection.fields.map((field) => ({
    name: naming.columnName(collection, field.name),
    sql: columnOf(field, naming.column(collection, field.name)),
    needsValue: !field.optional && field.default === undefined,
  }))
  const ours = [
    { name: 'version', sql: 'version bigint NOT NULL DEFAULT 0', needsValue: false },
    { name: 'created_at', sql: 'created_at timestamptz NOT NULL DEFAULT now()', needsValue: false },
    { name: 'updated_at', sql: 'updated_at timestamptz NOT NULL DEFAULT now()', needsValue: false },
    {
      name: 'server_updated_at',
      sql: 'server_updated_at timestamptz NOT NULL DEFAULT now()',
      needsValue: false,
    },
    ...(hasDeletedAt(collection)
      ? [{ name: 'deleted_at', sql: 'deleted_at timestamptz', needsValue: false }]
      : []),
  ]
  if (there.size === 0) {
    const all = ['id uuid PRIMARY KEY', ...fields.map(({ sql }) => sql), ...ours.map(({ sql }) => sql)]
    steps.push({ says: `create table ${table}`, sql: `CREATE TABLE ${table} (\n  ${all.join(',\n  ')}\n)` })
  } else {
    for (const { name: column, sql, needsValue } of [...fields, ...ours]) {
      if (there.has(column)) continue
      if (needsValue && (await db.get(`SELECT 1 FROM ${table} LIMIT 1`)))
        refusals.push(
          `${table}.${column} is new and required: give it a default for the rows there are, or make it optional`,
        )
      steps.push({
        says: `add column ${table}.${column}`,
        sql: `ALTER TABLE ${table} ADD COLUMN ${sql}`,
      })
    }
  }
  for (const index of collection.indexes) {
    const indexName = quoteName(`holdfast_${collection.name}_${index.join('_')}`.slice(0, 63))
    const on = [...index.map((field) => naming.column(collection, field)), 'id'].join(', ')
    steps.push({
      says: `index ${table} (${index.join(', ')})`,
      sql: `CREATE INDEX IF NOT EXISTS ${indexName} ON ${table} (${on})`,
    })
  }
  steps.push(
    ...captureStatements(naming, collection).map((sql) => ({
      says: `capture ${table}: ${saysOf(sql)}`,
      sql,
    })),
  )
  return steps
}

/** Carries a plan out, in one transaction that the caller began. Errors: SCHEMA_INVALID when it was refused. */
export async function runMigration(db: Connection, plan: MigrationPlan): Promise<void> {
  const [refusal] = plan.refusals
  if (refusal !== undefined) throw new SyncError('SCHEMA_INVALID', refusal)
  for (const { sql } of plan.steps) await db.exec(sql)
}
