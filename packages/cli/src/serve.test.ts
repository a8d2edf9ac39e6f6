import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, expect, test } from 'vitest'

const bin = fileURLToPath(new URL('../bin/holdfast.js', import.meta.url))
const serverText = `
import { collection, defineSchema, text } from '@holdfast/core'
import { sqliteStore } from '@holdfast/server'
export const options = () => ({
  schema: defineSchema({ version: 1, collections: { items: collection({ fields: { name: text() } }) } }),
  store: sqliteStore('server.db'),
  authenticate: async (request) => {
    const name = request.headers.get('x-user')
    if (name === 'slow') await new Promise((resolve) => setTimeout(resolve, 1_500))
    return name === null ? null : { id: name }
  },
  scopes: () => '*',
})
`

let folder: string
let child: ChildProcess | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-serve-'))
  writeFileSync(join(folder, 'server.ts'), serverText)
})
afterEach(() => {
  child?.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** Until it says where it listens. */
async function serve(...args: readonly string[]): Promise<{ url: string; child: ChildProcess }> {
  const own = ['serve', 'server.ts', '--port', '0', '--host', '127.0.0.1', ...args]
  const started = spawn(process.execPath, [bin, ...own], { cwd: folder })
  child = started
  let output = ''
  for await (const chunk of started.stdout) {
    output += String(chunk)
    if (output.includes('\n')) break
  }
  return { url: /^listening on (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(output)?.[1] ?? output, child: started }
}

function fail(...args: readonly string[]): Promise<{ code: unknown; stderr: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [bin, 'serve', ...args], { cwd: folder }, (error, _stdout, stderr) => {
      done({ code: error?.code, stderr })
    })
  })
}

test('[OP-37] [OP-24] a signal lets what is under way end, and what was answered is there afterwards', {
  timeout: 60_000,
}, async () => {
  const first = await serve()
  const write = (user: string): Promise<Response> =>
    fetch(`${first.url}/records/items`, {
      method: 'POST',
      headers: { 'x-user': user, 'content-type': 'application/json' },
      body: JSON.stringify({ name: user }),
    })
  expect((await fetch(`${first.url}/readyz`)).status).toBe(200)
  const slow = write('slow')
  expect((await write('quick')).status).toBe(201)
  first.child.kill('SIGTERM')
  expect((await slow).status).toBe(201)
  expect(await once(first.child, 'exit')).toEqual([0, null])

  const second = await serve()
  const listed = await fetch(`${second.url}/records/items`, { headers: { 'x-user': 'ann' } })
  const { records } = (await listed.json()) as { records: { name: string }[] }
  expect(records.map(({ name }) => name).sort()).toEqual(['quick', 'slow'])
})

test('[OP-24] a log that nobody reads any more ends no server', { timeout: 60_000 }, async () => {
  const { url, child: server } = await serve('--verbose')
  const read = async (): Promise<number> => (await fetch(`${url}/records/items`)).status
  expect(await read()).toBe(401)
  server.stderr?.destroy()
  server.stdout?.destroy()
  for (let count = 0; count < 5; count++) expect(await read()).toBe(401)
  server.kill('SIGTERM')
  expect(await once(server, 'exit')).toEqual([0, null])
})

test('[OP-37] [OP-20] what keeps it from starting is one line', { timeout: 60_000 }, async () => {
  const busy = createServer().listen(0, '0.0.0.0')
  await once(busy, 'listening')
  const address = busy.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  writeFileSync(join(folder, 'empty.ts'), 'export const options = { schema: {}, scopes: () => [] }')
  writeFileSync(join(folder, 'text.db'), 'no database at all, and long enough to be told apart from one')
  writeFileSync(join(folder, 'foreign.ts'), serverText.replace('server.db', 'text.db'))
  const failures = await Promise.all([
    fail(),
    fail('empty.ts'),
    fail('foreign.ts', '--port', '0'),
    fail('server.ts', '--port', `${port}`),
  ])
  busy.close()
  expect(failures.map(({ code }) => code)).toEqual([1, 1, 1, 1])
  for (const { stderr } of failures) expect(stderr).toMatch(/^holdfast: [^\n]+\n$/)
  expect(failures.map(({ stderr }) => stderr)).toEqual([
    expect.stringContaining('serve needs a FILE'),
    expect.stringContaining(
      'exports no options of createServer with a schema, a store, authenticate and scopes',
    ),
    expect.stringContaining('the server cannot start: '),
    expect.stringContaining(`port ${port} is in use.`),
  ])
})
