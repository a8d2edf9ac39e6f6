import { type CollectionSchema, type FieldSchema, isObject } from '@holdfast/core'
import { checkOf, columnOf, type Naming } from '../columns.ts'
import type { Connection } from '../connection.ts'
import { quoteName } from '../../sql.ts'
import { captureTable } from './capture-table.ts'
import { ownColumns, refuseTable, unfitValues } from './check-table.ts'
import { enterSql } from './enter-rows.ts'
import { type KeptKeys, missingKeys } from './keep-keys.ts'
import { captureSteps } from './missing-statements.ts'
import { planIndexes } from './make-indexes.ts'
import { changeOf, type CollectionChange } from './schema-change.ts'
import type { PlanParts, RowWork } from './steps.ts'
import { readTable, type TableShape } from './table-shape.ts'

interface TablePlan {
  readonly naming: Naming
  readonly collection: CollectionSchema
  /** What the database was made for before, of this collection. */
  readonly before: Readonly<Record<string, unknown>> | undefined
  /** For what else a migration was begun, which may have gone through some of its rows. */
  readonly begun: readonly Readonly<Record<string, unknown>>[]
  readonly kept: KeptKeys
  readonly parts: PlanParts
}

/** Namespaces in which no table of the host's can be. */
const reserved = new Set(['holdfast', 'pg_catalog', 'information_schema', 'pg_toast'])

/** Adds to the plan what a collection's table lacks. */
export async function planTable(db: Connection, plan: TablePlan): Promise<void> {
  const { naming, collection, before, parts } = plan
  const table = naming.table(collection)
  const [namespace] = naming.tableParts(collection)
  if (reserved.has(namespace)) {
    parts.refusals.push(`${table} lies in a schema that is not the host's: map ${collection.name} elsewhere`)
    return
  }
  const change: CollectionChange =
    before === undefined ? { refusals: [], movesRows: false } : changeOf(collection, before)
  const shape = await readTable(db, table)
  const isAdopted = shape !== null && before === undefined
  parts.refusals.push(...change.refusals)
  if (shape === null) planNewTable(plan)
  else {
    const refusals = refuseTable({ naming, collection, shape })
    parts.refusals.push(...refusals)
    // What cannot be read is not looked into.
    if (refusals.length > 0) return
    const fields = newFields(plan)
    if (isAdopted || fields.some(({ name }) => shape.columns.has(naming.columnName(collection, name))))
      parts.refusals.push(...(await unfitValues(db, { naming, collection, shape }, fields)))
    await planColumns(db, plan, shape)
    noteColumns(plan, shape)
  }
  const capture = captureTable(naming, collection, shape ?? { kind: 'r', partitions: [] })
  parts.steps.push(
    ...(await captureSteps(
      db,
      capture,
      `capture every change of ${table} by functions of ours and triggers`,
    )),
  )
  parts.steps.push(...(await planIndexes(db, plan, shape)))
  const { steps, isUnread } = missingKeys(collection, plan.kept)
  parts.steps.push(...steps)
  if (isAdopted) planRows(plan, shape, 'adopt')
  const isMoved = change.movesRows || plan.begun.some((begun) => changeOf(collection, begun).movesRows)
  if (isMoved && !isAdopted) planRows(plan, shape, 'move')
  // What is entered is read for keys as well; other rows are where the feed has known the table before.
  if (isUnread && (!isAdopted || (await isInFeed(db, collection)))) planRows(plan, shape, 'unique')
}

/** Fields that the database was not made for before, whether their columns are there or not. */
function newFields({ collection, before }: TablePlan): readonly FieldSchema[] {
  const known = isObject(before?.['fields']) ? before['fields'] : {}
  return collection.fields.filter(({ name }) => !Object.hasOwn(known, name))
}

async function isInFeed(db: Connection, { name }: CollectionSchema): Promise<boolean> {
  const there = await db.get(`SELECT to_regclass('holdfast.feed') IS NOT NULL AS there`)
  if (there?.['there'] !== true) return false
  return (await db.get('SELECT 1 FROM holdfast.feed WHERE collection = $1 LIMIT 1', name)) !== undefined
}

