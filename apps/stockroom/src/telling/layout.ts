import { stripVTControlCharacters } from 'node:util'

/** How many columns a text takes; colours take none. Every letter of the tour is one column wide. */
export function widthOf(text: string): number {
  return stripVTControlCharacters(text).length
}

/** The text with blanks behind it up to `width` columns. */
export function padTo(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)))
}

/**
 * The text broken at blanks into lines of at most `width` columns; a longer word gets a line of its own. A text that
 * fits stays as it is, and a colour that is cut goes on in the next line.
 */
export function wrap(text: string, width: number): readonly string[] {
  if (widthOf(text) <= width) return [text]
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (widthOf(longer) <= width || line === '') line = longer
    else {
      lines.push(line)
      line = word
    }
  }
  return carryColors([...lines, line])
}

const colorCode = new RegExp(`${String.fromCharCode(27)}\\[(\\d+)m`, 'g')

/** Ends the colours that are still on at the end of a line, and begins the next line with them. */
function carryColors(lines: readonly string[]): readonly string[] {
  let active: readonly string[] = []
  return lines.map((line) => {
    const begun = active.join('') + line
    for (const [code, number] of line.matchAll(colorCode)) {
      const isEnd = ['0', '22', '39'].includes(number ?? '')
      active = isEnd ? active.slice(0, -1) : [...active, code]
    }
    return active.length === 0 ? begun : `${begun}\u001B[0m`
  })
}

/** The text, or its beginning and an ellipsis when it is wider than `width`. For texts without colours. */
export function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1)).trimEnd()}…`
}

/** Two blocks of lines next to each other, `width` columns together, with a bar between them. */
export function sideBySide(blocks: {
  left: readonly string[]
  right: readonly string[]
  width: number
  bar: string
}): readonly string[] {
  const half = Math.floor((blocks.width - 3) / 2)
  const left = blocks.left.flatMap((line) => wrapIndented(line, half))
  const right = blocks.right.flatMap((line) => wrapIndented(line, half))
  const height = Math.max(left.length, right.length)
  return Array.from({ length: height }, (_, row) =>
    `${padTo(left[row] ?? '', half)} ${blocks.bar} ${right[row] ?? ''}`.trimEnd(),
  )
}

/** Rows of cells in aligned columns of at least `leastWidth`, two blanks apart. */
export function table(rows: readonly (readonly string[])[], leastWidth = 0): readonly string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? leastWidth, widthOf(cell))
    }
  }
  return rows.map((row) =>
    row
      .map((cell, column) => padTo(cell, widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** Breaks a line; what goes on in the next one is set in by two, so that it reads as one item. */
function wrapIndented(line: string, width: number): readonly string[] {
  if (widthOf(line) <= width) return [line]
  const [first = '', ...others] = wrap(line, width - 2)
  return [first, ...others.map((other) => `  ${other}`)]
}

const byteUnits = ['B', 'kB', 'MB', 'GB'] as const

/** Bytes for people: `514 B`, `1.2 kB`, `3.4 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < byteUnits.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${byteUnits[unit]}`
}

/** Whole numbers for people: `3,200`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}
