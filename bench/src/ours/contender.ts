import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { Calls } from '../calls.ts'
import { type Contender, fixtureFiles, type Job } from '../contender.ts'
import {
  type Item,
  liveQueryChanges,
  lowStock,
  makeItems,
  offlineEdits,
  pulledRecords,
  pullPauseMs,
} from '../inventory.ts'
import { expectSame, type Measurement, medianMs, perSecond } from '../measurement.ts'
import { type RunningServer, startServer } from '../server-process.ts'
import { schema } from './schema.ts'

/** The library, with everything it does switched on. */
export const ours: Contender = {
  fixture,
  'write-single': (job) => writeSingle(job, 'fast'),
  'write-single-full': (job) => writeSingle(job, 'full'),
  'write-bulk': writeBulk,
  'live-query': liveQuery,
  'cold-open': coldOpen,
  push,
  'first-sync': firstSync,
  'pull-one': pullOne,
  coalesce,
}

type Device = Client<typeof schema>

interface Opening {
  readonly durability?: 'full' | 'fast'
  /** Sync by itself; otherwise only when told to. */
  readonly auto?: boolean
}

function open(job: Job, file: string, { durability = 'full', auto = false }: Opening = {}): Promise<Device> {
  return openClient({
    schema,
    storage: sqliteStorage(join(job.folder, file)),
    server: `http://127.0.0.1:${job.port}`,
    auth: 'bench',
    durability,
    sync: { auto },
  })
}

function start({ folder, port }: Job, isCounting = false): Promise<RunningServer> {
  const file = join(folder, fixtureFiles.server)
  return startServer(new URL('./server.ts', import.meta.url), { file, port, isCounting })
}

/** Looks into a database file past the library. */
function look(job: Job, file: string, sql: string): number {
  const database = new DatabaseSync(join(job.folder, file), { readOnly: true })
  try {
    return Number(database.prepare(sql).get()?.['n'])
  } finally {
    database.close()
  }
}

/** The library gives the id, as an app would have it. */
function withoutIds(items: readonly Item[]): Omit<Item, 'id'>[] {
  return items.map(({ id: _id, ...values }) => values)
}

function watchLowStock(device: Device, onRows: (rows: readonly Pick<Item, 'id' | 'stock'>[]) => void): void {
  const { warehouse, below, rows } = lowStock
  device.watch(
    (q) =>
      q
        .selectFrom('items')
        .selectAll()
        .where('warehouse', '=', warehouse)
        .where('stock', '<', below)
        .orderBy('name')
        .limit(rows),
    onRows,
  )
}

