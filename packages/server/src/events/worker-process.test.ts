import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createServer } from '../http/create-server.ts'
import { exampleSchema } from '../http/given-server.ts'
import { sqliteStore } from '../store/sqlite/sqlite-store.ts'
import { eventually } from './given-events.ts'

const command = fileURLToPath(new URL('../../../cli/bin/holdfast.js', import.meta.url))

/** A process may take so long to start on a busy machine. */
const startMs = 60_000

let folder: string
let child: ChildProcess | undefined
const at = (name: string): string => join(folder, name)

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-events-'))
})
afterEach(async () => {
  if (child && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
})

/** A worker whose first life ends in the middle of the second event: it has told of it, and saved nothing. */
const module =
  (): string => `import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { exampleSchema } from ${JSON.stringify(new URL('../http/given-server.ts', import.meta.url).href)}
import { sqliteStore } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href)}
const told = ${JSON.stringify(at('told'))}
const marker = ${JSON.stringify(at('marker'))}
export const options = {
  schema: exampleSchema,
  store: sqliteStore({ path: ${JSON.stringify(at('server.db'))}, pollMs: 20 }),
  scopes: () => '*',
  limits: { eventConcurrency: 1, eventPollMs: 50, eventLeaseMs: 500 },
  onCommit: (event) => {
    appendFileSync(told, event.record + '\\n')
    if (existsSync(marker) || readFileSync(told, 'utf8').split('\\n').length < 3) return
    writeFileSync(marker, '')
    process.kill(process.pid, 'SIGKILL')
  },
}
`

function start(): ChildProcess {
  child = spawn(process.execPath, [command, 'worker', at('server.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child.stdout?.on('data', (bytes: Buffer) => writeFileSync(at('output'), bytes))
  return child
}

test('[EV-3, EV-17] a worker that is killed after it told and before it saved tells the same again', {
  timeout: 4 * startMs,
}, async () => {
  writeFileSync(at('server.ts'), module())
  const first = start()
  await eventually(() => expect(existsSync(at('output'))).toBe(true), startMs)
  expect(readFileSync(at('output'), 'utf8')).toBe('telling 1 handler or webhook of commits\n')
  const server = await createServer({
    schema: exampleSchema,
    store: sqliteStore(at('server.db')),
    authenticate: () => ({ id: 'ann' }),
    scopes: () => '*',
  })
  const died = once(first, 'exit')
  const made: string[] = []
  const write = async (): Promise<void> => {
    const response = await server.fetch(
      new Request('http://any.example/records/items', {
        method: 'POST',
        body: JSON.stringify({ warehouseId: '1', name: 'Rope' }),
      }),
    )
    made.push(((await response.json()) as { id: string }).id)
  }
  for (let round = 0; round < 3; round++) await write()
  expect(await died).toEqual([null, 'SIGKILL'])
  const second = start()
  await write()
  const told = (): readonly string[] => readFileSync(at('told'), 'utf8').trim().split('\n')
  await eventually(() => expect(told()).toContain(made[3]), startMs)
  const killedAt = told()[1] ?? ''
  expect(told().filter((record) => record === killedAt).length).toBeGreaterThan(1)
  expect([...new Set(told())].sort()).toEqual([...made].sort())
  second.kill('SIGTERM')
  expect(await once(second, 'exit')).toEqual([0, null])
  await server.close()
})
