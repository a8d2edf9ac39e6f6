import { describe, expect, test } from 'vitest'

import { givenReports } from './live/given-reports.ts'
import { type Client, openClient } from './client.ts'
import { sqliteStorage } from './drivers/node.ts'
import type { SqliteConnection } from './drivers/sqlite-driver.ts'
import { givenEnvironment, givenSchema } from './local/given-device.ts'

const givenClient = (): Promise<Client<typeof givenSchema>> =>
  openClient({ schema: givenSchema, storage: sqliteStorage(':memory:'), env: givenEnvironment().env })

/** A client beside the one connection it uses, for what only a server could bring about. */
async function givenClientOnConnection(): Promise<{
  db: Client<typeof givenSchema>
  connection: SqliteConnection
}> {
  const connection = await sqliteStorage(':memory:').open()
  const storage = { name: 'one connection', open: () => Promise.resolve(connection) }
  return { db: await openClient({ schema: givenSchema, storage, env: givenEnvironment().env }), connection }
}

const delegate = (connection: SqliteConnection): SqliteConnection => ({
  capabilities: connection.capabilities,
  all: (sql, params) => connection.all(sql, params),
  run: (sql, params) => connection.run(sql, params),
  exec: (sql) => connection.exec(sql),
  describe: (sql) => connection.describe(sql),
  close: () => connection.close(),
})

describe('a client without a server', () => {
  test('[WR-1, WR-7, LQ-1] collections, transactions, queries and watches work on one database', async () => {
    const db = await givenClient()
    const seen: unknown[] = []
    const stop = db.watch(
      (q) => q.selectFrom('items').select(['name', 'stock']).where('stock', '<', 5),
      (rows) => seen.push(rows),
    )
    const id = await db.items.insert({ name: 'Laptop', stock: 3 })
    const inside = await db.transaction(async (tx) => {
      await tx.items.increment(id, { stock: 1 })
      await tx.lines.insert({ item: id, amount: 1 })
      return tx.query((q) => q.selectFrom('items').select('stock'))
    })
    expect(inside).toEqual([{ stock: 4 }])
    expect(
      await db.query((q) =>
        q.selectFrom('items').innerJoin('lines', 'lines.item', 'items.id').select('name'),
      ),
    ).toEqual([{ name: 'Laptop' }])
    expect(db.collection('items')).toBe(db.items)
    expect(seen.at(-1)).toEqual([{ name: 'Laptop', stock: 4 }])
    stop()
    expect((await db.outbox.list()).map((entry) => entry.op)).toEqual(['create', 'update', 'create'])
    await db.close()
    await expect(db.items.insert({ name: 'late' })).rejects.toMatchObject({ code: 'CLIENT_CLOSED' })
  })

  test('[WR-11] a mutation without a verdict is awaited until the client is closed', async () => {
    const db = await givenClient()
    await db.items.insert({ name: 'Laptop' })
    const [entry] = await db.outbox.list()
    const verdict = db.verdict(entry?.id ?? '')
    await db.query((q) => q.selectFrom('items').select('id'))
    await db.close()
    await expect(verdict).rejects.toMatchObject({ code: 'CLIENT_CLOSED' })
  })

  test.each([
    ['pending', false],
    ['sending', false],
    ['held', false],
    ['conflicted', false],
    ['dead', false],
    ['answered', true],
  ])('[OB-19] with a mutation that is %s, signing out is safe: %s', async (status, isSafe) => {
    const { db, connection } = await givenClientOnConnection()
    expect(await db.canSafelySignOut()).toBe(true)
    await db.items.insert({ name: 'Laptop' })
    await connection.run('UPDATE _outbox SET status = ?', [status])
    expect(await db.canSafelySignOut()).toBe(isSafe)
    await db.close()
  })
})

