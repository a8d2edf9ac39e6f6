import { collection, counter, defineSchema, newUuid, text } from '@holdfast/core'
import { hasPostgres } from '@holdfast/testing/services'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Engine } from '../../engine.ts'
import { type Copy, takeCopy } from '../../given-copies.ts'
import { until } from '../../queue/given-queue.ts'
import { createEngine } from '../../server.ts'
import { systemEnvironment } from '../../system-environment.ts'
import type { FeedPage, Reached, Store } from '../store.ts'
import { postgresStore } from './postgres-store.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: { place: text(), name: text(), stock: counter() },
      scope: 'place:{place}',
      unique: [['name']],
    }),
  },
})
const env = systemEnvironment()

let database: Copy
let store: Store
let engine: Engine
const clients: Client[] = []

beforeEach(async () => {
  if (!hasPostgres()) return
  database = await takeCopy(schema)
  store = postgresStore({ url: database.url, pollMs: 0 })
  engine = await createEngine({ schema, store, scopes: () => [] })
})

afterEach(async () => {
  if (!hasPostgres()) return
  for (const client of clients.splice(0)) await client.end()
  await engine.close()
  await database.drop()
})

async function connect(): Promise<Client> {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  clients.push(client)
  return client
}

const insert = (client: Client, place: string, name: string): Promise<unknown> =>
  client.query('INSERT INTO items (id, place, name) VALUES ($1, $2, $3)', [newUuid(env), place, name])

const start: Reached = { position: 0, ahead: {} }
const scopes = ['place:a', 'place:b']
const read = (reached: Reached): Promise<FeedPage> =>
  store.read((tx) => tx.feedPage({ ...reached, scopes }, { rows: 100, bytes: 1_000_000 }, null))
const namesOf = ({ changes }: FeedPage): readonly unknown[] =>
  changes.map((text) => (JSON.parse(text) as { data: { name: string } }).data.name)

