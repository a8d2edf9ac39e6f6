import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'

import { Client } from 'pg'
import { afterEach, describe, expect, test, vi } from 'vitest'

import { freshDatabase } from './fresh-database.ts'
import { startUnlessMissing } from './missing-service.ts'
import { type PostgresOptions, startPostgres } from './postgres.ts'
import { hasPostgres } from './shared-servers.ts'

afterEach(() => vi.unstubAllEnvs())

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

async function setting(url: string, name: string): Promise<unknown> {
  const [row] = (await query(url, `SELECT current_setting('${name}') AS value`)) as { value: unknown }[]
  return row?.value
}

async function eventually(isSo: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(isSo()).toBe(true), { timeout: 30_000, interval: 50 })
}

const flavours: { flavour: 'embedded' | 'system'; major: string }[] = [
  { flavour: 'embedded', major: '18' },
  { flavour: 'system', major: '15' },
]

for (const { flavour, major } of flavours) {
  const server = await startUnlessMissing(() => startPostgres({ flavour }))
  describe.skipIf(server === undefined)(`PostgreSQL ${major}`, () => {
    const postgres = server!
    const ask = (sql: string): Promise<unknown[]> => query(postgres.url, sql)
    const read = (name: string): Promise<unknown> => setting(postgres.url, name)

    test('what was acknowledged survives a kill', async () => {
      expect(postgres.version).toMatch(new RegExp(`^${major}\\.`))
      await ask('CREATE TABLE kept AS SELECT 1 AS n')
      await postgres.kill()
      await expect(ask('SELECT 1')).rejects.toThrow('ECONNREFUSED')
      await postgres.restart()
      expect(await ask('SELECT n FROM kept')).toEqual([{ n: 1 }])
    })

    test('one that runs is restarted in order', async () => {
      const before = await read('data_directory')
      await postgres.restart()
      expect(await read('data_directory')).toBe(before)
    })

    test('commits are synced unless somebody asks for haste', async () => {
      expect(await read('fsync')).toBe('on')
      expect(await read('synchronous_commit')).toBe('on')
    })

    test('text is ordered as people do, so that reliance on bytes shows', async () => {
      expect(await ask(`SELECT t FROM (VALUES ('B'), ('a')) AS v (t) ORDER BY t`)).toEqual([
        { t: 'a' },
        { t: 'B' },
      ])
    })

    test('stopped, it is gone with its data', async () => {
      await postgres.stop()
      expect(existsSync(dirname(postgres.dataDir!))).toBe(false)
      await expect(ask('SELECT 1')).rejects.toThrow('ECONNREFUSED')
    })
  })
}

const starter = `
import { startPostgres } from ${JSON.stringify(new URL('./postgres.ts', import.meta.url).href)}
const { url, dataDir } = await startPostgres({ flavour: 'embedded', fast: true })
console.log(JSON.stringify({ url, dataDir }))
setInterval(() => undefined, 1_000)`

describe.skipIf(!hasPostgres())('the shared PostgreSQL', () => {
  test('fresh databases are empty, apart from each other and dropped under open connections', async () => {
    const [one, other] = await Promise.all([freshDatabase(), freshDatabase()])
    await query(one.url, 'CREATE TABLE mine (n int)')
    expect(await query(other.url, `SELECT to_regclass('mine') AS found`)).toEqual([{ found: null }])
    const open = new Client({ connectionString: one.url })
    open.on('error', () => undefined)
    await open.connect()
    await Promise.all([one.drop(), other.drop()])
    await expect(query(one.url, 'SELECT 1')).rejects.toThrow('does not exist')
  })

  test('DATABASE_URL is taken as it is, and never ended', async () => {
    const database = await freshDatabase()
    const { url } = database
    vi.stubEnv('DATABASE_URL', url)
    const given = await startPostgres()
    expect(given).toMatchObject({ url, dataDir: undefined })
    await expect(given.kill()).rejects.toThrow('not ours')
    await expect(given.restart()).rejects.toThrow('not ours')
    await given.stop()
    expect(await query(url, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    await database.drop()
  })

  test('haste gives up the machine without power, not the acknowledged commit', async () => {
    const options: PostgresOptions = { flavour: 'embedded', fast: true, settings: { work_mem: '7MB' } }
    const server = await startPostgres(options)
    const names = ['fsync', 'full_page_writes', 'synchronous_commit', 'work_mem']
    const values = await Promise.all(names.map((name) => setting(server.url, name)))
    await server.stop()
    expect(values).toEqual(['off', 'off', 'on', '7MB'])
  })

  test('it is gone with its data when its starter is killed', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', starter], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: child.stdout })
    const line = await new Promise<string>((resolve) => lines.once('line', resolve))
    const { url, dataDir } = JSON.parse(line) as { url: string; dataDir: string }
    expect(await query(url, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    child.kill('SIGKILL')
    await eventually(() => !existsSync(dataDir))
    await expect(query(url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
  })
})
