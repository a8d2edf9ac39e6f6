import cliProgress from 'cli-progress'

import { formatBytes, formatCount, padTo } from './layout.ts'
import type { Narrator, Tone } from './narrator.ts'

const barColumns = 20

/** What is being shown: whose progress, and how far it is. */
export interface ProgressLine {
  /** How far: rows received so far. */
  update(rows: number): void
  /** Ends the bar and leaves one line that says what was done. */
  done(total: { readonly rows: number; readonly bytes: number; readonly ms: number }): void
}

/** A progress bar in a terminal; without one only the last line appears. */
export function startProgress(options: {
  readonly label: string
  readonly tone: Tone
  readonly total: number
  readonly tell: Narrator
  readonly isTerminal: boolean
}): ProgressLine {
  const { tell, total } = options
  const label = tell.tint(options.tone, padTo(options.label, 7))
  const bar = new cliProgress.SingleBar({
    format: `  ${label}  {bar}  {value} / {total} rows`,
    barCompleteChar: '━',
    barIncompleteChar: '─',
    barsize: barColumns,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    noTTYOutput: false,
    stream: process.stdout,
  })
  if (options.isTerminal) bar.start(total, 0)
  return {
    update: (rows) => {
      if (options.isTerminal) bar.update(Math.min(rows, total))
    },
    done: ({ rows, bytes, ms }) => {
      if (options.isTerminal) bar.stop()
      const speed = formatCount((rows * 1000) / Math.max(1, ms))
      const facts = [
        `${formatCount(rows)} rows`,
        formatBytes(bytes),
        `${Math.round(ms)} ms`,
        `${speed} rows/s`,
      ]
      tell.item(label, [`${tell.tint(options.tone, '━'.repeat(barColumns))}  ${facts.join('  ')}`])
    },
  }
}
