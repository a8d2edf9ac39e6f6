import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { collection, counter, defineSchema, integer, json, type Schema, set, text } from '@holdfast/core'
import { afterAll, describe, expect, test } from 'vitest'

import { sqliteStorage } from '../drivers/node.ts'
import { failingDriver, givenDevice, givenEnvironment } from './given-device.ts'
import { type OpenDatabaseOptions, openDatabase } from './open-database.ts'
import { rescueOutbox } from './rescue-outbox.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-open-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
const newPath = (): string => join(folder, `${files++}.sqlite`)

const schemaOf = (version: number, fields: Parameters<typeof collection>[0]['fields']): Schema =>
  defineSchema({ version, collections: { things: collection({ fields, indexes: [['name']] }) } })

async function opened(
  path: string,
  options: Partial<OpenDatabaseOptions> = {},
): ReturnType<typeof openDatabase> {
  return openDatabase({
    schema: schemaOf(1, { name: text() }),
    storage: sqliteStorage(path),
    env: givenEnvironment().env,
    durability: 'full',
    account: null,
    server: null,
    ...options,
  })
}

describe('what is found', () => {
  test('[LO-6] pragmas are what was asked for, and foreign keys are on', async () => {
    for (const [durability, synchronous] of [
      ['full', 2],
      ['fast', 1],
    ] as const) {
      const { database } = await opened(newPath(), { durability })
      expect(await database.all('PRAGMA journal_mode')).toMatchObject([{ journal_mode: 'wal' }])
      expect(await database.all('PRAGMA synchronous')).toMatchObject([{ synchronous }])
      expect(await database.all('PRAGMA foreign_keys')).toMatchObject([{ foreign_keys: 1 }])
      await database.close()
    }
  })

  test('[LO-6, SY-25] a file of the first layout gets what the newest has, and keeps its outbox', async () => {
    const path = newPath()
    const first = await opened(path)
    await first.database.close()
    const file = new DatabaseSync(path)
    file.exec(`DROP TRIGGER _outbox_settled; DROP TABLE _retained; ALTER TABLE _outbox DROP COLUMN was;
      ALTER TABLE _outbox DROP COLUMN returned_at; DROP INDEX _outbox_escrow; ALTER TABLE _outbox DROP COLUMN escrow; DROP TABLE _escrow;
      PRAGMA user_version = 1;
      INSERT INTO _outbox (seq, id, collection, record, op, payload, hash, base_version, at, schema, created_at, status)
      VALUES (1, 'a', 'things', 'r', 'delete', '{}', '', 0, '', 1, '', 'answered')`)
    file.close()
    const { database } = await opened(path)
    expect(await database.all('SELECT seq, was, returned_at FROM _outbox')).toEqual([
      { seq: 1, was: null, returned_at: null },
    ])
    await database.write((tx) => tx.run('DELETE FROM _outbox'))
    expect(await database.all('SELECT seq, kept_at FROM _retained')).toEqual([{ seq: 1, kept_at: null }])
    expect(await database.all('PRAGMA user_version')).toEqual([{ user_version: 4 }])
    await database.close()
  })

  test('[LO-6, ES-14] in a file of the second layout what went to escrow is not kept either', async () => {
    const path = newPath()
    const first = await opened(path)
    await first.database.close()
    const file = new DatabaseSync(path)
    file.exec(`DROP TRIGGER _outbox_settled; DROP INDEX _outbox_escrow; ALTER TABLE _outbox DROP COLUMN escrow; DROP TABLE _escrow;
      CREATE TRIGGER _outbox_settled AFTER DELETE ON _outbox WHEN old.status = 'answered' BEGIN SELECT 1; END;
      PRAGMA user_version = 2;
      INSERT INTO _outbox (seq, id, collection, record, op, payload, hash, base_version, at, schema, created_at, status)
      VALUES (1, 'a', 'things', 'r', 'delete', '{}', '', 0, '', 1, '', 'answered'),
        (2, 'b', 'things', 's', 'delete', '{}', '', 0, '', 1, '', 'answered')`)
    file.close()
    const { database } = await opened(path)
    await database.write(async (tx) => {
      await tx.run('UPDATE _outbox SET escrow = 1 WHERE seq = 2')
      await tx.run('DELETE FROM _outbox')
    })
    expect(await database.all('SELECT seq FROM _retained')).toEqual([{ seq: 1 }])
    await database.close()
  })

  test('[LO-6, AP-5] a file of the third layout keeps what it has put aside, in every scope from now on', async () => {
    const path = newPath()
    const first = await opened(path)
    await first.database.close()
    const file = new DatabaseSync(path)
    file.exec(`DROP TABLE _quarantine;
      CREATE TABLE _quarantine (collection TEXT NOT NULL, record TEXT NOT NULL, version INTEGER NOT NULL, scope TEXT NOT NULL,
        reason TEXT NOT NULL, change TEXT NOT NULL, PRIMARY KEY (collection, record)) WITHOUT ROWID;
      INSERT INTO _quarantine VALUES ('things', 'r', 1, 'a', '', '{}');
      PRAGMA user_version = 3`)
    file.close()
    const { database } = await opened(path)
    await database.write((tx) => tx.run("INSERT INTO _quarantine VALUES ('things', 'r', 1, 'b', '', '{}')"))
    expect(await database.all('SELECT record, scope FROM _quarantine ORDER BY scope')).toEqual([
      { record: 'r', scope: 'a' },
      { record: 'r', scope: 'b' },
    ])
    expect(await database.all("SELECT name FROM sqlite_schema WHERE name LIKE '_quarantine_%'")).toEqual([])
    await database.close()
  })

  test('[LO-6] a durable transaction is synced even when others are not', async () => {
    const { database } = await opened(newPath(), { durability: 'fast' })
    const during = (durable: boolean): Promise<unknown> =>
      database.write((tx) => tx.all('PRAGMA synchronous'), { durable })
    expect(await during(true)).toMatchObject([{ synchronous: 2 }])
    expect(await during(false)).toMatchObject([{ synchronous: 1 }])
    await database.close()
  })

  test('[LO-6] a transaction that nobody needs after a power cut is not synced, and its neighbours are', async () => {
    const { database } = await opened(newPath(), { durability: 'full' })
    const during = (options: { readonly durable?: boolean }): Promise<unknown> =>
      database.write((tx) => tx.all('PRAGMA synchronous'), options)
    expect(await during({ durable: false })).toMatchObject([{ synchronous: 1 }])
    expect(await during({})).toMatchObject([{ synchronous: 2 }])
    expect(await Promise.all([during({ durable: false }), during({})])).toMatchObject([
      [{ synchronous: 1 }],
      [{ synchronous: 2 }],
    ])
    await database.close()
  })

  test('[LO-7] a database of something else is refused and left as it is', async () => {
    for (const content of ['CREATE TABLE theirs (n)', 'PRAGMA application_id = 77']) {
      const path = newPath()
      const theirs = new DatabaseSync(path)
      theirs.exec(content)
      theirs.close()
      const bytes = readFileSync(path)
      await expect(opened(path)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
      expect(readFileSync(path).equals(bytes)).toBe(true)
    }
  })

  test('[LO-7] a newer layout and a newer schema are refused', async () => {
    const path = newPath()
    await (await opened(path, { schema: schemaOf(3, { name: text() }) })).database.close()
    await expect(opened(path, { schema: schemaOf(2, { name: text() }) })).rejects.toMatchObject({
      code: 'STORE_NEWER',
    })
    const ours = new DatabaseSync(path)
    ours.exec('PRAGMA user_version = 99')
    ours.close()
    await expect(opened(path, { schema: schemaOf(3, { name: text() }) })).rejects.toMatchObject({
      code: 'STORE_NEWER',
    })
  })

  test('[LO-10] the device stays the same, and another account or server is refused', async () => {
    const path = newPath()
    const first = await opened(path, { account: 'ada', server: 'https://one.example' })
    await first.database.close()
    const again = await opened(path)
    expect(again.identity).toEqual({
      device: first.identity.device,
      account: 'ada',
      server: 'https://one.example',
    })
    await again.database.close()
    await expect(opened(path, { account: 'bob' })).rejects.toMatchObject({ code: 'ACCOUNT_MISMATCH' })
    await expect(opened(path, { server: 'https://two.example' })).rejects.toMatchObject({
      code: 'ACCOUNT_MISMATCH',
    })
  })

  test('[LO-3] B44: an opening that fails at any statement leaves nothing or everything', async () => {
    let isOpen = false
    for (let left = 0; !isOpen; left++) {
      const path = newPath()
      const storage = failingDriver(sqliteStorage(path), { left, resultCode: 10, rollsBack: false })
      const opening = await opened(path, { storage }).catch(() => undefined)
      isOpen = opening !== undefined
      await opening?.database.close()
      const { database } = await opened(path)
      expect(
        await database.all("SELECT count(*) AS count FROM sqlite_schema WHERE name = 'things'"),
      ).toMatchObject([{ count: 1 }])
      await database.close()
    }
  })
})

describe('a schema that changed', () => {
  test('[LO-8] new fields are added with their default, rows and indexes stay', async () => {
    const path = newPath()
    const before = await opened(path)
    await before.database.write((tx) =>
      tx.exec(
        `INSERT INTO things (id, name, _version, _state) VALUES ('a', 'one', 1, 'clean');
         INSERT INTO _shadow (collection, record, version, deleted, data, scopes) VALUES ('things', 'b', 1, 0, '{"name":"two"}', ''),
           ('things', 'd', 1, 1, NULL, ''), ('others', 'e', 1, 0, '{"name":"two"}', '');
         INSERT INTO _deleted (collection, record, version, data) VALUES ('things', 'c', 1, '{"name":"three"}')`,
      ),
    )
    await before.database.close()
    const schema = schemaOf(2, {
      name: text(),
      count: counter(),
      labels: set(text()),
      kind: text({ default: "it's" }),
      extra: json({ optional: true }),
    })
    const { database } = await opened(path, { schema })
    expect(await database.all('SELECT id, name, count, labels, kind, extra FROM things')).toMatchObject([
      { id: 'a', name: 'one', count: 0, labels: '[]', kind: "it's", extra: null },
    ])
    const copies = await database.all(
      'SELECT record, data FROM _shadow UNION ALL SELECT record, data FROM _deleted ORDER BY record',
    )
    const filled = { count: 0, labels: [], kind: "it's", extra: null }
    expect(copies.map(({ record, data }): unknown => [record, JSON.parse(String(data))])).toEqual([
      ['b', { name: 'two', ...filled }],
      ['c', { name: 'three', ...filled }],
      ['d', null],
      ['e', { name: 'two' }],
    ])
    await database.close()
  })

  test('[LO-8] a field that is stored differently now is refused, and nothing is changed', async () => {
    const path = newPath()
    await (await opened(path)).database.close()
    const schema = schemaOf(2, { more: text(), name: integer() })
    await expect(opened(path, { schema })).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
      at: 'things.name',
    })
    const { database } = await opened(path)
    expect(await database.all('PRAGMA table_info(things)')).not.toContainEqual(
      expect.objectContaining({ name: 'more' }),
    )
    await database.close()
  })

  test('[LO-11] opening again makes nothing, and takes no longer with 100,000 rows', async () => {
    const path = newPath()
    const first = await opened(path)
    await first.database.write((tx) =>
      tx.exec(
        `INSERT INTO things (id, name, _version, _state)
        SELECT value, 'name ' || value, 1, 'clean' FROM generate_series(1, 100000)`.replace(
          'generate_series(1, 100000)',
          '(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 100000) SELECT value FROM n)',
        ),
      ),
    )
    await first.database.close()
    const statements: string[] = []
    const storage = sqliteStorage(path)
    const counting = {
      name: 'counting',
      open: async () => {
        const connection = await storage.open()
        const exec = connection.exec.bind(connection)
        connection.exec = (sql) => {
          statements.push(sql)
          return exec(sql)
        }
        return connection
      },
    }
    const startMs = performance.now()
    const { database } = await opened(path, { storage: counting })
    expect(performance.now() - startMs).toBeLessThan(5_000)
    expect(statements.filter((sql) => sql.includes('things'))).toEqual([])
    await database.close()
  })

  test('[LO-13] tables refuse no row a server may send: the primary key is the only unique index, and there are no foreign keys', async () => {
    const { database } = await givenDevice()
    for (const table of ['items', 'lines', 'codes']) {
      const unique = (await database.all(`PRAGMA index_list(${table})`)).filter((index) => index.unique === 1)
      expect(unique.map((index) => index.origin)).toEqual(['pk'])
      expect(await database.all(`PRAGMA foreign_key_list(${table})`)).toEqual([])
    }
  })
})

