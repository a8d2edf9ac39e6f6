import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Contender, fixtureFiles, type Job } from '../contender.ts'
import { liveQueryChanges, makeItems, offlineEdits, pulledRecords, pullPauseMs } from '../inventory.ts'
import { expectSame, type Measurement, medianMs, perSecond } from '../measurement.ts'
import { type RunningServer, startServer } from '../server-process.ts'
import { LocalStore } from './local-store.ts'
import { followPokes, pullChanges, pullSnapshot, pushAll, pushFolded } from './sync.ts'

/** The least work that does the same jobs. */
export const limit: Contender = {
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

function start({ folder, port }: Job): Promise<RunningServer> {
  const file = join(folder, fixtureFiles.server)
  return startServer(new URL('./server.ts', import.meta.url), { file, port, isCounting: true })
}

function openStore(job: Job, file: string, durability: 'full' | 'fast'): LocalStore {
  return new LocalStore(join(job.folder, file), durability)
}

async function fixture(job: Job): Promise<Measurement> {
  const server = await start(job)
  const author = openStore(job, 'author.db', 'fast')
  author.insertMany(makeItems(job.rows))
  await pushAll(author, server.url, 'author')
  for (const file of [fixtureFiles.writer, fixtureFiles.reader]) {
    const store = openStore(job, file, 'full')
    await pullSnapshot(store, server.url)
    store.database.close()
  }
  author.database.close()
  await server.stop()
  return { value: job.rows }
}

/** Each write is awaited, as an app awaits its own. */
async function writeSingle(job: Job, durability: 'full' | 'fast'): Promise<Measurement> {
  const items = makeItems(job.writes)
  const store = openStore(job, 'device.db', durability)
  const startedMs = performance.now()
  for (const item of items) await Promise.resolve(store.insert(item))
  const measured = perSecond(items.length, startedMs)
  expectSame('entries', store.count('outbox'), items.length)
  return measured
}

async function writeBulk(job: Job): Promise<Measurement> {
  const items = makeItems(job.writes)
  const store = openStore(job, 'device.db', 'fast')
  const startedMs = performance.now()
  store.insertMany(items)
  const measured = perSecond(items.length, startedMs)
  expectSame('entries', store.count('outbox'), items.length)
  return measured
}

async function liveQuery(job: Job): Promise<Measurement> {
  const store = openStore(job, 'device.db', 'fast')
  store.insertMany(makeItems(job.rows))
  const durationsMs: number[] = []
  for (const change of liveQueryChanges(store.lowStock(), job.writes)) {
    const startedMs = performance.now()
    store.update(change.id, { stock: change.stock })
    const rows = store.lowStock()
    durationsMs.push(performance.now() - startedMs)
    expectSame('stock in the result', rows.find((row) => row.id === change.id)?.stock, change.seen)
  }
  return medianMs(durationsMs)
}

async function coldOpen(job: Job): Promise<Measurement> {
  const startedMs = performance.now()
  const store = openStore(job, fixtureFiles.reader, 'full')
  const rows = store.lowStock()
  const value = performance.now() - startedMs
  expectSame('first row', rows.length > 0, true)
  return { value, notes: { 'start of process to first result': performance.now() } }
}

async function push(job: Job): Promise<Measurement> {
  const server = await start(job)
  const store = openStore(job, 'device.db', 'full')
  store.insertMany(makeItems(job.writes))
  const startedMs = performance.now()
  await pushAll(store, server.url, 'device')
  const measured = perSecond(job.writes, startedMs)
  expectSame('entries left', store.count('outbox'), 0)
  await server.stop()
  return measured
}

async function firstSync(job: Job): Promise<Measurement> {
  const server = await start(job)
  const store = openStore(job, 'device.db', 'full')
  const startedMs = performance.now()
  await pullSnapshot(store, server.url)
  const measured = perSecond(job.rows, startedMs)
  expectSame('rows', store.count('items'), job.rows)
  await server.stop()
  return measured
}

async function pullOne(job: Job): Promise<Measurement> {
  const server = await start(job)
  const writer = openStore(job, fixtureFiles.writer, 'full')
  const reader = openStore(job, fixtureFiles.reader, 'full')
  const ids = makeItems(job.rows)
    .slice(0, pulledRecords)
    .map((item) => item.id)
  const seen = reader.statement('SELECT stock FROM items WHERE id = ?')
  let onPoke = (): void => undefined
  await followPokes(server.url, () => onPoke())
  const durationsMs: number[] = []
  for (let index = 0; index < job.writes; index++) {
    const id = ids[index % ids.length] ?? ''
    await sleep(pullPauseMs)
    const poked = new Promise<void>((resolve) => (onPoke = resolve))
    const startedMs = performance.now()
    writer.update(id, { stock: 1_000 + index })
    const pushed = pushAll(writer, server.url, 'writer')
    await poked
    await pullChanges(reader, server.url)
    const stock = seen.get(id)?.['stock']
    durationsMs.push(performance.now() - startedMs)
    expectSame('stock at the reader', stock, 1_000 + index)
    await pushed
  }
  await server.stop()
  return medianMs(durationsMs)
}

async function coalesce(job: Job): Promise<Measurement> {
  const server = await start(job)
  const store = openStore(job, fixtureFiles.writer, 'full')
  const edits = offlineEdits(makeItems(job.rows), job.writes)
  for (const { id, changes } of edits) store.update(id, changes)
  const sent = await pushFolded(store, server.url, 'writer')
  expectSame('mutations sent', sent, job.writes)
  const { bytesReceived, pushBytes, pushBytesPlain } = await server.traffic()
  await server.stop()
  const plain = (bytesReceived - pushBytes + pushBytesPlain) / job.writes
  return { value: bytesReceived / job.writes, notes: { plain } }
}
