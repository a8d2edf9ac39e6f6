import type { SqlRow, SqlValue, StatementDescription } from '../drivers/sqlite-driver.ts'
import type { RowwiseQuery, SortKey } from './query-tree.ts'

/** How some rows of a result are read again. */
export interface PatchPlan {
  readonly table: string
  /** The query for some records: one parameter more, the last, a JSON array of their ids. */
  readonly sql: string
  readonly sortKeys: readonly SortKey[]
}

/** Undefined where rows of the result cannot be told by their ids, or not be put in their places. Rules: LQ-9. */
export function patchPlan(
  { sql, rowwise }: { readonly sql: string; readonly rowwise?: RowwiseQuery | undefined },
  { columns }: StatementDescription,
): PatchPlan | undefined {
  if (rowwise === undefined) return undefined
  const { table, sortKeys } = rowwise
  // Around a query SQLite gives other names to columns whose names are equal but for the case.
  if (new Set(columns.map(({ name }) => name.toLowerCase())).size < columns.length) return undefined
  const isShown = (name: string): boolean =>
    columns.some((each) => each.name === name && each.table === table && each.column === name)
  if (!isShown('id') || !sortKeys.every(({ column }) => isShown(column))) return undefined
  // SQLite moves the condition into the query, where it finds the rows by their keys.
  return { table, sortKeys, sql: `SELECT * FROM (${sql}) WHERE id IN (SELECT value FROM json_each(?))` }
}

/** Rows of a result that were read again. */
interface FreshRows {
  /** Records that were asked for. */
  readonly ids: ReadonlySet<string>
  /** The rows of those that the result has now. */
  readonly rows: readonly SqlRow[]
}

/**
 * A result with some of its rows read again: what is not among them is gone, what has other sort keys or is new goes to
 * its place, among its equals by id. Undefined where nobody can tell the place. Rules: LQ-9.
 */
export function patchRows(
  before: readonly SqlRow[],
  fresh: FreshRows,
  sortKeys: readonly SortKey[],
): readonly SqlRow[] | undefined {
  const arriving = new Map(fresh.rows.map((row) => [row['id'], row]))
  const kept: SqlRow[] = []
  for (const row of before) {
    const { id } = row
    if (typeof id !== 'string' || !fresh.ids.has(id)) {
      kept.push(row)
      continue
    }
    const next = arriving.get(id)
    if (next === undefined || compareKeys(row, next, sortKeys) !== 0) continue
    kept.push(next)
    arriving.delete(id)
  }
  if (arriving.size > 0 && sortKeys.length === 0) return undefined
  // Ids say when a record was made, and so mostly where SQLite keeps its row among equals.
  const order = [...sortKeys, { column: 'id', isDescending: false }]
  for (const row of arriving.values()) kept.splice(placeBehind(kept, row, order), 0, row)
  return kept
}

/** The first place whose row comes behind `row`. */
function placeBehind(rows: readonly SqlRow[], row: SqlRow, sortKeys: readonly SortKey[]): number {
  let [low, high] = [0, rows.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const other = rows[middle]
    if (other !== undefined && compareKeys(other, row, sortKeys) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

function compareKeys(left: SqlRow, right: SqlRow, sortKeys: readonly SortKey[]): number {
  for (const { column, isDescending } of sortKeys) {
    const order = compareValues(left[column] ?? null, right[column] ?? null)
    if (order !== 0) return isDescending ? -order : order
  }
  return 0
}

/** SQLite's order of values: NULL, numbers, text by its bytes of UTF-8, blobs. Source: https://www.sqlite.org/datatype3.html#comparisons */
function compareValues(left: SqlValue, right: SqlValue): number {
  if (typeof left === 'string' && typeof right === 'string') return compareText(left, right)
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (left instanceof Uint8Array && right instanceof Uint8Array) return compareBytes(left, right)
  return rankOf(left) - rankOf(right)
}

function rankOf(value: SqlValue): number {
  if (value === null) return 0
  if (typeof value === 'number') return 1
  return typeof value === 'string' ? 2 : 3
}

/** Bytes of UTF-8 are ordered like code points; units of UTF-16 are not where a surrogate meets what lies above them. */
function compareText(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const [one, other] = [left.charCodeAt(index), right.charCodeAt(index)]
    if (one !== other) return codePointOrder(one) - codePointOrder(other)
  }
  return left.length - right.length
}

/** Surrogates stand for code points above all others. */
function codePointOrder(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}
