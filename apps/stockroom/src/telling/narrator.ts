import { createColors } from 'picocolors'

import { type ProgressBar, progressBar } from './progress.ts'
import { padTo, sideBySide, table, wrap } from './layout.ts'

/** Who or what a text is about; decides its colour, the same throughout the tour. */
export type Tone = 'ana' | 'ben' | 'cleo' | 'server' | 'plain'

/** One side of a comparison: who, and what they do. */
export interface Panel {
  readonly name: string
  readonly tone: Tone
  /** Such as "offline"; shown behind the name. */
  readonly state?: string
  readonly lines: readonly string[]
}

/** A field as it stands in each place. */
interface PlaceValues {
  readonly label: string
  readonly values: readonly string[]
}

/** Where the tour writes to. */
export interface NarratorOptions {
  readonly write: (text: string) => void
  readonly columns: number
  readonly hasColors: boolean
  /** Whether what was written can be written over: for progress bars. */
  readonly isTerminal?: boolean
}

/** Tells the tour: knows how things look, and nothing of what they mean. */
export interface Narrator {
  /** Columns that a line may have. */
  readonly width: number
  /** Columns that are left of a line beside a label. */
  readonly bodyWidth: number
  /** The opening lines. */
  banner(title: string, text: string): void
  /** A ruled heading. */
  chapter(heading: { readonly label: string; readonly title: string }): void
  /** A paragraph. */
  say(text: string): void
  /** A small heading at the margin with its lines beside it. */
  item(label: string, lines: readonly string[]): void
  /** What two people do at the same time. */
  beside(left: Panel, right: Panel): void
  /** Values by place: the header names the places. */
  places(
    header: readonly { readonly name: string; readonly tone: Tone }[],
    rows: readonly PlaceValues[],
  ): void
  /** Rows in aligned columns. */
  list(rows: readonly (readonly string[])[]): void
  /** Whether what was promised came true. */
  verdict(isHeld: boolean, text: string): void
  /** A bar that fills up while something takes its time, and is gone when it is over. Nothing where nothing moves. */
  progress(label: string, total: number): ProgressBar
  /** Lines as they are, never broken: what somebody will copy. */
  raw(lines: readonly string[]): void
  gap(): void
  /** `text` in the colour of `tone`. */
  tint(tone: Tone, text: string): string
  dim(text: string): string
  good(text: string): string
  strong(text: string): string
}

const indent = '  '
/** As wide as the longest name of a field, and two blanks. */
const labelWidth = 13

/** Wide enough to be read on 80 columns, and no wider than an eye likes to follow. */
const widest = 100

/** A narrator for a terminal or, without colours, for a file or a pipe. */
export function createNarrator({ write, columns, hasColors, isTerminal = false }: NarratorOptions): Narrator {
  const colors = createColors(hasColors)
  const width = Math.max(60, Math.min(columns, widest)) - 2 * indent.length
  const print = (lines: readonly string[]): void => {
    for (const line of lines) write(line === '' ? '\n' : `${indent}${line}\n`)
  }
  const tint = (tone: Tone, text: string): string => {
    if (tone === 'plain') return text
    return { ana: colors.cyan, ben: colors.magenta, cleo: colors.yellow, server: colors.blue }[tone](text)
  }
  const item = (label: string, lines: readonly string[]): void => {
    const wrapped = lines.flatMap((line) => wrap(line, width - labelWidth))
    print(wrapped.map((line, row) => `${colors.dim(padTo(row === 0 ? label : '', labelWidth))}${line}`))
  }
  return {
    width,
    bodyWidth: width - labelWidth,
    banner: (title, text) => print(['', colors.bold(title), ...wrap(colors.dim(text), width), '']),
    chapter: ({ label, title }) => {
      const head = `── ${label} ─ ${title} `
      const rule = '─'.repeat(Math.max(2, width - head.length))
      print(['', `${colors.dim(`── ${label} ─`)} ${colors.bold(title)} ${colors.dim(rule)}`])
    },
    say: (text) => print(wrap(text, width)),
    item,
    beside: (left, right) => {
      const linesOf = (panel: Panel): readonly string[] => [
        tint(panel.tone, colors.bold(panel.name)) +
          (panel.state === undefined ? '' : colors.dim(` · ${panel.state}`)),
        ...panel.lines,
      ]
      print(sideBySide({ left: linesOf(left), right: linesOf(right), width, bar: colors.dim('│') }))
    },
    places: (header, rows) => {
      const head = ['', ...header.map(({ name, tone }) => tint(tone, name))]
      print(
        table(
          [head, ...rows.map(({ label, values }) => [colors.dim(padTo(label, labelWidth - 2)), ...values])],
          7,
        ),
      )
    },
    list: (rows) => print(table(rows).flatMap((row) => wrap(row, width))),
    verdict: (isHeld, text) => {
      const mark = isHeld ? colors.green('✓') : colors.red('✗')
      const [first = '', ...others] = wrap(text, width - 2)
      print([`${mark} ${isHeld ? first : colors.red(first)}`, ...others.map((line) => `  ${line}`)])
    },
    progress: (label, total) =>
      progressBar(isTerminal ? `${indent}${padTo(label, labelWidth)}` : undefined, total),
    raw: print,
    gap: () => write('\n'),
    tint,
    dim: colors.dim,
    good: colors.green,
    strong: colors.bold,
  }
}

/** Whether a stream should get colours: a terminal that can, unless NO_COLOR says otherwise. */
export function wantsColors(
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return stream.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb'
}
