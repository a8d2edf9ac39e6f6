/**
 * `npm run bench:postgres -- [--rows 100000] [--rounds 3] [--json FILE]`: what capture and the engine cost on a PostgreSQL
 * with fsync, against the least that does the same, in the same run.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { collection, counter, defineSchema, formatHlc, newUuid, text } from '@holdfast/core'
import { systemEnvironment } from '@holdfast/client'
import { type Caller, createEngine, postgresStore } from '@holdfast/server'
import { freshDatabase, startPostgres } from '@holdfast/testing/services'
import { Client } from 'pg'
import { percentile } from './measurement.ts'

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
})
const rowCount = Number(options.rows)
const roundCount = Number(options.rounds)
const batch = 500
const pushed = 10_000

const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: { warehouse: text(), name: text(), description: text(), stock: counter() },
      scope: 'warehouse:{warehouse}',
    }),
  },
})

interface Line {
  readonly case: string
  readonly ours: number
  readonly limit: number
  readonly unit: string
  readonly ratio: number
  readonly goal: string
}

const samples = new Map<string, number[]>()

async function timed(name: string, work: () => Promise<unknown>): Promise<void> {
  const startedMs = performance.now()
  await work()
  note(name, performance.now() - startedMs)
}

function note(name: string, value: number): void {
  samples.set(name, [...(samples.get(name) ?? []), value])
}

const median = (name: string): number => percentile(samples.get(name) ?? [], 0.5)

const server = await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } })
const database = await freshDatabase(server.url)
const sql = new Client({ connectionString: database.url })
await sql.connect()
const engine = await createEngine({
  schema,
  store: postgresStore({ url: database.url, migrate: true, pollMs: 0, listen: false }),
  scopes: () => [],
})
const bareColumns = `(id uuid PRIMARY KEY, warehouse text NOT NULL, name text NOT NULL, description text NOT NULL,
  stock bigint NOT NULL, version bigint NOT NULL DEFAULT 0, created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(), server_updated_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz)`
await sql.query(`CREATE TABLE bare ${bareColumns}; CREATE TABLE bare_pushed ${bareColumns}`)

function makeRows(table: string, count: number): string {
  return `INSERT INTO ${table} (id, warehouse, name, description, stock)
    SELECT gen_random_uuid(), 'w' || n % 20, 'row ' || n, repeat('word ', 24), 0 FROM generate_series(1, ${count}) n`
}

function caller(grants: readonly string[]): Caller {
  const device = newUuid(systemEnvironment)
  return { user: { id: 'ann' }, device, grants, schemaVersion: 1, requestId: 'bench' }
}

function mutationsOf(from: Caller, first: number, count: number) {
  return Array.from({ length: count }, (_, at) => ({
    id: newUuid(systemEnvironment),
    seq: first + at,
    collection: 'items',
    record: newUuid(systemEnvironment),
    op: 'create',
    changes: { warehouse: `w${at % 20}`, name: `row ${at}`, description: 'word '.repeat(24), stock: 0 },
    at: formatHlc({ ms: Date.now(), counter: at }, from.device ?? ''),
    schema: 1,
  }))
}

async function pushAll(): Promise<void> {
  const from = caller(Array.from({ length: 20 }, (_, at) => `warehouse:w${at}`))
  for (let first = 1; first <= pushed; first += batch) {
    const mutations = mutationsOf(from, first, batch)
    const startedMs = performance.now()
    const { results } = await engine.push(from, { ack: '', mutations })
    note('push batch', performance.now() - startedMs)
    if (results.some(({ status }) => status !== 'applied')) throw new Error(JSON.stringify(results[0]))
  }
}

async function upsertAll(): Promise<void> {
  const from = caller([])
  for (let first = 1; first <= pushed; first += batch) {
    const rows = mutationsOf(from, first, batch).map(({ record, changes }) => ({
      id: record,
      ...changes,
    }))
    const startedMs = performance.now()
    await sql.query(
      `INSERT INTO bare_pushed (id, warehouse, name, description, stock)
       SELECT * FROM json_to_recordset($1) x (id uuid, warehouse text, name text, description text, stock bigint)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, stock = excluded.stock`,
      [JSON.stringify(rows)],
    )
    note('upsert batch', performance.now() - startedMs)
  }
}

async function bulkUpdates(): Promise<void> {
  await timed('bulk bare', () => sql.query('UPDATE bare SET stock = stock + 1'))
  await timed('bulk items', () => sql.query('UPDATE items SET stock = stock + 1'))
  await sql.query('VACUUM bare; VACUUM items; VACUUM holdfast.feed').catch(() => undefined)
  for (const table of ['bare', 'items', 'holdfast.feed', 'holdfast.clocks'])
    await sql.query(`VACUUM ANALYZE ${table}`)
}

async function singleUpdates(): Promise<void> {
  const ids = new Map<string, readonly string[]>()
  for (const table of ['bare', 'items']) {
    const { rows } = await sql.query<{ id: string }>(`SELECT id FROM ${table} LIMIT 200`)
    ids.set(
      table,
      rows.map(({ id }) => id),
    )
  }
  for (let at = 0; at < 200; at++) {
    for (const table of ['bare', 'items'])
      await timed(`single ${table}`, () =>
        sql.query({
          name: `one ${table}`,
          text: `UPDATE ${table} SET stock = stock + 1 WHERE id = $1`,
          values: [ids.get(table)?.[at]],
        }),
      )
  }
}

/** From the first lock of a scope to the end of the commit: the stamp is the last that runs, brought forward to be seen. */
async function lockTimes(): Promise<void> {
  for (let at = 0; at < 100; at++) {
    await sql.query('BEGIN')
    await sql.query(
      `UPDATE items SET stock = stock + 1 WHERE id IN (SELECT id FROM items LIMIT ${at % 10 === 0 ? 5_000 : 20})`,
    )
    await timed('lock', () => sql.query('COMMIT'))
  }
}

