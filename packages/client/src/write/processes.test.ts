import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect, test } from 'vitest'

import { sqliteStorage } from '../drivers/node.ts'
import { givenDevice } from '../local/given-device.ts'
import { listEntries } from '../outbox/outbox.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-processes-'))
const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

const source = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)

/** A process of its own that opens the database as `device` and runs `body`; `tell(text)` prints a line. */
function startProcess(
  path: string,
  body: string,
): { child: ChildProcess; lines: string[]; ended: Promise<void> } {
  const script = `
    import { writeSync } from 'node:fs'
    import { sqliteStorage } from ${source('../drivers/node.ts')}
    import { givenDevice } from ${source('../local/given-device.ts')}
    import { newUuid } from '@holdfast/core'
    import { systemEnvironment as env } from ${source('../system-environment.ts')}
    const tell = (text) => writeSync(1, text + '\\n')
    const device = await givenDevice({ storage: sqliteStorage(${JSON.stringify(path)}) })
    device.parts.context.env = env
    ${body}`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: new URL('..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const lines: string[] = []
  let rest = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  })
  return { child, lines, ended: new Promise((resolve) => child.once('close', () => resolve())) }
}

const byText = (left: unknown, right: unknown): number => String(left).localeCompare(String(right))

test('[OB-1, WR-9] B19: several processes write one file; numbers are dense and unique, stamps only grow', async () => {
  const path = join(folder, 'shared.sqlite')
  await (await givenDevice({ storage: sqliteStorage(path) })).database.close()
  const body = `
    for (let n = 0; n < 60; n++) {
      await device.items.insert({ name: 'item ' + n })
      if (Math.random() < 0.3) await new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
    }
    await device.database.close()
    tell('done')`
  const processes = [1, 2, 3, 4].map(() => startProcess(path, body))
  await Promise.all(processes.map((each) => each.ended))
  expect(processes.map((each) => each.lines)).toEqual([['done'], ['done'], ['done'], ['done']])
  const device = await givenDevice({ storage: sqliteStorage(path) })
  const entries = await device.database.read((tx) => listEntries(tx))
  expect(entries.map((entry) => entry.seq)).toEqual(Array.from({ length: 240 }, (_, index) => index + 1))
  const stamps = entries.map((entry) => entry.at)
  expect(stamps).toEqual([...new Set(stamps)].sort())
  expect(await device.database.all('SELECT count(*) AS count FROM items')).toMatchObject([{ count: 240 }])
  await device.database.close()
})

test('[LO-6, WR-1] B35: a write that was told is there after a kill at any moment, and none is there by half', async () => {
  for (let round = 0; round < 6; round++) {
    const path = join(folder, `killed-${round}.sqlite`)
    const body = `
      for (let n = 0; ; n++) {
        const id = newUuid(env)
        tell('begin ' + id)
        await device.items.insert({ id, name: 'item ' + n })
        tell('told ' + id)
        await device.items.update(id, { name: 'changed' })
        tell('changed ' + id)
      }`
    const { child, lines, ended } = startProcess(path, body)
    const killAfter = 20 + 37 * round
    const watching = setInterval(() => {
      if (lines.length > killAfter) child.kill('SIGKILL')
    }, 1)
    await ended
    clearInterval(watching)
    const device = await givenDevice({ storage: sqliteStorage(path) })
    const known = (word: string): string[] =>
      lines.filter((line) => line.startsWith(word)).map((line) => line.split(' ')[1] ?? '')
    const rows = await device.database.all('SELECT id, name FROM items')
    const entries = await device.database.read((tx) => listEntries(tx))
    const stored = new Set(rows.map((row) => row.id))
    expect(known('told').filter((id) => !stored.has(id))).toEqual([])
    expect(new Set(entries.map((entry) => entry.record))).toEqual(stored)
    const changed = rows.filter((row) => row.name === 'changed').map((row) => row.id)
    expect(
      entries
        .filter((entry) => entry.op === 'update')
        .map((entry) => entry.record)
        .toSorted(byText),
    ).toEqual(changed.toSorted(byText))
    expect(known('changed').filter((id) => !changed.includes(id))).toEqual([])
    expect(await device.database.all('PRAGMA integrity_check')).toMatchObject([{ integrity_check: 'ok' }])
    await device.database.close()
  }
}, 60_000)
