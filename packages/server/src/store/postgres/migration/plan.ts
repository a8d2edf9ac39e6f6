import { describeSchema } from '@holdfast/core'
import { quoteText } from '../columns.ts'
import type { Connection } from '../connection.ts'
import { postgresLayout, systemFunctions, systemTables } from '../system-tables.ts'
import { captureSteps } from './missing-statements.ts'
import { planTable } from './plan-table.ts'
import { describedCollections, sharedTables } from './schema-change.ts'
import { stateOf } from './state.ts'
import type { MigrationPlan, MigrationSetup, PlanParts } from './steps.ts'

const oldestPostgres = 14

/**
 * Compares the database with the schema: what is missing is added, nothing is ever dropped or rewritten but our own
 * functions, triggers and unfinished indexes. Reads only. Errors: STORE_NEWER. Rules: FE-12, MI-1 to MI-6.
 */
export async function makePlan(db: Connection, { schema, naming }: MigrationSetup): Promise<MigrationPlan> {
  const parts: PlanParts = { steps: [], refusals: [], notes: [] }
  const first = (await refuseServer(db)) ?? (await refuseOurs(db))
  if (first !== undefined) return { ...parts, refusals: [first] }
  const before = await stateOf(db, schema)
  parts.refusals.push(
    ...(await refuseRights(db, { schema, naming })),
    ...sharedTables(schema, (collection) => naming.table(collection)),
  )
  await planSystem(db, before?.layout, parts)
  const known = describedCollections(before?.described ?? '')
  for (const collection of schema.collections.values())
    await planTable(db, { naming, collection, before: known.get(collection.name), parts })
  const described = describeSchema(schema)
  if (before?.described !== described || before.layout < postgresLayout)
    parts.steps.push({
      kind: 'state',
      says: `note that the database is prepared for schema version ${schema.version}`,
      sql: `INSERT INTO holdfast.state (one, epoch, layout, schema_version, described)
  VALUES (1, gen_random_uuid()::text, ${postgresLayout}, ${schema.version}, ${quoteText(described)})
  ON CONFLICT (one) DO UPDATE SET layout = excluded.layout, schema_version = excluded.schema_version, described = excluded.described
    WHERE state.layout <= excluded.layout AND state.schema_version <= excluded.schema_version`,
    })
  return parts
}

async function planSystem(db: Connection, layout: number | undefined, { steps }: PlanParts): Promise<void> {
  const names = systemTables.flatMap(
    (sql) => /(?:TABLE|INDEX|SEQUENCE) IF NOT EXISTS (?:holdfast\.)?(\w+)/.exec(sql)?.[1] ?? [],
  )
  const row = await db.get(
    `SELECT count(*) AS found FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'holdfast' AND c.relname = ANY($1::text[])`,
    names,
  )
  if (Number(row?.['found']) < names.length || (layout !== undefined && layout < postgresLayout))
    steps.push({
      kind: 'structure',
      says: 'make the schema holdfast with our own tables: feed, outcomes, audit, conflicts, devices, clocks',
      sql: systemTables.join(';\n'),
    })
  steps.push(
    ...(await captureSteps(db, systemFunctions, 'make the functions that number and stamp transactions')),
  )
}

async function refuseServer(db: Connection): Promise<string | undefined> {
  const row = await db.get(
    `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
       pg_is_in_recovery() AS standby, current_setting('server_encoding') AS encoding`,
  )
  if (Number(row?.['number']) < oldestPostgres * 10_000)
    return `this is PostgreSQL ${String(row?.['version'])}; ${oldestPostgres} is the oldest that will do`
  if (row?.['standby'] === true) return 'this server is a standby: migrate the primary'
  if (row?.['encoding'] !== 'UTF8')
    return `the database is encoded as ${String(row?.['encoding'])}: texts of devices need UTF8`
  return undefined
}

/** Our schema is not ours to look into when it is another role's. */
async function refuseOurs(db: Connection): Promise<string | undefined> {
  const row = await db.get(
    `SELECT pg_get_userbyid(n.nspowner)::text AS owner,
       pg_has_role(n.nspowner, 'USAGE') AND NOT EXISTS (SELECT 1 FROM pg_class c
         WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'S') AND NOT pg_has_role(c.relowner, 'USAGE')) AS owned
     FROM pg_namespace n WHERE n.nspname = 'holdfast'`,
  )
  if (!row || row['owned'] === true) return undefined
  return `our schema holdfast, or a table in it, belongs to another role than this one (the schema to ${String(row['owner'])}): run as that role`
}

async function refuseRights(db: Connection, { schema, naming }: MigrationSetup): Promise<readonly string[]> {
  const refusals: string[] = []
  const ours = await db.get(
    `SELECT current_user::text AS role, current_database()::text AS database,
       to_regnamespace('holdfast') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE') AS may`,
  )
  const role = String(ours?.['role'])
  if (ours?.['may'] !== true)
    refusals.push(
      `the role ${role} may not make our schema holdfast: GRANT CREATE ON DATABASE ${String(ours?.['database'])} TO ${role}`,
    )
  const namespaces = [...schema.collections.values()].map((collection) => naming.tableParts(collection)[0])
  for (const namespace of new Set(namespaces)) {
    const row = await db.get(
      `SELECT has_schema_privilege(n.oid, 'CREATE') AS may FROM pg_namespace n WHERE n.nspname = $1`,
      namespace,
    )
    if (!row) refusals.push(`there is no schema ${namespace}: CREATE SCHEMA it first`)
    else if (row['may'] !== true)
      refusals.push(
        `the role ${role} may not add to the schema ${namespace}: GRANT CREATE ON SCHEMA ${namespace} TO ${role}`,
      )
  }
  return refusals
}
