import type { JudgedLine } from './summarize.ts'

const titles = ['case', 'unit', 'ours', 'limit', 'ratio', 'min–max', 'goal', '']

/** The table a run prints, with the figures beside the values below it. */
export function formatTable(judged: readonly JudgedLine[]): string {
  const cells = [titles, ...judged.map(cellsOf)]
  const widths = titles.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  const lines = cells.map((row) =>
    row
      .map((cell, column) =>
        isNumeric(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
  return [...lines, ...judged.flatMap(noteLines)].join('\n')
}

/** Three digits that matter, thousands set apart. */
function formatNumber(value: number): string {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.max(Math.abs(value), 1e-6))))
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

function cellsOf({ line, goal, isReached }: JudgedLine): string[] {
  const { ours, limit, ratio, min, max } = line
  const mark = isReached === undefined ? '' : isReached ? '✓' : '✗'
  const range = `${min.toFixed(2)}–${max.toFixed(2)}`
  return [line.case, line.unit, formatNumber(ours), formatNumber(limit), ratio.toFixed(2), range, goal, mark]
}

function isNumeric(column: number): boolean {
  return column >= 2 && column <= 5
}

function noteLines({ line, notes }: JudgedLine): string[] {
  const parts = Object.entries(notes).map(([name, value]) => `${name} ${formatNumber(value)}`)
  return parts.length === 0 ? [] : [`  ${line.case}: ${parts.join(', ')}`]
}