test('[OB-18] a record is explained: what the server has, what this device adds, and what each mutation waits for', async () => {
  const { db, connection } = await givenClientOnConnection()
  const id = await db.items.insert({ name: 'Laptop' })
  for (const name of ['b', 'c', 'd', 'e']) await db.items.update(id, { name })
  await connection.exec(`UPDATE _outbox SET status = CASE seq WHEN 1 THEN 'answered' WHEN 2 THEN 'dead' WHEN 3 THEN 'sending' WHEN 4 THEN 'held' ELSE status END,
    verdict = iif(seq = 1, 'applied', NULL), version = iif(seq = 1, 7, NULL), held_by = 'c1', error = 'SCOPE_DENIED no'`)
  const { state, view, shadow, mutations } = await db.explain('items', id)
  expect([state, view?.name, shadow.snapshot]).toEqual(['pending', 'e', { kind: 'absent' }])
  const dead = mutations[3]?.entry.id ?? ''
  expect(mutations.map((mutation) => mutation.why.replace(dead, 'm4'))).toEqual([
    expect.stringMatching(
      /^The server has applied this create of .* as version 7; the next pull brings it\.$/,
    ),
    'This update of name was refused with SCOPE_DENIED: it is a dead letter until it is repaired or discarded.',
    'This update of name is on its way; no answer has come yet.',
    'The server waits with this update of name until c1 closes.',
    'This update of name comes behind mutation m4, which is held.',
  ])
  await db.close()
})

describe('a client that syncs by itself', () => {
  test('[LO-11] what the app asks for right after opening goes before the first cycle', async () => {
    const connection = await sqliteStorage(':memory:').open()
    const statements: string[] = []
    const noted: SqliteConnection = {
      ...delegate(connection),
      all: (sql, params) => {
        statements.push(sql)
        return connection.all(sql, params)
      },
    }
    const { env, clock } = givenEnvironment()
    const storage = { name: 'noted', open: () => Promise.resolve(noted) }
    const db = await openClient({
      schema: givenSchema,
      storage,
      env,
      server: 'http://nowhere',
      auth: 'token',
    })
    await db.query((q) => q.selectFrom('items').select('name'))
    expect(statements.at(-1)).toBe('select "name" from "items"')
    expect(statements.filter((sql) => sql.includes('_lease'))).toEqual([])
    clock.fire()
    await expect.poll(async () => (await db.status.get()).phase).toBe('offline')
    await db.close()
  })

  test('[SY-2] a pause right after opening holds, and resume starts the first cycle', async () => {
    const { env, clock } = givenEnvironment()
    const storage = sqliteStorage(':memory:')
    const db = await openClient({
      schema: givenSchema,
      storage,
      env,
      server: 'http://nowhere',
      auth: 'token',
    })
    db.sync.pause()
    clock.fire()
    await db.query((q) => q.selectFrom('items').select('name'))
    expect(await db.sync.now()).toEqual({ status: 'paused', code: null })
    db.sync.resume()
    await expect.poll(async () => (await db.status.get()).phase).toBe('offline')
    await db.close()
  })

  test('[SY-2] a client that is closed at once never begins', async () => {
    const { env, clock } = givenEnvironment()
    let requests = 0
    const counted = {
      ...env,
      fetch: (request: Request) => {
        requests += 1
        return env.fetch(request)
      },
    }
    const storage = sqliteStorage(':memory:')
    const options = { schema: givenSchema, storage, env: counted, server: 'http://nowhere', auth: 'token' }
    const db = await openClient(options)
    await db.close()
    clock.fire()
    await new Promise((resolve) => setImmediate(resolve))
    expect(requests).toBe(0)
  })
})