async function pulls(): Promise<void> {
  const one = caller(['warehouse:w1'])
  const many = caller(Array.from({ length: 1_000 }, (_, at) => `warehouse:w${at}`))
  const [state] = (await sql.query<{ id: string }>(`SELECT id FROM items WHERE warehouse = 'w1' LIMIT 1`))
    .rows
  const startOf = async (who: Caller): Promise<string> => {
    for (let cursor: string | undefined; ; ) {
      const page = await engine.snapshot(who, { ...(cursor !== undefined && { cursor }) })
      cursor = page.cursor
      if (!page.more) return cursor
    }
  }
  let [since, sinceMany] = [await startOf(one), await startOf(many)]
  for (let at = 0; at < 60; at++) {
    await sql.query('UPDATE items SET stock = stock + 1 WHERE id = $1', [state?.id])
    await timed('pull one', async () => {
      const page = await engine.pull(one, { since })
      since = page.cursor
      if (page.changeCount !== 1) throw new Error(`one change, not ${page.changeCount}`)
    })
    sinceMany = (await engine.pull(many, { since: sinceMany })).cursor
    await timed('pull empty', () => engine.pull(many, { since: sinceMany }))
  }
}

async function snapshots(): Promise<void> {
  const who = caller(['warehouse:w1', 'warehouse:w2', 'warehouse:w3', 'warehouse:w4'])
  await timed('snapshot', async () => {
    let cursor: string | undefined
    for (;;) {
      const page = await engine.snapshot(who, { ...(cursor !== undefined && { cursor }), limit: 5_000 })
      cursor = page.cursor
      if (!page.more) return
    }
  })
  await timed('stream', async () => {
    for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
      const { rows } = await sql.query<{ id: string; text: string }>(
        `SELECT id, row_to_json(x)::text AS text FROM items x WHERE id > $1 AND warehouse IN ('w1', 'w2', 'w3', 'w4') ORDER BY id LIMIT 5000`,
        [after],
      )
      const last = rows.at(-1)
      if (!last) return
      after = last.id
      JSON.stringify(rows.map(({ text: row }) => row).join(','))
    }
  })
}

await pushAll()
await upsertAll()
samples.clear()
for (let round = 0; round < roundCount; round++) {
  await upsertAll()
  await pushAll()
}
const smallPush = median('push batch')
await sql.query(makeRows('bare', rowCount))
await sql.query(makeRows('items', rowCount))
for (const table of ['bare', 'items', 'holdfast.feed']) await sql.query(`VACUUM ANALYZE ${table}`)
for (let round = 0; round < roundCount; round++) await bulkUpdates()
await singleUpdates()
await lockTimes()
await pulls()
for (let round = 0; round < roundCount; round++) await snapshots()
const bareBatch = median('upsert batch')
samples.delete('push batch')
await pushAll()

const ratio = (name: string, ours: number, limit: number, goal: string, isRate = false): Line => ({
  case: name,
  unit: 'ms',
  ours,
  limit,
  ratio: isRate ? limit / ours : ours / limit,
  goal,
})
const lines: readonly Line[] = [
  ratio(`update of ${rowCount} rows`, median('bulk items'), median('bulk bare'), '≤ 2.5'),
  ratio('update of one row', median('single items'), median('single bare'), '≤ 1.5'),
  ratio('scope locks at commit, p99 against 50 ms', percentile(samples.get('lock') ?? [], 0.99), 50, '≤ 1'),
  ratio(`push of ${batch}, as a share of the bare upsert's rate`, smallPush, bareBatch, '≥ 0.35', true),
  ratio(
    `push of ${batch} beside ${rowCount} rows, against an almost empty table`,
    median('push batch'),
    smallPush,
    'none',
  ),
  ratio('pull of one change, against 5 ms', median('pull one'), 5, '≤ 1'),
  ratio('empty pull of 1,000 scopes, against 5 ms', median('pull empty'), 5, '≤ 1'),
  ratio(
    'snapshot, as a share of the rate of rows as JSON by hand',
    median('snapshot'),
    median('stream'),
    '≥ 0.5',
    true,
  ),
]
for (const { case: name, ours, limit, ratio: reached, goal } of lines)
  process.stdout.write(
    `${name}: ${ours.toFixed(2)} ms, limit ${limit.toFixed(2)} ms, ${reached.toFixed(2)} (goal ${goal})\n`,
  )
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(lines, null, 2)}\n`)
await engine.close()
await sql.end()
await server.stop()
