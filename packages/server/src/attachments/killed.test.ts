import { newUuid } from '@holdfast/core'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { systemEnvironment } from '../system-environment.ts'
import { openRequest, part, tus } from './given-attachments.ts'
import { givenFile, reports, valueOf } from './given-photos.ts'

const command = fileURLToPath(new URL('../../../cli/bin/holdfast.js', import.meta.url))
const source = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)

/** A process may take so long to start on a busy machine. */
const startMs = 60_000

let folder: string
let child: ChildProcess | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-killed-'))
  const server = `import { photoSchema } from ${source('./given-photos.ts')}
import { fileAttachments, sqliteStore } from ${source('../index.ts')}
export const options = {
  schema: photoSchema,
  store: sqliteStore(${JSON.stringify(join(folder, 'server.db'))}),
  scopes: () => '*',
  authenticate: () => ({ id: 'ann' }),
  attachments: { store: fileAttachments(${JSON.stringify(join(folder, 'attachments'))}) },
}
`
  writeFileSync(join(folder, 'server.ts'), server)
})

afterEach(async () => {
  await kill()
  rmSync(folder, { recursive: true, force: true })
})

async function start(): Promise<number> {
  const started = spawn(
    process.execPath,
    [command, 'serve', join(folder, 'server.ts'), '--host', '127.0.0.1', '--port', '0'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  child = started
  let output = ''
  started.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()))
  await expect.poll(() => output, { timeout: startMs }).toContain('listening')
  return Number(/:(\d+)\n/.exec(output)?.[1])
}

async function kill(): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** Bytes of the upload as the file system shows them. */
function onDisk(): number {
  const uploads = join(folder, 'attachments', 'uploads', 'site-reports')
  try {
    return Math.max(0, ...readdirSync(uploads).map((name) => statSync(join(uploads, name)).size))
  } catch {
    return 0
  }
}

test('[AT-5] a server that is killed in the middle of parts, and behind the last byte, loses none that arrived', {
  timeout: 4 * startMs,
}, async () => {
  const file = givenFile(3_000_000)
  const record = newUuid(systemEnvironment())
  let port = await start()
  const made = await fetch(`http://127.0.0.1:${port}/records/${reports}`, {
    method: 'POST',
    body: JSON.stringify({ id: record, site: '1', title: 'a', photo: valueOf(file) }),
  })
  expect(made.status).toBe(201)
  const path = `/attachments/${reports}/${record}/${file.hash}`
  const offset = async (): Promise<number> => {
    const head = await fetch(`http://127.0.0.1:${port}${path}/upload`, { method: 'HEAD', headers: tus })
    return Number(head.headers.get('upload-offset'))
  }
  let from = 0
  for (const to of [1_000_000, 2_000_001, 3_000_000]) {
    const socket = await openRequest(port, `PATCH ${path}/upload`, {
      ...tus,
      ...part,
      'upload-offset': String(from),
      'content-length': String(file.size - from),
    })
    socket.write(file.bytes.subarray(from, to))
    // The last part is killed wherever it is: before it is checked, while it is, or behind that.
    if (to < file.size) await expect.poll(onDisk, { timeout: startMs }).toBe(to)
    else await expect.poll(() => onDisk() !== 2_000_001, { timeout: startMs, interval: 1 }).toBe(true)
    await kill()
    socket.destroy()
    port = await start()
    const safe = await offset()
    if (to < file.size) expect(safe).toBe(to)
    from = safe
  }
  if (from < file.size) {
    const rest = await fetch(`http://127.0.0.1:${port}${path}/upload`, {
      method: 'PATCH',
      headers: { ...tus, ...part, 'upload-offset': String(from) },
      body: file.bytes.subarray(from),
    })
    expect(rest.status).toBe(204)
  }
  const read = await fetch(`http://127.0.0.1:${port}${path}`)
  expect(Buffer.from(await read.arrayBuffer()).equals(file.bytes)).toBe(true)
})
