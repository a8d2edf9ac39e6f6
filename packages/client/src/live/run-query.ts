import { type FieldKind, type Schema, SyncError } from '@holdfast/core'
import {
  type Compilable,
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { ReadonlyQueryCreator } from 'kysely/readonly'

import type { SqlParam, SqlRow, StatementDescription } from '../drivers/sqlite-driver.ts'
import type { LocalReader } from '../local/local-database.ts'
import { columnToValue } from '../local/tables.ts'
import { type PatchPlan, patchPlan } from './patch-rows.ts'
import { type RowwiseQuery, rowwiseQuery, tablesIn } from './query-tree.ts'

/**
 * Builds a query with Kysely; it is compiled and run by the client, so return it without executing it:
 * `(q) => q.selectFrom('items').where('stock', '<', 5).selectAll()`.
 */
export type QueryBuilder<Tables, Row> = (q: ReadonlyQueryCreator<Tables>) => Compilable<Row>

/** A query as SQLite takes it. */
export interface StoredQuery {
  readonly sql: string
  readonly params: readonly SqlParam[]
  /** Undefined where a row can only be read with the others. */
  readonly rowwise?: RowwiseQuery | undefined
}

/** A query that is ready to run. */
export interface PreparedQuery extends StoredQuery {
  /** Tables it reads; undefined when nobody can tell, and then any change may concern it. */
  readonly tables: ReadonlySet<string> | undefined
  readonly patch: PatchPlan | undefined
  /** Turns a stored row into one the app reads. */
  readonly decode: (row: SqlRow) => unknown
}

const builder = new Kysely<never>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (database) => new SqliteIntrospector(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
})

/** Compiles a query. Errors: VALUE_INVALID when it writes, or is bound to something SQLite cannot hold. */
export function compileQuery<Tables, Row>(build: QueryBuilder<Tables, Row>): CompiledQuery<Row> {
  // The builder knows no tables of its own: names are checked by the types alone, and by SQLite.
  const compiled = build(builder as unknown as ReadonlyQueryCreator<Tables>).compile()
  if (compiled.query.kind !== 'SelectQueryNode' && compiled.query.kind !== 'RawNode') {
    throw new SyncError(
      'VALUE_INVALID',
      'a query only reads; write through the collections, so that it is synced',
    )
  }
  return compiled
}

/** What of a compiled query crosses to whoever runs it. Errors: VALUE_INVALID. */
export function storedQuery(compiled: CompiledQuery<unknown>): StoredQuery {
  return {
    sql: compiled.sql,
    params: compiled.parameters.map(paramOf),
    rowwise: rowwiseQuery(compiled.query),
  }
}

/** Prepares a query: what it reads, and how its rows are decoded. */
export async function prepareQuery<Row>(
  schema: Schema,
  compiled: CompiledQuery<Row>,
  describe: (sql: string) => Promise<StatementDescription>,
): Promise<PreparedQuery> {
  const description = await describe(compiled.sql)
  const stored = storedQuery(compiled)
  return {
    ...stored,
    tables: description.tables ?? tablesIn(compiled.query),
    patch: patchPlan(stored, description),
    decode: decoderOf(schema, description.columns),
  }
}

/** Runs a query inside a transaction, or on its own. */
export async function runQuery(tx: LocalReader, query: PreparedQuery): Promise<readonly unknown[]> {
  return (await tx.all(query.sql, query.params)).map(query.decode)
}

function paramOf(value: unknown): SqlParam {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value
  if (typeof value === 'boolean' || typeof value === 'bigint' || value instanceof Uint8Array) return value
  throw new SyncError(
    'VALUE_INVALID',
    `a query cannot be bound to ${typeof value}; use text, a number, a boolean or null`,
  )
}

/**
 * Values that come from a field unchanged, under whatever name and through subqueries, are decoded by its kind; results
 * of expressions are what SQLite makes of the stored form. `_scopes` is ours and is left out.
 */
export function decoderOf(
  schema: Schema,
  columns: StatementDescription['columns'],
): (row: SqlRow) => unknown {
  const kinds: (readonly [name: string, kind: FieldKind])[] = []
  const hidden: string[] = []
  for (const { name, table, column } of columns) {
    const kind = schema.collections.get(table ?? '')?.fieldsByName.get(column ?? '')?.kind
    if (kind !== undefined && needsDecoding(kind)) kinds.push([name, kind])
    if (table !== null && column === '_scopes') hidden.push(name)
  }
  return (row) => {
    const decoded: Record<string, unknown> = { ...row }
    for (const [name, kind] of kinds) decoded[name] = columnToValue(kind, row[name])
    for (const name of hidden) delete decoded[name]
    return decoded
  }
}

function needsDecoding(kind: FieldKind): boolean {
  return kind === 'boolean' || kind === 'json' || kind === 'set' || kind === 'attachment'
}
