import type { Client } from '@holdfast/client'
import { openBrowserClient } from '@holdfast/client/browser'

import { type Item, makeItems } from '../../inventory.ts'
import { schema } from '../../ours/schema.ts'
import { RawDatabase } from './raw-database.ts'

/** What the runner finds in the page. Rates are per second, times ms. */
export interface BenchPage {
  single(count: number): Promise<Pair<number>>
  /** `queued`: by hand as well, with an entry of an outbox for each row. */
  bulk(count: number): Promise<Pair<number> & { readonly queued: number }>
  live(rows: number, writes: number): Promise<Pair<readonly number[]>>
  /** The same client without a file system: single and bulk writes per second, and how long it takes to open again. */
  indexedDb(writes: number, rows: number): Promise<Record<'single' | 'bulk' | 'openMs', number>>
  firstSync(rows: number): Promise<Pair<number> & { readonly longestTaskMs: number; readonly takeMs: number }>
}

/** One measured beside the other, in the same page and minute. */
export interface Pair<Value> {
  readonly raw: Value
  readonly ours: Value
}

let databases = 0

interface Opening {
  readonly server?: string
  readonly name?: string
  readonly place?: 'indexed-db'
}

async function openOurs({ server, name, place }: Opening = {}): Promise<Client<typeof schema>> {
  return openBrowserClient({
    schema,
    name: name ?? `ours-${databases++}`,
    worker: () =>
      new Worker(new URL('./holdfast-worker.ts', import.meta.url), { type: 'module', name: place ?? '' }),
    ...(server !== undefined && { server, auth: 'bench' }),
    sync: { auto: false },
  })
}

const openRaw = (): Promise<RawDatabase> => RawDatabase.open(`raw-${databases++}`)

const rowOf = (item: Item): (string | number)[] => [
  item.id,
  item.sku,
  item.name,
  item.description,
  item.stock,
  item.price,
  JSON.stringify(item.tags),
  item.warehouse,
  item.counted,
]

async function rate(count: number, work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return (count / (performance.now() - startedMs)) * 1_000
}

const blocksOf = (items: readonly Item[]): Item[][] =>
  Array.from({ length: Math.ceil(items.length / 1_000) }, (_, n) => items.slice(n * 1_000, (n + 1) * 1_000))

async function insertRaw(
  raw: RawDatabase,
  items: readonly Item[],
  kind: 'insertAll' | 'queueAll' = 'insertAll',
): Promise<void> {
  for (const block of blocksOf(items)) await raw.call({ kind, rows: block.map(rowOf) })
}

const bench: BenchPage = {
  async single(count) {
    const first = makeItems(count)
    const second = makeItems(count, 2)
    const raw = await openRaw()
    const rawRate = await rate(count, async () => {
      for (const item of first) await raw.call({ kind: 'insert', row: rowOf(item) })
    })
    raw.close()
    const db = await openOurs()
    const ours = await rate(count, async () => {
      // Ids are left to the client, as apps do.
      for (const { id: _, ...item } of second) await db.items.insert(item)
    })
    await db.close()
    return { raw: rawRate, ours }
  },
  async bulk(count) {
    const items = makeItems(count)
    const raw = await openRaw()
    const rawRate = await rate(count, () => insertRaw(raw, items))
    raw.close()
    const queueing = await openRaw()
    const queued = await rate(count, () => insertRaw(queueing, items, 'queueAll'))
    queueing.close()
    const db = await openOurs()
    const rows = items.map(({ id: _, ...item }) => item)
    const ours = await rate(count, async () => void (await db.items.insertMany(rows)))
    await db.close()
    return { raw: rawRate, queued, ours }
  },
  async live(rows, writes) {
    const items = makeItems(rows)
    const raw = await openRaw()
    await insertRaw(raw, items)
    const sql = 'SELECT * FROM items ORDER BY id'
    await raw.call({ kind: 'all', sql })
    const rawTimes: number[] = []
    for (const item of makeItems(rows + writes, 3).slice(rows)) {
      const startedMs = performance.now()
      await raw.call({ kind: 'insert', row: rowOf(item) })
      await raw.call({ kind: 'all', sql })
      rawTimes.push(performance.now() - startedMs)
    }
    raw.close()
    const db = await openOurs()
    await db.items.insertMany(items)
    const ours = await followWrites(db, items.slice(0, writes))
    await db.close()
    return { raw: rawTimes, ours }
  },
  async indexedDb(writes, rows) {
    const items = makeItems(writes + rows).map(({ id: _, ...item }) => item)
    const where = { name: `kept-${databases++}`, place: 'indexed-db' } as const
    const db = await openOurs(where)
    const single = await rate(writes, async () => {
      for (const item of items.slice(0, writes)) await db.items.insert(item)
    })
    const bulk = await rate(rows, async () => void (await db.items.insertMany(items.slice(writes))))
    await db.close()
    const startedMs = performance.now()
    const again = await openOurs(where)
    const openMs = performance.now() - startedMs
    await again.close()
    return { single, bulk, openMs }
  },
  async firstSync(rows) {
    const items = makeItems(rows)
    const raw = await openRaw()
    const rawRate = await rate(rows, () => insertRaw(raw, items))
    raw.close()
    const db = await openOurs({ server: location.origin })
    const tasks: number[] = []
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tasks.push(duration)
    })
    observer.observe({ entryTypes: ['longtask'] })
    const startedMs = performance.now()
    const summary = await db.sync.now()
    const takeMs = performance.now() - startedMs
    if (summary.status !== 'done') throw new Error(`first sync: ${summary.status} ${summary.code}`)
    const [count] = await db.query((q) =>
      q.selectFrom('items').select((eb) => eb.fn.countAll<number>().as('n')),
    )
    if (count?.n !== rows) throw new Error(`first sync brought ${count?.n} rows`)
    // Entries come in a task of their own.
    await new Promise((resolve) => setTimeout(resolve, 100))
    observer.disconnect()
    await db.close()
    return { raw: rawRate, ours: (rows / takeMs) * 1_000, longestTaskMs: Math.max(0, ...tasks), takeMs }
  },
}

/** From the call of a write to the callback of a live query over all rows. */
async function followWrites(db: Client<typeof schema>, items: readonly Item[]): Promise<number[]> {
  let told: (() => void) | undefined
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      told = resolve
    })
  const first = next()
  const stop = db.watch(
    (q) => q.selectFrom('items').selectAll().orderBy('id'),
    () => told?.(),
  )
  await first
  const times: number[] = []
  for (const { id } of items) {
    const called = next()
    const startedMs = performance.now()
    await db.items.increment(id, { stock: 1 })
    await called
    times.push(performance.now() - startedMs)
  }
  stop()
  return times
}

Object.assign(globalThis, { bench })
