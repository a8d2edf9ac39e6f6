import type { GivenItems } from './given-items.ts'
import { makeRows } from './given-items.ts'
import type { Samples } from './samples.ts'

/**
 * Updates of another writer with and without capture, and by hand: the same update with one entry of a feed renewed and one
 * line of an audit written for each row, in one statement each, into tables like ours. That is the least that keeps both.
 */
export async function measureCapture(
  { sql }: Pick<GivenItems, 'sql'>,
  samples: Samples,
  { rows, rounds }: { readonly rows: number; readonly rounds: number },
): Promise<void> {
  for (const table of ['bare', 'hand', 'items']) await sql.query(makeRows(table, rows))
  await sql.query(`INSERT INTO hand_feed (scope, collection, record, tx, version, op)
    SELECT 'warehouse:' || warehouse, 'items', id, 0, 0, 'put' FROM hand ON CONFLICT DO NOTHING`)
  for (let round = 0; round < rounds; round++) {
    await sql.query('VACUUM ANALYZE')
    await samples.timed('bulk bare', () => sql.query('UPDATE bare SET stock = stock + 1'))
    await samples.timed('bulk items', () => sql.query('UPDATE items SET stock = stock + 1'))
    await samples.timed('bulk hand', async () => {
      await sql.query('BEGIN; UPDATE hand SET stock = stock + 1, version = version + 1')
      await sql.query(handFeed)
      await sql.query(`${handAudit}; COMMIT`)
    })
  }
  await sql.query('VACUUM ANALYZE')
  for (let at = 0; at < 200; at++) {
    for (const table of ['bare', 'items']) {
      const one = `UPDATE ${table} SET stock = stock + 1 WHERE id = (SELECT id FROM ${table} OFFSET ${at} LIMIT 1)`
      await samples.timed(`single ${table}`, () => sql.query(one))
    }
  }
  await measureLocks({ sql }, samples)
}

const handFeed = `INSERT INTO hand_feed AS f (scope, collection, record, tx, version, op)
  SELECT 'warehouse:' || warehouse, 'items', id, stock, version, 'put' FROM hand ORDER BY id
  ON CONFLICT (collection, record, scope) DO UPDATE SET tx = excluded.tx, version = excluded.version`

const handAudit = `INSERT INTO hand_audit (tx, collection, record, version, op, at, received_at, before, after, status)
  SELECT stock, 'items', id, version, 'update', now(), now(), json_build_object('stock', stock - 1),
    json_build_object('stock', stock), 'applied' FROM hand ORDER BY id`

/**
 * Commits of 20 rows, and each tenth of 5,000: locks are held from the stamp, which is the first of a commit, to its end. And
 * commits of the same rows without capture, which sync less of a log.
 */
async function measureLocks({ sql }: Pick<GivenItems, 'sql'>, samples: Samples): Promise<void> {
  for (let at = 0; at < 100; at++) {
    const count = at % 10 === 0 ? 5_000 : 20
    for (const [table, name] of [
      ['items', 'lock'],
      ['bare', 'bare commit'],
    ] as const) {
      await sql.query('BEGIN')
      await sql.query(
        `UPDATE ${table} SET stock = stock + 1 WHERE id IN (SELECT id FROM ${table} OFFSET ${100 * at} LIMIT ${count})`,
      )
      await samples.timed(name, () => sql.query('COMMIT'))
    }
  }
}
