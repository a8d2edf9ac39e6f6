import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

const program = fileURLToPath(new URL('./main.ts', import.meta.url))

/** Runs the tour as a newcomer does, with lines on its stdin, to its end. */
async function runMain(
  args: readonly string[],
  input = '',
): Promise<{ readonly code: unknown; readonly output: string }> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  return { code, output }
}

test('the tour played once ends well: every story came true and all copies are equal', {
  timeout: 90_000,
}, async () => {
  const { code, output } = await runMain(['--once'])
  expect(output).toContain('3,200 of 3,201 films usable')
  expect(output).toContain('11 of 11 stories came out as promised.')
  expect(output).toContain('3,200 rows are the same on both devices and the server')
  expect(output).not.toContain('\u001B')
  expect(code).toBe(0)
})

test('a wrong option ends with code 2 and says how it is done', async () => {
  const { code, output } = await runMain(['--twice'])
  expect(code).toBe(2)
  expect(output).toContain('--once')
})

test('the prompt takes commands from a pipe', { timeout: 60_000 }, async () => {
  const lines = [
    'find casablanca',
    'airplane a on',
    'a set casablanca price 12.00',
    'b set casablanca price 14.00',
    'sync b',
    'outbox a',
    'airplane a off',
    'conflicts',
    'settle 1 mine',
    'sync',
    'show casablanca',
    'history casablanca',
    'a set casablanca price many',
    'dance',
    'quit',
  ]
  const { code, output } = await runMain(['--skip', '--prompt'], `${lines.join('\n')}\n`)
  const told = output.replace(/\s+/g, ' ')
  expect(told).toContain('214 Casablanca (1941) 17.50 8 in stock')
  expect(told).toContain('Ana airplane mode')
  expect(told).toContain('price was 17.50; Ana says 12.00, the server has 14.00')
  expect(told).toContain('Ana settled it.')
  expect(told).toContain('price 12.00 ✓ Ana ✓ Ben ✓ server')
  expect(told).toContain('(VALUE_INVALID)')
  expect(told).toContain('"dance" is not known here.')
  expect(code).toBe(0)
})

test('without a terminal the tour stays up until it is told to end, and leaves no files', {
  timeout: 60_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stockroom-test-'))
  const child = spawn(process.execPath, [program, '--skip'], { env: { ...process.env, TMPDIR: folder } })
  child.stdin.end()
  let output = ''
  for await (const chunk of child.stdout) {
    output += String(chunk)
    if (output.includes('stays up until')) break
  }
  const url = /URL=(\S+)/.exec(output)?.[1] ?? ''
  const token = /TOKEN=(\S+)/.exec(output)?.[1] ?? ''
  const headers = { authorization: `Bearer ${token}` }
  const answer = await fetch(`${url}/records/films?title=Casablanca`, { headers })
  expect(await answer.json()).toMatchObject({
    records: [{ title: 'Casablanca', year: 1941, price: '17.50' }],
  })

  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(await readdir(folder)).toEqual([])
  await rm(folder, { recursive: true })
})
