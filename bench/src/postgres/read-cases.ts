import type { Caller, Engine } from '@holdfast/server'
import { callerOf, type GivenItems, type GrownItems, warehouses } from './given-items.ts'
import type { Samples } from './samples.ts'

async function readSnapshot(engine: Engine, who: Caller, limit = 5_000): Promise<string> {
  for (let cursor: string | undefined; ; ) {
    const page = await engine.snapshot(who, { ...(cursor !== undefined && { cursor }), limit })
    cursor = page.cursor
    if (!page.more) return cursor
  }
}

/** Pulls of one change beside so many rows, in turns. */
export async function measurePullOne(grown: readonly GrownItems[], samples: Samples): Promise<void> {
  const readers: (GrownItems & { readonly who: Caller; readonly id: string; since: string })[] = []
  for (const { size, items } of grown) {
    const who = callerOf(['warehouse:w1'])
    const { rows } = await items.sql.query<{ id: string }>(
      `SELECT id FROM items WHERE warehouse = 'w1' LIMIT 1`,
    )
    const since = await readSnapshot(items.engine, who)
    readers.push({ size, items, who, id: rows[0]?.id ?? '', since })
  }
  for (let at = 0; at < 60; at++) {
    for (const reader of readers) {
      const { size, items, who, id } = reader
      await items.sql.query('UPDATE items SET stock = stock + 1 WHERE id = $1', [id])
      await samples.timed(`pull one ${size}`, async () => {
        const page = await items.engine.pull(who, { since: reader.since })
        reader.since = page.cursor
        if (page.changeCount !== 1) throw new Error(`one change, not ${page.changeCount}`)
      })
    }
  }
}

/** Pulls that bring nothing, of one scope and of 1,000: where nothing at all moved, and where one other scope did. */
export async function measureEmptyPulls({ engine, sql }: GivenItems, samples: Samples): Promise<void> {
  const readers = [
    { name: 'pull nothing', who: callerOf(['warehouse:none']), since: '' },
    {
      name: 'pull empty',
      who: callerOf(Array.from({ length: 1_000 }, (_, at) => `warehouse:n${at}`)),
      since: '',
    },
  ]
  for (const reader of readers) reader.since = await readSnapshot(engine, reader.who)
  for (let at = 0; at < 120; at++) {
    await sql.query('UPDATE items SET stock = stock + 1 WHERE id = (SELECT id FROM items LIMIT 1)')
    for (const reader of readers)
      await samples.timed(reader.name, async () => {
        reader.since = (await engine.pull(reader.who, { since: reader.since })).cursor
      })
  }
}

/** A snapshot of four scopes beside the same rows as JSON by hand, and what comparing all rows with a copy costs. */
export async function measureScans(
  { engine, sql }: GivenItems,
  samples: Samples,
  rounds: number,
): Promise<void> {
  const four = callerOf(warehouses.slice(1, 5))
  const all = callerOf(warehouses)
  const since = await readSnapshot(engine, all)
  for (let round = 0; round < rounds; round++) {
    await samples.timed('snapshot', () => readSnapshot(engine, four))
    await samples.timed('stream', () => streamByHand({ sql }))
    await samples.timed('digests', async () => {
      const { text } = await engine.pull(all, { since, digests: true })
      if (!text.includes('"digests":[{')) throw new Error('no digests')
    })
    await samples.timed('scan', () => sql.query('SELECT count(*), sum(version) FROM holdfast.feed'))
  }
}

async function streamByHand({ sql }: Pick<GivenItems, 'sql'>): Promise<void> {
  for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
    const { rows } = await sql.query<{ id: string; text: string }>(
      `SELECT id, row_to_json(x)::text AS text FROM items x WHERE id > $1 AND warehouse IN ('w1', 'w2', 'w3', 'w4') ORDER BY id LIMIT 5000`,
      [after],
    )
    const last = rows.at(-1)
    if (!last) return
    after = last.id
    JSON.stringify(rows.map(({ text }) => text).join(','))
  }
}