describe('damage', () => {
  async function givenDamagedFile(damage: (bytes: Buffer) => void): Promise<string> {
    const path = newPath()
    const device = await givenDevice({ storage: sqliteStorage(path) })
    for (let n = 0; n < 300; n++) await device.items.insert({ name: `${n} ${'x'.repeat(400)}` })
    await device.database.all('PRAGMA wal_checkpoint(TRUNCATE)')
    await device.database.close()
    const bytes = readFileSync(path)
    damage(bytes)
    writeFileSync(path, bytes)
    return path
  }

  test('[LO-9] a damaged header is STORE_CORRUPT and the file stays', async () => {
    const path = await givenDamagedFile((bytes) => bytes.fill(0, 0, 100))
    const before = readFileSync(path)
    await expect(givenDevice({ storage: sqliteStorage(path) })).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
    })
    expect(readFileSync(path).equals(before)).toBe(true)
  })

  test('[LO-9] the entries of a sound outbox are rescued complete', async () => {
    const path = await givenDamagedFile(() => undefined)
    const { entries, isComplete } = await rescueOutbox(sqliteStorage(path))
    expect(entries.map(({ columns }) => columns.seq)).toEqual(
      Array.from({ length: 300 }, (_, index) => index + 1),
    )
    expect(isComplete).toBe(true)
  })

  test('[LO-9] entries before and behind damaged pages are rescued, and the rest is said to be missing', async () => {
    const path = await givenDamagedFile((bytes) => {
      const middle = bytes.indexOf('"name":"150 x')
      const page = Math.floor(middle / 4096) * 4096
      bytes.fill(0xff, page, page + 4096)
    })
    const size = statSync(path).size
    const { entries, isComplete } = await rescueOutbox(sqliteStorage(path))
    const seqs = entries.map(({ columns }) => Number(columns.seq))
    expect(isComplete).toBe(false)
    expect(seqs.length).toBeGreaterThan(280)
    expect([seqs[0], seqs.at(-1)]).toEqual([1, 300])
    expect(seqs).not.toContain(151)
    expect(entries.every((entry) => entry.isSound)).toBe(true)
    expect(statSync(path).size).toBe(size)
  })

  test('[LO-9] an entry whose bytes changed is rescued and said to be unsound', async () => {
    const path = await givenDamagedFile((bytes) =>
      bytes.write('"name":"150 y', bytes.indexOf('"name":"150 x')),
    )
    const { entries, isComplete } = await rescueOutbox(sqliteStorage(path))
    expect(entries.filter((entry) => !entry.isSound).map(({ columns }) => columns.seq)).toEqual([151])
    expect(isComplete).toBe(false)
  })
})
