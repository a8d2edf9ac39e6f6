import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { RowsDiff } from './tab-messages.ts'

/** What turns one result into the next, where rows that stayed are the same objects. Rules: BR-8. */
export function diffRows(before: readonly SqlRow[], after: readonly SqlRow[]): RowsDiff {
  const diff: ([number, number] | { rows: SqlRow[] })[] = []
  let places: ReadonlyMap<SqlRow, number> | undefined
  const placeOf = (row: SqlRow, expected: number): number | undefined => {
    if (before[expected] === row) return expected
    places ??= new Map(before.map((each, index) => [each, index]))
    return places.get(row)
  }
  let expected = 0
  for (const row of after) {
    const place = placeOf(row, expected)
    const last = diff.at(-1)
    if (place === undefined) {
      if (last !== undefined && 'rows' in last) last.rows.push(row)
      else diff.push({ rows: [row] })
      // A changed row stays where it was as a rule.
      expected++
      continue
    }
    if (last !== undefined && !('rows' in last) && last[0] + last[1] === place) last[1]++
    else diff.push([place, 1])
    expected = place + 1
  }
  return diff
}

/** The next result, with the rows of the last one wherever they stayed. */
export function applyDiff(before: readonly SqlRow[], diff: RowsDiff): readonly SqlRow[] {
  return diff.flatMap((part) => ('rows' in part ? part.rows : before.slice(part[0], part[0] + part[1])))
}
