import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, describe, expect, test } from 'vitest'

import type { SqliteConnection, SqliteDriver } from './sqlite-driver.ts'

/** What a driver is tested with. */
export interface DriverUnderTest {
  readonly name: string
  readonly storage: (path: string) => SqliteDriver
  /** Module and export that a child process opens the same storage with. */
  readonly module: URL
  readonly exportName: string
}

/** Everything a driver must do, run on real files. */
export function testDriver({ name, storage, module, exportName }: DriverUnderTest): void {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-driver-'))
  const open: SqliteConnection[] = []
  let files = 0
  const given = async (path = join(folder, `${files++}.sqlite`)): Promise<SqliteConnection> => {
    const connection = await storage(path).open()
    open.push(connection)
    return connection
  }

  describe(`[LO-1] ${name}`, () => {
    afterEach(async () => {
      for (const connection of open.splice(0)) await connection.close()
    })
    afterAll(() => rmSync(folder, { recursive: true }))

    test('values come back as they were bound', async () => {
      const connection = await given()
      await connection.exec('CREATE TABLE t (a TEXT, b INTEGER, c REAL, d BLOB, e INTEGER, f ANY)')
      const emoji = 'Straße 👩‍🚒 e\u0301'
      await connection.run('INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)', [
        emoji,
        Number.MAX_SAFE_INTEGER,
        0.1,
        new Uint8Array([0, 255]),
        true,
        null,
      ])
      const [{ d: bytes, ...row } = {}] = await connection.all('SELECT * FROM t')
      expect(bytes instanceof Uint8Array && [...bytes]).toEqual([0, 255])
      expect(row).toEqual({
        a: emoji,
        b: 9_007_199_254_740_991,
        c: 0.1,
        e: 1,
        f: null,
      })
      expect(await connection.all('SELECT typeof(b) AS type FROM t')).toMatchObject([{ type: 'integer' }])
    })

    test('a bigint within the exact range is bound', async () => {
      const connection = await given()
      expect(await connection.all('SELECT ? AS n', [12n])).toMatchObject([{ n: 12 }])
    })

    test('run tells changes and the last row id', async () => {
      const connection = await given()
      await connection.exec(
        'CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (7); INSERT INTO t VALUES (8)',
      )
      expect(await connection.run('INSERT INTO t VALUES (NULL)')).toEqual({ changes: 1, lastInsertRowid: 9 })
      expect((await connection.run('DELETE FROM t WHERE n < 9')).changes).toBe(2)
    })

    test('all gives the rows of RETURNING, and none for a statement without rows', async () => {
      const connection = await given()
      await connection.exec('CREATE TABLE t (n INTEGER)')
      expect(await connection.all('INSERT INTO t VALUES (1), (2) RETURNING n')).toMatchObject([
        { n: 1 },
        { n: 2 },
      ])
      expect(await connection.all('DELETE FROM t')).toEqual([])
    })

    test('more texts than are kept still run, and repeats after a change of the table too', async () => {
      const connection = await given()
      await connection.exec('CREATE TABLE t (n INTEGER)')
      for (let n = 0; n < 600; n++) await connection.run(`INSERT INTO t VALUES (${n})`)
      expect(await connection.all('SELECT count(*) AS count FROM t')).toMatchObject([{ count: 600 }])
      await connection.exec('ALTER TABLE t ADD COLUMN m TEXT')
      expect(Object.keys((await connection.all('SELECT * FROM t LIMIT 1'))[0] ?? {})).toEqual(['n', 'm'])
    })

    test('a statement is described without being run', async () => {
      const connection = await given()
      await connection.exec('CREATE TABLE t (a TEXT); CREATE TABLE u (b TEXT)')
      const { columns, tables } = await connection.describe(
        'SELECT x.a AS z, count(*) AS n FROM (SELECT a FROM t) x',
      )
      expect(columns.map(({ name: as, table, column }) => [as, table, column])).toEqual([
        ['z', 't', 'a'],
        ['n', null, null],
      ])
      expect(tables === undefined || [...tables].join() === 't').toBe(true)
    })

    test('a file that is no database is STORE_CORRUPT', async () => {
      const path = join(folder, 'text.sqlite')
      writeFileSync(path, 'no database, but long enough to be taken for one'.repeat(100))
      const connection = await given(path)
      await expect(connection.all('SELECT 1 FROM sqlite_schema')).rejects.toMatchObject({
        code: 'STORE_CORRUPT',
      })
    })

    test('a full database is STORE_FULL', async () => {
      const connection = await given()
      await connection.exec('CREATE TABLE t (a TEXT); PRAGMA max_page_count = 3')
      await expect(connection.run('INSERT INTO t VALUES (?)', ['x'.repeat(50_000)])).rejects.toMatchObject({
        code: 'STORE_FULL',
      })
    })

    test('a database that another connection writes is STORE_LOCKED', async () => {
      const path = join(folder, 'locked.sqlite')
      const [first, second] = [await given(path), await given(path)]
      await second.exec('PRAGMA busy_timeout = 10')
      await first.exec('CREATE TABLE t (n INTEGER); BEGIN IMMEDIATE')
      await expect(second.run('BEGIN IMMEDIATE')).rejects.toMatchObject({ code: 'STORE_LOCKED' })
      await first.exec('ROLLBACK')
    })

    test('a mistake in SQL, a wrong parameter and a closed connection are STORE_FAILED', async () => {
      const connection = await given()
      await expect(connection.all('SELECT * FROM nowhere')).rejects.toMatchObject({ code: 'STORE_FAILED' })
      await expect(connection.exec('not SQL')).rejects.toMatchObject({ code: 'STORE_FAILED' })
      await connection.close()
      await connection.close()
      await expect(connection.run('SELECT 1')).rejects.toMatchObject({ code: 'STORE_FAILED' })
    })

    test('a folder that does not exist is STORE_FAILED', async () => {
      await expect(given(join(folder, 'nowhere', 'a.sqlite'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    })

    test('what was committed is there after the process was killed', async () => {
      const path = join(folder, 'killed.sqlite')
      const script = `
        import { ${exportName} as storage } from ${JSON.stringify(module.href)}
        const connection = await storage(${JSON.stringify(path)}).open()
        await connection.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n INTEGER)')
        for (let n = 1; ; n++) {
          await connection.run('BEGIN IMMEDIATE')
          await connection.run('INSERT INTO t VALUES (?)', [n])
          await connection.run('COMMIT')
          process.stdout.write(n + '\\n')
        }`
      const last = await killAfterOutput(script)
      const connection = await given(path)
      const [row] = await connection.all('SELECT max(n) AS last, count(*) AS count FROM t')
      expect(Number(row?.last)).toBeGreaterThanOrEqual(last)
      expect(row?.count).toBe(row?.last)
    })
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