describe.skipIf(!hasPostgres())('positions at commit', () => {
  test('[FE-13] telling which scopes moved reads what the transaction wrote, not the feed it lies in', async () => {
    const other = await connect()
    // Statistics of such a feed say that a transaction is as large as the feed.
    await other.query(
      `INSERT INTO items (id, place, name) SELECT gen_random_uuid(), 'p' || n % 20, 'n' || n FROM generate_series(1, 20000) n`,
    )
    await other.query('ANALYZE holdfast.feed')
    await other.query('SELECT pg_stat_reset()')
    const caller = {
      user: { id: 'ann' },
      device: null,
      grants: '*',
      schemaVersion: 1,
      requestId: 'r',
    } as const
    const values = { place: 'a', name: 'one', stock: 0 }
    const write = { collection: 'items', record: newUuid(env), op: 'create', values } as const
    await engine.apply(caller, [{ ...write, precondition: { kind: 'none' } }])
    // A session that ends has counted all it did.
    await engine.close()
    const counted = `SELECT (SELECT n_tup_ins FROM pg_stat_user_tables WHERE relid = 'holdfast.feed'::regclass) AS written,
      (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relid = 'holdfast.feed'::regclass)
        + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relid = 'holdfast.feed'::regclass) AS read`
    const count = async (): Promise<{ written: string; read: string } | undefined> =>
      (await other.query<{ written: string; read: string }>(counted)).rows[0]
    await until(async () => Number((await count())?.written) === 1, 'what the session has counted')
    expect(Number((await count())?.read)).toBeLessThan(1_000)
  })

  test('[FE-61] B01 a reader passes a transaction that has its position and is not seen yet, and misses nothing', async () => {
    const [slow, quick] = [await connect(), await connect()]
    await slow.query('BEGIN')
    await insert(slow, 'a', 'slow')
    // The position is taken now, and the transaction stays open.
    await slow.query('SET CONSTRAINTS ALL IMMEDIATE')
    await insert(quick, 'b', 'quick')
    const first = await read(start)
    expect([namesOf(first), first.more]).toEqual([['quick'], false])
    expect(Object.keys(first.reached.ahead)).toEqual(['place:b'])
    expect(await read(first.reached)).toMatchObject({ changes: [], reached: first.reached })
    await slow.query('COMMIT')
    const second = await read(first.reached)
    expect(namesOf(second)).toEqual(['slow'])
    // With nobody under way one position is enough again.
    await insert(quick, 'b', 'last')
    const third = await read(second.reached)
    expect(namesOf(third)).toEqual(['last'])
  })

  test('[FE-61] B02 a transaction that writes for long without a position delays nobody', async () => {
    const [slow, quick] = [await connect(), await connect()]
    await slow.query('BEGIN')
    await insert(slow, 'a', 'slow')
    let { reached } = await read(start)
    const told: unknown[] = []
    for (let n = 0; n < 5; n++) {
      await insert(quick, n % 2 === 0 ? 'a' : 'b', `quick ${n}`)
      const page = await read(reached)
      told.push(...namesOf(page))
      reached = page.reached
    }
    await slow.query('COMMIT')
    told.push(...namesOf(await read(reached)))
    expect(told).toEqual(['quick 0', 'quick 1', 'quick 2', 'quick 3', 'quick 4', 'slow'])
  })

  test('[FE-60] in one scope whoever commits second waits for who has the position before, in another nobody does', async () => {
    const [first, second, other] = [await connect(), await connect(), await connect()]
    await first.query('BEGIN')
    await insert(first, 'a', 'first')
    await first.query('SET CONSTRAINTS ALL IMMEDIATE')
    let isDone = false
    const waiting = insert(second, 'a', 'second').then(() => (isDone = true))
    await insert(other, 'b', 'other')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(isDone).toBe(false)
    await first.query('COMMIT')
    await waiting
    const { rows } = await other.query(
      'SELECT name FROM items i JOIN holdfast.feed f ON f.record = i.id JOIN holdfast.transactions t ON t.n = f.tx ORDER BY t.position',
    )
    expect(rows.map(({ name }: { name: string }) => name)).toEqual(['first', 'other', 'second'])
  })

  test('[FE-63] [PU-38] copies of a device that offer the same mutations at once have one effect', async () => {
    const caller = (device: string) => ({
      user: { id: 'ann' },
      device,
      grants: ['place:a'],
      schemaVersion: 1,
      requestId: 'test',
    })
    const devices = Array.from({ length: 6 }, () => newUuid(env))
    const at = `2026-11-20T10:00:00.000Z-0000-${newUuid(env)}`
    const record = newUuid(env)
    const made = { collection: 'items', record, op: 'create', changes: { place: 'a', name: 'one', stock: 0 } }
    const counted = { collection: 'items', record, op: 'update', baseVersion: 0, increments: { stock: 1 } }
    const mutations = [
      { id: newUuid(env), seq: 1, at, schema: 1, ...made },
      { id: newUuid(env), seq: 2, at, schema: 1, ...counted },
    ]
    const answers = await Promise.all(
      devices.map((device) => engine.push(caller(device), { ack: '', mutations })),
    )
    const statuses = answers.flatMap(({ results }) =>
      results.map(({ status, error }) => error?.code ?? status),
    )
    expect(statuses.filter((status) => status === 'applied')).toHaveLength(2)
    expect(new Set(statuses)).toEqual(new Set(['applied', 'KEY_REUSED']))
    const { rows } = await (await connect()).query('SELECT stock::integer FROM items')
    expect(rows).toEqual([{ stock: 1 }])
  })

  test('[FE-63] [PU-18] of batches that see the same unique text free at once one takes it', async () => {
    const push = (n: number) => {
      const changes = { place: 'a', name: 'the same', stock: n }
      const id = newUuid(env)
      const at = `2026-11-20T10:00:00.000Z-0000-${id}`
      const create = {
        id,
        seq: 1,
        at,
        schema: 1,
        collection: 'items',
        record: newUuid(env),
        op: 'create',
        changes,
      }
      const caller = {
        user: { id: `u${n}` },
        device: id,
        grants: ['place:a'],
        schemaVersion: 1,
        requestId: 'test',
      }
      return engine.push(caller, { ack: '', mutations: [create] })
    }
    const answers = await Promise.all(Array.from({ length: 6 }, (_, n) => push(n)))
    const statuses = answers.flatMap(({ results }) => results.map(({ status }) => status))
    expect(statuses.filter((status) => status === 'applied')).toHaveLength(1)
    expect((await (await connect()).query('SELECT 1 FROM items')).rows).toHaveLength(1)
  })
})