/** Our own columns. Defaults are constants, so that PostgreSQL adds them without rewriting the table. */
const ownSql: Readonly<Record<string, string>> = {
  version: 'version bigint NOT NULL DEFAULT 1',
  created_at: 'created_at timestamptz NOT NULL DEFAULT now()',
  updated_at: 'updated_at timestamptz NOT NULL DEFAULT now()',
  server_updated_at: 'server_updated_at timestamptz NOT NULL DEFAULT now()',
  deleted_at: 'deleted_at timestamptz',
}

function planNewTable({ naming, collection, parts }: TablePlan): void {
  const table = naming.table(collection)
  const columns = [
    'id uuid PRIMARY KEY',
    ...collection.fields.map((field) => columnOf(field, naming.column(collection, field.name))),
    ...ownColumns(collection).map((name) => ownSql[name] ?? ''),
  ]
  parts.steps.push({
    kind: 'structure',
    says: `create the table ${table}`,
    sql: `CREATE TABLE ${table} (\n  ${columns.join(',\n  ')}\n)`,
  })
}

async function planColumns(db: Connection, plan: TablePlan, shape: TableShape): Promise<void> {
  const { naming, collection, parts } = plan
  const added = new Set(newFields(plan))
  const table = naming.table(collection)
  const add = (name: string, sql: string): void => {
    parts.steps.push({
      kind: 'structure',
      says: `add the column ${table}.${name}`,
      sql: `ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS ${sql}`,
    })
  }
  for (const field of collection.fields) {
    const name = naming.columnName(collection, field.name)
    const isMissing = !shape.columns.has(name)
    if (isMissing) {
      const isBare = !field.optional && field.default === undefined
      if (isBare && (await db.get(`SELECT 1 FROM ${table} LIMIT 1`)))
        parts.refusals.push(
          `${table}.${name} is new and required: give it a default for the rows there are, or make it optional`,
        )
      add(name, columnOf(field, quoteName(name), { checks: false }))
    }
    const constraint = `holdfast_${name}`.slice(0, 63)
    const check = [
      checkOf(field, quoteName(name)),
      !field.optional && shape.columns.get(name)?.isNullable === true ? `${quoteName(name)} IS NOT NULL` : '',
    ].filter((each) => each !== '')
    if (check.length > 0 && added.has(field) && !shape.constraints.has(constraint))
      parts.steps.push({
        kind: 'structure',
        says: `let ${table}.${name} take only what a ${field.kind} can hold, from now on`,
        sql: `ALTER TABLE ${table} ADD CONSTRAINT ${quoteName(constraint)} CHECK (${check.join(' AND ')}) NOT VALID`,
      })
  }
  for (const name of ownColumns(collection)) if (!shape.columns.has(name)) add(name, ownSql[name] ?? '')
}

/** What devices may run into. */
function noteColumns({ naming, collection, parts }: TablePlan, shape: TableShape): void {
  const table = naming.table(collection)
  const ours = new Set(['id', ...ownColumns(collection)])
  for (const field of collection.fields) ours.add(naming.columnName(collection, field.name))
  const strict = [...shape.columns.values()].filter(
    (column) => !ours.has(column.name) && !column.isNullable && !column.hasDefault && !column.isGenerated,
  )
  for (const { name } of strict)
    parts.notes.push(
      `${table}.${name} is NOT NULL without a default and no field: no device can create a record until it has one`,
    )
  if (shape.hidesRows)
    parts.notes.push(`${table} forces row level security: the server sees what its policies let its role see`)
}

const workSays: Readonly<Record<RowWork, string>> = {
  adopt: 'bring the rows of {} into the feed, in batches',
  move: 'move the rows of {} to the scopes they lie in now, in batches',
  unique: 'read the unique keys of the rows of {}, in batches',
}

function planRows({ naming, collection, parts }: TablePlan, shape: TableShape | null, work: RowWork): void {
  if (shape === null) return
  const table = naming.table(collection)
  const about = shape.rows > 0 ? ` (about ${Math.round(shape.rows)})` : ''
  parts.steps.push({
    kind: 'rows',
    says: workSays[work].replace('{}', table) + about,
    sql: enterSql({ naming, collection }, work),
    rows: { collection: collection.name, work },
  })
}
