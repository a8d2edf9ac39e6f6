import { type AppendAnomaly, type AppendTransaction, findAppendAnomalies } from '../check/append-cycles.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { GivenWarehouse, Reader } from './given-warehouse.ts'
import { between, isRefusal, lists, tokensOf, type Turn, warehouses, writerKinds } from './load-writers.ts'

/** How much is written, read and watched. */
export interface LoadOptions {
  readonly seconds: number
  readonly writers: number
  readonly readers: number
  readonly random: SeededRandom
}

/** What came of it. */
export interface LoadReport {
  readonly committed: number
  readonly refused: number
  /** Transactions that were committed, by kind of writer: a kind that got none through was not tested. */
  readonly byKind: Readonly<Record<string, number>>
  /** Pulls to the end, each of them one moment of the server. */
  readonly moments: number
  /** Readers that in the end had other rows than the tables: which, and what. */
  readonly differences: readonly string[]
  readonly anomalies: readonly AppendAnomaly[]
  readonly history: readonly AppendTransaction[]
}

const moreMs = 20_000

interface Load {
  readonly warehouse: GivenWarehouse
  readonly random: SeededRandom
  readonly history: AppendTransaction[]
  readonly untilMs: number
  readonly committed: Map<string, number>
  refused: number
}

/** Writers of every kind and readers through the engine, all at once; then every reader against the tables. */
export async function runLoad(
  warehouse: GivenWarehouse,
  { seconds, writers, readers, random }: LoadOptions,
): Promise<LoadReport> {
  for (const { id, warehouse: place } of lists)
    await warehouse.sql(`INSERT INTO items (id, warehouse, name, stock) VALUES ($1, $2, '', 0)`, [id, place])
  await warehouse.sql(`INSERT INTO items (id, warehouse, name, stock)
    SELECT gen_random_uuid(), (n % ${warehouses} + 1)::text, 'plain', 0 FROM generate_series(1, 60) n`)
  const untilMs = performance.now() + seconds * 1_000
  const committed = new Map(writerKinds.slice(0, writers).map(({ name }) => [name, 0]))
  const load: Load = { warehouse, random, history: [], untilMs, committed, refused: 0 }
  const reading = Array.from({ length: readers }, (_, at) =>
    warehouse.reader(grantsOf(at), [undefined, 40, 200][at % 3]),
  )
  const follow = reading.map((reader, at) => followFeed(load, reader, at))
  const write = Array.from({ length: writers }, (_, at) => writeOn(load, at))
  await Promise.all([...follow, ...write])
  for (const reader of reading) await reader.pull()
  const differences = await differencesOf(warehouse, reading)
  const rows = await warehouse.sql('SELECT id::text, name FROM items WHERE id = ANY($1::uuid[])', [
    lists.map(({ id }) => id),
  ])
  const final = new Map(rows.map((row) => [String(row['id']), tokensOf(row['name'])] as const))
  const { history, refused } = load
  return {
    committed: [...committed.values()].reduce((sum, count) => sum + count, 0),
    refused,
    byKind: Object.fromEntries(committed),
    moments: history.filter(({ session }) => session?.startsWith('reader')).length,
    differences,
    history,
    anomalies: findAppendAnomalies(history, final),
  }
}

/** Whether nothing broke, and every kind of writer and the readers did something. */
export function isSound({ anomalies, differences, byKind, moments }: Omit<LoadReport, 'history'>): boolean {
  const isDone = moments > 0 && Object.values(byKind).every((count) => count > 0)
  return isDone && anomalies.length + differences.length === 0
}

function grantsOf(at: number): readonly string[] | '*' {
  if (at % 7 === 6) return '*'
  const first = at % warehouses
  return Array.from({ length: 2 + (at % 4) }, (_, more) => `warehouse:${((first + more) % warehouses) + 1}`)
}

async function followFeed(load: Load, reader: Reader, at: number): Promise<void> {
  for (let pull = 0; pull < 2 || performance.now() < load.untilMs; pull++) {
    await reader.pull()
    // A page beyond which nothing lay: what the device holds now is one moment of the server.
    const items = reader.rowsOf('items')
    const reads = lists
      .filter(({ id }) => items.has(id))
      .map(({ id }) => ({ list: id, tokens: tokensOf(items.get(id)?.['name']) }))
    load.history.push({
      id: `reader ${at} pull ${pull}`,
      session: `reader ${at}`,
      level: 'snapshot',
      isCommitted: true,
      appends: [],
      reads,
    })
    await new Promise((resolve) => setTimeout(resolve, between(load.random, 500, 2_500)))
  }
}

async function writeOn(load: Load, at: number): Promise<void> {
  const { warehouse, random, history, committed } = load
  const kind = writerKinds[at % writerKinds.length]
  if (!kind) return
  const { name, level, work } = kind
  const client = await warehouse.connect()
  const reader = warehouse.reader('*')
  // A kind that was always late goes on when the others are done.
  const isOver = (): boolean => performance.now() > load.untilMs + (committed.get(name) === 0 ? moreMs : 0)
  for (let number = 0; !isOver(); number++) {
    const turn: Turn = { warehouse, random, client, reader, appends: [], reads: [] }
    let isCommitted = true
    try {
      await work(turn)
      committed.set(name, (committed.get(name) ?? 0) + 1)
    } catch (error) {
      if (!isRefusal(error)) throw error
      isCommitted = false
      load.refused += 1
      await client.query('ROLLBACK')
    }
    const reads = isCommitted ? turn.reads : []
    const id = `writer ${at} (${name}) turn ${number}`
    history.push({ id, session: `writer ${at}`, level, isCommitted, appends: turn.appends, reads })
  }
  await client.end()
}

async function differencesOf(
  warehouse: GivenWarehouse,
  readers: readonly Reader[],
): Promise<readonly string[]> {
  const differences: string[] = []
  for (const [at, reader] of readers.entries()) {
    for (const [table, live] of [
      ['items', 'deleted_at IS NULL'],
      ['lines', 'true'],
    ] as const) {
      const rows = await warehouse.sql(
        `SELECT id::text, to_jsonb(t) - 'id' - 'version' - 'created_at' - 'updated_at' - 'server_updated_at' - 'deleted_at' AS data
         FROM ${table} t WHERE ${live} AND ($1::text[] IS NULL OR 'warehouse:' || warehouse = ANY($1))`,
        [reader.grants === '*' ? null : reader.grants],
      )
      const read = reader.rowsOf(table)
      const told = new Set(read.keys())
      for (const { id, data } of rows) {
        const own = read.get(String(id))
        told.delete(String(id))
        const isSame = own && Object.entries(data as object).every(([field, value]) => own[field] === value)
        if (!isSame)
          differences.push(
            `reader ${at} ${table} ${String(id)}: ${JSON.stringify(own)} for ${JSON.stringify(data)}`,
          )
      }
      for (const id of told) differences.push(`reader ${at} ${table} ${id} is not there`)
    }
  }
  return differences
}
