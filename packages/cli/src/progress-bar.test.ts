import { PassThrough } from 'node:stream'
import type { WriteStream } from 'node:tty'

import { expect, test } from 'vitest'

import { progressBar } from './progress-bar.ts'

const escape = '\u001b'
/** What is told to a terminal, or one character to be shown. */
const parts = new RegExp(`${escape}(?:[78]|\\[\\??\\d*[A-Za-z])|\\r?\\n|\\r|[^]`, 'gu')

/** What a terminal shows, by line, of what was written to it from its first line on. */
function screenOf(text: string): readonly string[] {
  const lines: string[] = ['']
  let [row, column, savedRow] = [0, 0, 0]
  for (const [part] of text.matchAll(parts)) {
    const line = (): string => lines[row] ?? ''
    if (part === `${escape}7`) savedRow = row
    else if (part === `${escape}8`) [row, column] = [savedRow, 0]
    else if (part === `${escape}[1G` || part === '\r') column = 0
    else if (part === `${escape}[0K`) lines[row] = line().slice(0, column)
    else if (part === `${escape}[2K`) lines[row] = ''
    else if (part.endsWith('\n')) [row, column] = [row + 1, 0]
    else if (!part.startsWith(escape)) {
      lines[row] = line().slice(0, column).padEnd(column) + part + line().slice(column + 1)
      column += 1
    }
  }
  return lines.map((line) => line.trimEnd()).filter((line) => line !== '')
}

test('[OP-32] what is said while a bar is drawn stays, and of the bar nothing', () => {
  let written = ''
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 80, rows: 30 })
  stream.on('data', (chunk) => (written += String(chunk)))
  // A bar asks of a terminal no more than that.
  const bar = progressBar(stream as unknown as WriteStream)
  bar.update(0.5, '3 runs, 900 operations')
  bar.say('ends after this run')
  expect(screenOf(written)).toEqual(['ends after this run', expect.stringContaining('50 %  3 runs')])
  bar.stop()
  expect(screenOf(`${written}no faults\n`)).toEqual(['ends after this run', 'no faults'])
})
