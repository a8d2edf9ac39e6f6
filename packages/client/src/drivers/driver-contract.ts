import { afterEach, describe, expect, test } from 'vitest'

import type { SqliteConnection } from './sqlite-driver.ts'

/** What a driver is tested with. */
export interface DriverUnderTest {
  readonly name: string
  open(place: string): Promise<SqliteConnection>
  /** Where no database is yet. */
  freshPlace(): string
  /** Puts something there that is no database, but long enough to be taken for one. */
  spoil(place: string): Promise<void>
  /**
   * Runs `growTable` on the database at `place`, in a process or worker of its own, and kills that in the middle of it.
   * Gives the last number it told.
   */
  growUntilKilled(place: string): Promise<number>
}

/** Everything a driver must do, run on real storage. */
export function testDriver(driver: DriverUnderTest): void {
  const open: SqliteConnection[] = []
  const given = async (place = driver.freshPlace()): Promise<SqliteConnection> => {
    const connection = await driver.open(place)
    open.push(connection)
    return connection
  }

  describe(`[LO-1] ${driver.name}`, () => {
    afterEach(async () => {
      for (const connection of open.splice(0)) await connection.close()
    })

    test('values come back as they were bound', async () => {
      const connection = await given()
      await connection.exec('CREATE TABLE t (a TEXT, b INTEGER, c REAL, d BLOB, e INTEGER, f ANY)')
      const mixed = '\uFEFFStraße 👩‍🚒 e\u0301'
      await connection.run('INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)', [
        mixed,
        Number.MAX_SAFE_INTEGER,
        0.1,
        new Uint8Array([0, 255]),
        true,
        null,
      ])
      const [{ d: bytes, ...row } = {}] = await connection.all('SELECT * FROM t')
      expect(bytes instanceof Uint8Array && [...bytes]).toEqual([0, 255])
      expect(row).toEqual({
        a: mixed,
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
      const place = driver.freshPlace()
      await driver.spoil(place)
      const look = async (): Promise<unknown> => (await given(place)).all('SELECT 1 FROM sqlite_schema')
      await expect(look()).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    })

    test('a full database is STORE_FULL', async () => {
      const connection = await given()
      await connection.exec('CREATE TABLE t (a TEXT); PRAGMA max_page_count = 3')
      await expect(connection.run('INSERT INTO t VALUES (?)', ['x'.repeat(50_000)])).rejects.toMatchObject({
        code: 'STORE_FULL',
      })
    })

    test('what another connection writes is STORE_LOCKED until that is closed', async () => {
      const place = driver.freshPlace()
      const first = await given(place)
      await first.exec('CREATE TABLE t (n INTEGER); BEGIN IMMEDIATE')
      const write = async (): Promise<void> => {
        const second = await given(place)
        await second.exec('PRAGMA busy_timeout = 10; BEGIN IMMEDIATE; ROLLBACK')
      }
      await expect(write()).rejects.toMatchObject({ code: 'STORE_LOCKED' })
      await first.close()
      await write()
    })

    test('a mistake in SQL, a wrong parameter and a closed connection are STORE_FAILED', async () => {
      const connection = await given()
      await expect(connection.all('SELECT * FROM nowhere')).rejects.toMatchObject({ code: 'STORE_FAILED' })
      await expect(connection.exec('not SQL')).rejects.toMatchObject({ code: 'STORE_FAILED' })
      await connection.close()
      await connection.close()
      await expect(connection.run('SELECT 1')).rejects.toMatchObject({ code: 'STORE_FAILED' })
    })

    test('what was committed is there after a kill', async () => {
      const place = driver.freshPlace()
      const last = await driver.growUntilKilled(place)
      const connection = await given(place)
      const [row] = await connection.all('SELECT max(n) AS last, count(*) AS count FROM t')
      expect(last).toBeGreaterThan(0)
      expect(Number(row?.['last'])).toBeGreaterThanOrEqual(last)
      expect(row?.['count']).toBe(row?.['last'])
      expect(await connection.all('PRAGMA integrity_check')).toMatchObject([{ integrity_check: 'ok' }])
    })
  })
}
