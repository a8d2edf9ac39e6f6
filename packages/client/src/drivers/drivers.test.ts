import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect, test } from 'vitest'

import { betterSqliteStorage } from './better-sqlite3.ts'
import { testDriver } from './driver-contract.ts'
import { sqliteStorage } from './node.ts'
import type { SqliteDriver } from './sqlite-driver.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-driver-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0

interface NodeDriver {
  readonly name: string
  readonly storage: (path: string) => SqliteDriver
  /** Module and export that a child process opens the same storage with. */
  readonly module: URL
  readonly exportName: string
}

function testNodeDriver({ name, storage, module, exportName }: NodeDriver): void {
  testDriver({
    name,
    open: (path) => storage(path).open(),
    freshPlace: () => join(folder, `${files++}.sqlite`),
    spoil: async (path) =>
      writeFileSync(path, 'no database, but long enough to be taken for one'.repeat(100)),
    growUntilKilled: (path) =>
      killAfterOutput(`
        import { ${exportName} as storage } from ${JSON.stringify(module.href)}
        import { growTable } from ${JSON.stringify(new URL('./given-growth.ts', import.meta.url).href)}
        const connection = await storage(${JSON.stringify(path)}).open()
        await growTable(connection, (n) => process.stdout.write(n + '\\n'))`),
  })

  test(`[LO-1] ${name}: a folder that does not exist is STORE_FAILED`, async () => {
    const opened = storage(join(folder, 'nowhere', 'a.sqlite')).open()
    await expect(opened).rejects.toMatchObject({ code: 'STORE_FAILED' })
  })
}

/** Runs a module in a child, kills it while it prints numbers, and gives the last one it printed. */
async function killAfterOutput(script: string): Promise<number> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    output += chunk
    if (output.length > 200) child.kill('SIGKILL')
  })
  await new Promise((resolve) => child.once('close', resolve))
  return Number(output.split('\n').at(-2))
}

testNodeDriver({
  name: 'node:sqlite',
  storage: sqliteStorage,
  module: new URL('./node.ts', import.meta.url),
  exportName: 'sqliteStorage',
})

testNodeDriver({
  name: 'better-sqlite3',
  storage: betterSqliteStorage,
  module: new URL('./better-sqlite3.ts', import.meta.url),
  exportName: 'betterSqliteStorage',
})
