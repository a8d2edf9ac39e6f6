import type { SqlRow } from '../drivers/sqlite-driver.ts'

/**
 * The newest result of a query, stored rows beside decoded ones: comparing stored values is cheap. Rows that did not
 * change stay the same objects, wherever they move. Rules: LQ-2, LQ-3.
 */
export class RowView {
  #stored: readonly SqlRow[] | undefined
  #rows: readonly unknown[] = []

  /** As the app reads them; the same array until a result differs. */
  get rows(): readonly unknown[] {
    return this.#rows
  }

  /** As they were stored. */
  get stored(): readonly SqlRow[] {
    return this.#stored ?? []
  }

  /** Takes over a result; true when it differs from the last one. */
  take(stored: readonly SqlRow[], decode: (row: SqlRow) => unknown): boolean {
    const before = this.#stored
    const places = before === undefined || isInPlace(before, stored) ? undefined : placesById(before)
    let isSame = before?.length === stored.length
    const rows = stored.map((row, index) => {
      const place = places === undefined ? index : (places.get(row['id']) ?? -1)
      const known = before?.[place]
      if (known !== undefined && (known === row || rowsEqual(known, row))) {
        if (place !== index) isSame = false
        return this.#rows[place]
      }
      isSame = false
      return decode(row)
    })
    this.#stored = stored
    if (isSame) return false
    this.#rows = rows
    return true
  }
}

/** Whether the rows that both results have lie at the same places, as far as their ids tell. */
function isInPlace(before: readonly SqlRow[], after: readonly SqlRow[]): boolean {
  return before.length === after.length && after.every((row, index) => row.id === before[index]?.id)
}

function placesById(rows: readonly SqlRow[]): ReadonlyMap<unknown, number> {
  return new Map(rows.map((row, index) => [row.id, index]))
}

function rowsEqual(left: SqlRow, right: SqlRow): boolean {
  for (const name in right) {
    const [one, other] = [left[name], right[name]]
    if (
      one !== other &&
      !(one instanceof Uint8Array && other instanceof Uint8Array && bytesEqual(one, other))
    )
      return false
  }
  return true
}

function bytesEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index])
}