describe('lists that are watched', () => {
  test('[LQ-8] tell outbox and dead letters at once and after every commit, and nothing once stopped', async () => {
    const { db, connection } = await givenClientOnConnection()
    const seen: string[] = []
    const stops = [
      db.outbox.watch((entries) => seen.push(`outbox ${entries.map(({ op }) => op).join()}`)),
      db.deadLetters.watch((letters) => seen.push(`letters ${letters.length}`)),
    ]
    await db.outbox.list()
    expect(seen).toEqual(['outbox ', 'letters 0'])
    const id = await db.items.insert({ name: 'Laptop' })
    await db.outbox.list()
    expect(seen.slice(2)).toEqual(expect.arrayContaining(['outbox create', 'letters 0']))
    await connection.run("UPDATE _outbox SET status = 'dead', error = 'SCOPE_DENIED not yours'")
    await db.items.update(id, { note: 'x' })
    await db.outbox.list()
    await db.outbox.list()
    expect(seen.slice(4)).toEqual(expect.arrayContaining(['outbox create,update', 'letters 1']))
    for (const stop of stops) stop()
    const count = seen.length
    await db.items.insert({ name: 'Chair' })
    await db.outbox.list()
    expect(seen).toHaveLength(count)
    await db.close()
  })

  test('[LQ-8] [ST-2] a listener that throws is told again, and holds nobody else up', async () => {
    const reports = givenReports()
    const { db } = await givenClientOnConnection()
    const seen: string[] = []
    const tell = (what: string): void => {
      seen.push(what)
      throw new Error(what)
    }
    db.outbox.watch((entries) => tell(`outbox ${entries.length}`))
    db.status.subscribe(({ pendingCount }) => tell(`first ${pendingCount}`))
    db.status.subscribe(({ pendingCount }) => tell(`second ${pendingCount}`))
    await db.status.get()
    await db.items.insert({ name: 'Laptop' })
    await db.status.get()
    await db.status.get()
    expect(seen).toEqual(expect.arrayContaining(['outbox 0', 'outbox 1', 'first 1', 'second 1']))
    expect(await reports()).toEqual(seen.map((what) => new Error(what)))
    await db.close()
  })

  test('[LQ-8] of one record, or only decisions, when asked for', async () => {
    const db = await givenClient()
    const id = await db.items.insert({ name: 'Laptop' })
    await db.items.insert({ name: 'Chair' })
    expect((await db.outbox.list({ record: id })).map(({ record }) => record)).toEqual([id])
    expect(await db.outbox.list({ isDecision: true })).toEqual([])
    await db.close()
  })
})

test('[ST-5] a logger that throws costs no cycle', async () => {
  const reports = givenReports()
  const logger = {
    log: (_level: string, event: string) => {
      throw new Error(event)
    },
  }
  const db = await openClient({
    schema: givenSchema,
    storage: sqliteStorage(':memory:'),
    env: givenEnvironment().env,
    server: 'https://shop.example',
    sync: { auto: false },
    logger,
  })
  for (let cycle = 0; cycle < 2; cycle++)
    expect(await db.sync.now()).toEqual({ status: 'offline', code: 'OFFLINE' })
  expect(await reports()).toEqual([new Error('sync-failed'), new Error('sync-failed')])
  await db.close()
})

test('[OB-22] a device shows what stands beside its rows', async () => {
  const { db, connection } = await givenClientOnConnection()
  const id = await db.items.insert({ name: 'Laptop', stock: 2 })
  await connection.exec(`DELETE FROM _outbox; UPDATE items SET _version = 5, _state = 'clean';
    INSERT INTO _meta (key, value) VALUES ('cursor', 'c7'); INSERT INTO _scopes (n, name) VALUES (1, 'global')`)
  expect(await db.inspect()).toMatchObject({
    cursor: 'c7',
    scopes: ['global'],
    counts: { outbox: 0 },
    shadows: [],
  })
  await db.items.increment(id, { stock: 1 })
  expect(await db.inspect()).toMatchObject({
    identity: db.identity(),
    schemaVersion: 1,
    rowCounts: { items: 1, lines: 0 },
    counts: { outbox: 1, shadows: 1, deleted: 0, staged: 0, quarantined: 0 },
    shadows: [
      {
        collection: 'items',
        record: id,
        shadow: { snapshot: { kind: 'live', version: 5, values: { stock: 2 } } },
      },
    ],
  })
  expect((await db.inspect({ shadowRows: 0 })).shadows).toEqual([])
  await db.close()
})