/** Rows come into the server's own table by plain SQL, as from any other program; its triggers make the feed. */
async function fixture(job: Job): Promise<Measurement> {
  await (await start(job)).stop()
  const database = new DatabaseSync(join(job.folder, fixtureFiles.server))
  database.exec('BEGIN')
  const insert = database.prepare(
    `INSERT INTO items (id, sku, name, description, stock, price, tags, warehouse, counted)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  for (const { id, sku, name, description, stock, price, tags, warehouse, counted } of makeItems(job.rows)) {
    insert.run(id, sku, name, description, stock, price, JSON.stringify(tags), warehouse, counted)
  }
  database.exec('COMMIT')
  database.close()
  const server = await start(job)
  for (const file of [fixtureFiles.writer, fixtureFiles.reader]) {
    const device = await open(job, file)
    await device.sync.now()
    await device.close()
    expectSame('rows', look(job, file, 'SELECT count(*) AS n FROM items'), job.rows)
  }
  await server.stop()
  return { value: job.rows }
}

async function writeSingle(job: Job, durability: 'full' | 'fast'): Promise<Measurement> {
  const items = withoutIds(makeItems(job.writes))
  const device = await open(job, 'device.db', { durability })
  const startedMs = performance.now()
  for (const item of items) await device.items.insert(item)
  const measured = perSecond(items.length, startedMs)
  expectSame('entries', look(job, 'device.db', 'SELECT count(*) AS n FROM _outbox'), items.length)
  await device.close()
  return measured
}

async function writeBulk(job: Job): Promise<Measurement> {
  const items = withoutIds(makeItems(job.writes))
  const device = await open(job, 'device.db', { durability: 'fast' })
  const startedMs = performance.now()
  await device.items.insertMany(items)
  const measured = perSecond(items.length, startedMs)
  expectSame('entries', look(job, 'device.db', 'SELECT count(*) AS n FROM _outbox'), items.length)
  await device.close()
  return measured
}

async function liveQuery(job: Job): Promise<Measurement> {
  const device = await open(job, 'device.db', { durability: 'fast' })
  await device.items.insertMany(withoutIds(makeItems(job.rows)))
  const calls = new Calls<readonly Pick<Item, 'id' | 'stock'>[]>()
  const first = calls.next()
  watchLowStock(device, calls.receive)
  const durationsMs: number[] = []
  for (const change of liveQueryChanges((await first).value, job.writes)) {
    const call = calls.next()
    const startedMs = performance.now()
    const written = device.items.update(change.id, { stock: change.stock })
    const { value: rows, atMs } = await call
    durationsMs.push(atMs - startedMs)
    expectSame('stock in the result', rows.find((row) => row.id === change.id)?.stock, change.seen)
    await written
  }
  await device.close()
  return medianMs(durationsMs)
}

/** As an app opens it, syncing by itself; the server is out of reach. */
async function coldOpen(job: Job): Promise<Measurement> {
  const calls = new Calls<readonly unknown[]>()
  const call = calls.next()
  const startedMs = performance.now()
  const device = await open(job, fixtureFiles.reader, { auto: true })
  watchLowStock(device, calls.receive)
  const { value: rows, atMs } = await call
  expectSame('first row', rows.length > 0, true)
  await device.close()
  return { value: atMs - startedMs, notes: { 'start of process to first result': atMs } }
}

/** The device has synced before it goes offline, as every device has. */
async function push(job: Job): Promise<Measurement> {
  const server = await start(job)
  const device = await open(job, 'device.db')
  await device.sync.now()
  await device.items.insertMany(withoutIds(makeItems(job.writes)))
  const startedMs = performance.now()
  await device.sync.now()
  const measured = perSecond(job.writes, startedMs)
  expectSame('entries left', look(job, 'device.db', 'SELECT count(*) AS n FROM _outbox'), 0)
  await device.close()
  await server.stop()
  expectSame('rows', look(job, fixtureFiles.server, 'SELECT count(*) AS n FROM items'), job.writes)
  return measured
}

async function firstSync(job: Job): Promise<Measurement> {
  const server = await start(job)
  const device = await open(job, 'device.db')
  const startedMs = performance.now()
  await device.sync.now()
  const measured = perSecond(job.rows, startedMs)
  expectSame('rows', look(job, 'device.db', 'SELECT count(*) AS n FROM items'), job.rows)
  await device.close()
  await server.stop()
  return measured
}

async function pullOne(job: Job): Promise<Measurement> {
  const server = await start(job)
  const writer = await open(job, fixtureFiles.writer, { auto: true })
  const reader = await open(job, fixtureFiles.reader, { auto: true })
  const ids = makeItems(job.rows)
    .slice(0, pulledRecords)
    .map((item) => item.id)
  const calls = new Calls<readonly Pick<Item, 'id' | 'stock'>[]>()
  const first = calls.next()
  reader.watch((q) => q.selectFrom('items').select(['id', 'stock']).where('id', 'in', ids), calls.receive)
  await first
  await Promise.all([writer.sync.now(), reader.sync.now()])
  const durationsMs: number[] = []
  for (let index = 0; index < job.writes; index++) {
    const id = ids[index % ids.length] ?? ''
    await sleep(pullPauseMs)
    const call = calls.next()
    const startedMs = performance.now()
    await writer.items.update(id, { stock: 1_000 + index })
    const { value: rows, atMs } = await call
    durationsMs.push(atMs - startedMs)
    expectSame('stock at the reader', rows.find((row) => row.id === id)?.stock, 1_000 + index)
  }
  await writer.close()
  await reader.close()
  await server.stop()
  return medianMs(durationsMs)
}

async function coalesce(job: Job): Promise<Measurement> {
  const server = await start(job, true)
  const device = await open(job, fixtureFiles.writer)
  for (const { id, changes } of offlineEdits(makeItems(job.rows), job.writes))
    await device.items.update(id, changes)
  await device.sync.now()
  const { bytesReceived, pushBytes, pushBytesPlain } = await server.traffic()
  expectSame('entries left', look(job, fixtureFiles.writer, 'SELECT count(*) AS n FROM _outbox'), 0)
  await device.close()
  await server.stop()
  const sent = look(job, fixtureFiles.server, 'SELECT count(*) AS n FROM holdfast_outcomes')
  expectSame('mutations sent', sent, job.writes)
  const plain = (bytesReceived - pushBytes + pushBytesPlain) / job.writes
  return { value: bytesReceived / job.writes, notes: { plain } }
}
