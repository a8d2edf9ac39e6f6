import type { Client } from 'pg'

import { type AppendAnomaly, type AppendTransaction, findAppendAnomalies } from '../check/append-cycles.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { type GivenWarehouse, newId, type Reader } from './given-warehouse.ts'

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
  readonly checkpoints: number
  /** Readers that in the end had other rows than the tables: which, and what. */
  readonly differences: readonly string[]
  readonly anomalies: readonly AppendAnomaly[]
  readonly history: readonly AppendTransaction[]
}

const warehouses = 6
const listsPerWarehouse = 2
const lists = Array.from({ length: warehouses * listsPerWarehouse }, (_, at) => ({
  id: newId(),
  warehouse: `${(at % warehouses) + 1}`,
}))

function between(random: SeededRandom, least: number, most: number): number {
  return least + random.below(most - least + 1)
}

interface Load {
  readonly warehouse: GivenWarehouse
  readonly random: SeededRandom
  readonly history: AppendTransaction[]
  readonly untilMs: number
  committed: number
  refused: number
}

/** One writer's transaction: it notes the tokens it appends, and what it reads, and throws when it is refused. */
type Work = (context: WriterContext) => Promise<void>

interface WriterContext {
  readonly load: Load
  readonly client: Client
  readonly reader: Reader
  readonly appends: { list: string; token: string }[]
  readonly reads: { list: string; tokens: readonly string[] }[]
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
  const load: Load = { warehouse, random, history: [], untilMs, committed: 0, refused: 0 }
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
  const { history, committed, refused } = load
  const checkpoints = history.filter(({ id }) => id.startsWith('reader')).length
  return {
    committed,
    refused,
    checkpoints,
    differences,
    history,
    anomalies: findAppendAnomalies(history, final),
  }
}

function grantsOf(at: number): readonly string[] | '*' {
  if (at % 7 === 6) return '*'
  const first = at % warehouses
  return Array.from({ length: 2 + (at % 4) }, (_, more) => `warehouse:${((first + more) % warehouses) + 1}`)
}

function tokensOf(name: unknown): readonly string[] {
  return typeof name === 'string' && name !== '' ? name.split(',') : []
}

async function followFeed(load: Load, reader: Reader, at: number): Promise<void> {
  for (let pull = 0; performance.now() < load.untilMs; pull++) {
    await reader.pull()
    // A page beyond which nothing lay: what the device holds now is one moment of the server.
    const items = reader.rowsOf('items')
    const reads = lists
      .filter(({ id }) => items.has(id))
      .map(({ id }) => ({ list: id, tokens: tokensOf(items.get(id)?.['name']) }))
    load.history.push({ id: `reader ${at} pull ${pull}`, isCommitted: true, appends: [], reads })
    await new Promise((resolve) => setTimeout(resolve, between(load.random, 500, 2_500)))
  }
}

async function writeOn(load: Load, at: number): Promise<void> {
  const client = await load.warehouse.connect()
  const reader = load.warehouse.reader('*')
  const work = works[at % works.length]
  if (!work) return
  for (let turn = 0; performance.now() < load.untilMs; turn++) {
    const context: WriterContext = { load, client, reader, appends: [], reads: [] }
    let isCommitted = true
    try {
      await work(context)
      load.committed += 1
    } catch (error) {
      if (!isRefusal(error)) throw error
      isCommitted = false
      load.refused += 1
      await client.query('ROLLBACK')
    }
    const { appends, reads } = context
    load.history.push({
      id: `writer ${at} turn ${turn}`,
      isCommitted,
      appends,
      reads: isCommitted ? reads : [],
    })
  }
  await client.end()
}

/** Serialization failures, deadlocks, and races that the store gave up. */
function isRefusal(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  return ['40001', '40P01', 'STORE_BUSY', 'REFUSED'].includes(String(code))
}

function token(context: WriterContext, list: string): string {
  const made = newId().slice(-17)
  context.appends.push({ list, token: made })
  return made
}

async function append(context: WriterContext, list: string): Promise<void> {
  const sql = `UPDATE items SET name = concat_ws(',', nullif(name, ''), $2::text) WHERE id = $1 RETURNING name`
  const { rows } = await context.client.query<{ name: string }>(sql, [list, token(context, list)])
  context.reads.push({ list, tokens: tokensOf(rows[0]?.name) })
}

