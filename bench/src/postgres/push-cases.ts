import type { Caller } from '@holdfast/server'
import { callerOf, type GivenItems, type GrownItems, mutationsOf, warehouses } from './given-items.ts'
import type { Samples } from './samples.ts'

/** How many mutations a push has. */
export const batch = 500

/** A device that goes on pushing into one database. */
class Pusher {
  readonly items: GivenItems
  readonly #caller: Caller = callerOf(warehouses)
  #seq = 1

  constructor(items: GivenItems) {
    this.items = items
  }

  async push(samples: Samples, name: string, records: readonly string[] = []): Promise<void> {
    const mutations = mutationsOf(this.#caller, this.#seq, { count: batch, records })
    this.#seq += batch
    const startedMs = performance.now()
    const { results } = await this.items.engine.push(this.#caller, { ack: '', mutations })
    samples.note(name, performance.now() - startedMs)
    const bad = results.find(({ status }) => status !== 'applied' && status !== 'merged')
    if (bad) throw new Error(JSON.stringify(bad))
  }
}

/**
 * Pushes of creates, beside a bare upsert of the same rows in batches as large, and by hand: in one transaction the rows, and
 * what a server must remember of them in tables like ours. Nothing is decided, hashed, locked or looked up there.
 */
export async function measurePush(items: GivenItems, samples: Samples, rounds: number): Promise<void> {
  const pusher = new Pusher(items)
  for (let at = 0; at < 10; at++) await pusher.push(samples, 'warm-up')
  for (let at = 0; at < 20 * rounds; at++) {
    await pusher.push(samples, 'push')
    const rows = bareRows([])
    await samples.timed('upsert', () => items.sql.query(upsert('bare_pushed'), [rows]))
    await samples.timed('push by hand', () => items.sql.query(byHand, [rows]))
  }
}

/** A batch of rows as JSON: new ones, or with these ids. */
function bareRows(ids: readonly string[]): string {
  return JSON.stringify(
    mutationsOf(callerOf([]), 1, { count: batch }).map((mutation, at) => ({
      id: ids[at] ?? mutation.record,
      key: mutation.id,
      seq: mutation.seq,
      ...('changes' in mutation && mutation.changes),
    })),
  )
}

const upsert = (table: string): string => `INSERT INTO ${table} (id, warehouse, name, description, stock)
  SELECT id, warehouse, name, description, stock FROM json_to_recordset($1) x (id uuid, warehouse text, name text, description text, stock bigint)
  ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, stock = excluded.stock`

const byHand = `WITH x AS MATERIALIZED (SELECT * FROM json_to_recordset($1) x (id uuid, key text, seq bigint, warehouse text, name text,
    description text, stock bigint)),
  rows AS (INSERT INTO hand (id, warehouse, name, description, stock) SELECT id, warehouse, name, description, stock FROM x),
  feed AS (INSERT INTO hand_feed (scope, collection, record, tx, version, op)
    SELECT 'warehouse:' || warehouse, 'items', id, 1, seq, 'put' FROM x),
  outcomes AS (INSERT INTO hand_outcomes (device, seq, covers, id, hash, status, version, exact, op, fields, at)
    SELECT hashtext(key), seq, seq::text, key, repeat('h', 43), 'applied', seq, true, 'create', '[]', now() FROM x),
  keys AS (INSERT INTO hand_keys (id, account, device, seq) SELECT key, 'ann', 1, seq FROM x)
  INSERT INTO hand_audit (tx, collection, record, version, op, account, device, mutation, at, received_at, after, status)
    SELECT 1, 'items', id, seq, 'create', 'ann', repeat('d', 36), key, now(), now(), row_to_json((SELECT r FROM
      (SELECT warehouse, name, description, stock) r)), 'applied' FROM x`

/**
 * Pushes of creates and of increments beside so many rows, in turns, each size in a database of its own; and an upsert of as
 * many rows, new ones and ones that are there, into a bare table as large.
 */
export async function measureGrowth(grown: readonly GrownItems[], samples: Samples): Promise<void> {
  const pushers: { readonly size: number; readonly pusher: Pusher; readonly ids: readonly string[] }[] = []
  for (const { size, items } of grown) {
    const found = await items.sql.query<{ id: string }>(
      'SELECT id FROM items ORDER BY md5(id::text) LIMIT 20000',
    )
    pushers.push({ size, pusher: new Pusher(items), ids: found.rows.map(({ id }) => id) })
  }
  const bareIds = new Map<number, readonly string[]>()
  for (const { size, items } of grown) {
    const found = await items.sql.query<{ id: string }>(
      'SELECT id FROM bare ORDER BY md5(id::text) LIMIT 20000',
    )
    bareIds.set(
      size,
      found.rows.map(({ id }) => id),
    )
  }
  for (let round = 0; round < 33; round++) {
    for (const { size, pusher, ids } of pushers) {
      const first = (batch * round) % Math.max(1, ids.length - batch)
      const isCounted = round >= 3
      await pusher.push(samples, isCounted ? `create ${size}` : 'warm-up')
      const known = ids.slice(first, first + batch)
      await pusher.push(samples, isCounted ? `update ${size}` : 'warm-up', known)
      const bare = bareIds.get(size)?.slice(first, first + batch) ?? []
      for (const [name, asked] of [
        ['create', []],
        ['update', bare],
      ] as const) {
        const rows = bareRows(asked)
        await samples.timed(isCounted ? `bare ${name} ${size}` : 'warm-up', () =>
          pusher.items.sql.query(upsert('bare'), [rows]),
        )
      }
    }
  }
}
