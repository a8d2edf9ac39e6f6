/** A row with what tells whether it changed. */
type Row = { readonly id: string }

/** One difference to what is shown. */
export interface RowChange {
  readonly type: 'insert' | 'update' | 'delete'
  readonly row: Row
}

/** What a collection was told, and how to tell it what differs. */
export interface RowMap {
  /** From now on `tell` hears of changes; nothing was told before. */
  begin(tell: (changes: readonly RowChange[]) => void): void
  end(): void
  /** All rows there are. */
  replace(rows: readonly Row[]): void
  /** One row, or that there is none of that id. */
  put(id: string, row: Row | undefined): void
}

/** Makes the memory of what one collection shows. Between `end` and `begin` nothing is told or kept. */
export function rowMap(): RowMap {
  let tell: ((changes: readonly RowChange[]) => void) | undefined
  const rows = new Map<string, Row>()
  const change = (id: string, row: Row | undefined): RowChange[] => {
    const known = rows.get(id)
    if (row === undefined) {
      rows.delete(id)
      return known === undefined ? [] : [{ type: 'delete', row: known }]
    }
    rows.set(id, row)
    if (known === undefined) return [{ type: 'insert', row }]
    return isSameRow(known, row) ? [] : [{ type: 'update', row }]
  }
  return {
    begin: (listener) => {
      rows.clear()
      tell = listener
    },
    end: () => {
      rows.clear()
      tell = undefined
    },
    replace: (all) => {
      if (tell === undefined) return
      const ids = new Set(all.map(({ id }) => id))
      const gone = [...rows.keys()].filter((id) => !ids.has(id))
      tell([...gone.flatMap((id) => change(id, undefined)), ...all.flatMap((row) => change(row.id, row))])
    },
    put: (id, row) => tell?.(change(id, row)),
  }
}

/** A watch gives unchanged rows as the same objects; a row read by itself is another object with the same values. */
function isSameRow(known: Row, row: Row): boolean {
  return known === row || JSON.stringify(known) === JSON.stringify(row)
}