/** In one order, so that row locks never wait in a circle. */
function someLists({ load }: WriterContext, count: number): readonly string[] {
  const picked = new Set(Array.from({ length: count }, () => between(load.random, 0, lists.length - 1)))
  return [...picked].sort((left, right) => left - right).map((at) => lists[at]?.id ?? '')
}

async function pause({ load }: WriterContext, mostMs: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, between(load.random, 0, mostMs)))
}

const works: readonly Work[] = [
  // One list, by itself.
  async (context) => {
    for (const list of someLists(context, 1)) await append(context, list)
    await pause(context, 5)
  },
  // Several lists in one transaction, some of it after SET CONSTRAINTS.
  async (context) => {
    await context.client.query('BEGIN')
    for (const list of someLists(context, 3)) {
      await append(context, list)
      if (between(context.load.random, 0, 3) === 0)
        await context.client.query('SET CONSTRAINTS ALL IMMEDIATE')
    }
    await context.client.query('COMMIT')
  },
  // With a savepoint that is rolled back.
  async (context) => {
    const [first = '', second = first] = someLists(context, 2)
    await context.client.query('BEGIN')
    await append(context, first)
    await context.client.query(
      `SAVEPOINT s; UPDATE items SET stock = stock + 1 WHERE name = 'plain' AND warehouse = '1'; ROLLBACK TO s`,
    )
    if (second !== first) await append(context, second)
    await context.client.query('COMMIT')
  },
  ...['REPEATABLE READ', 'SERIALIZABLE'].map(
    (level): Work =>
      async (context) => {
        await context.client.query(`BEGIN ISOLATION LEVEL ${level}`)
        for (const list of someLists(context, 2)) await append(context, list)
        await context.client.query('COMMIT')
      },
  ),
  // A job that stays open while others commit.
  async (context) => {
    await context.client.query('BEGIN')
    await context.client.query(
      `INSERT INTO lines (id, warehouse, body) SELECT gen_random_uuid(), (n % ${warehouses} + 1)::text, 'job' FROM generate_series(1, 20) n`,
    )
    await pause(context, 1_500)
    for (const list of someLists(context, 1)) await append(context, list)
    await context.client.query('COMMIT')
  },
  // Many rows, moves between scopes, hard deletes.
  async ({ client, load }) => {
    const place = `${between(load.random, 1, warehouses)}`
    await client.query(
      `UPDATE items SET stock = stock + 1, warehouse = CASE WHEN random() < 0.2 THEN $1 ELSE warehouse END WHERE name = 'plain'`,
      [place],
    )
    await client.query(
      `DELETE FROM lines WHERE id IN (SELECT id FROM lines WHERE warehouse = $1 ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED)`,
      [place],
    )
    await new Promise((resolve) => setTimeout(resolve, 400))
  },
  // Pushes of a device.
  async ({ reader, load }) => {
    const changes = { warehouse: `${between(load.random, 1, warehouses)}`, body: 'pushed' }
    const made = Array.from({ length: 10 }, () => ({
      op: 'create' as const,
      collection: 'lines',
      record: newId(),
      changes,
    }))
    const results = await reader.push(made)
    if (results.some(({ status }) => status !== 'applied')) throw new Error(JSON.stringify(results[0]))
  },
  // A plain client that reads, and writes if nobody was faster.
  async (context) => {
    const { load, reader } = context
    const { engine } = load.warehouse
    const [list = ''] = someLists(context, 1)
    const text = await engine.record(reader.caller, 'items', list)
    const row = JSON.parse(text ?? '{}') as { name: string; version: number }
    const seen = tokensOf(row.name)
    const name = [...seen, token(context, list)].join(',')
    const precondition = { kind: 'version' as const, version: row.version }
    const write = { collection: 'items', record: list, op: 'update' as const, values: { name }, precondition }
    const { committed } = await engine.apply(reader.caller, [write], { atomic: true })
    if (!committed) throw Object.assign(new Error('somebody was faster'), { code: 'REFUSED' })
    context.reads.push({ list, tokens: name.split(',') })
  },
]

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
