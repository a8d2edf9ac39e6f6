/** A cell of a report. */
export type Cell = string | number | null

/** Characters of a cell that are shown; the rest is in the JSON output. */
const cellLength = 60

/** Rows as aligned lines under a line of their column names; nothing for no rows. Numbers stand right. */
export function formatTable(rows: readonly Readonly<Record<string, Cell>>[]): readonly string[] {
  const [first] = rows
  if (!first) return []
  const names = Object.keys(first)
  const texts = [names, ...rows.map((row) => names.map((name) => cellText(row[name] ?? null)))]
  const widths = names.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)))
  return texts.map((row, index) =>
    row
      .map((text, column) => {
        const isNumber = index > 0 && typeof rows[index - 1]?.[names[column] ?? ''] === 'number'
        return isNumber ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0)
      })
      .join('  ')
      .trimEnd(),
  )
}

/** A cell as a terminal shows it: what somebody wrote moves no cursor and changes no colour. */
export function plainText(cell: Cell): string {
  return cell === null ? '-' : String(cell).replaceAll(/\p{Cc}/gu, ' ')
}

function cellText(cell: Cell): string {
  const text = plainText(cell)
  return text.length > cellLength ? `${text.slice(0, cellLength - 1)}…` : text
}
