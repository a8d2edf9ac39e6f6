import { newUuid } from '@holdfast/core'
import { hasPostgres } from '@holdfast/testing/services'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GivenEngine, givenEngine, item } from '../../given-engine.ts'
import { waitingForLocks } from '../../given-locks.ts'
import { systemEnvironment } from '../../system-environment.ts'

describe.skipIf(!hasPostgres())('rows with unique keys that another program wrote', () => {
  let given: GivenEngine
  beforeEach(async () => {
    given = await givenEngine({ store: { busyTimeoutMs: 100 } })
  })
  afterEach(() => given.close())

  const insertMany = (many: number): Promise<void> =>
    given.run(`INSERT INTO items (id, warehouse, sku, name, stock, tags)
      SELECT gen_random_uuid(), '1', 'F-' || n, 'row ' || n, 0, '[]' FROM generate_series(1, ${many}) n`)
  const count = async (table: string): Promise<unknown> =>
    (await given.rows(`SELECT count(*)::int AS n FROM ${table}`))[0]?.['n']

  test('[FE-72] are read in the time of their number, also by statements that were planned when there were none', async () => {
    const ann = given.device()
    await given.run('VACUUM ANALYZE holdfast_foreign_writes')
    for (let push = 0; push < 8; push++) await ann.pushOne(ann.create('items', item()))
    const many = 20_000
    const insertingMs = performance.now()
    await insertMany(many)
    const startedMs = performance.now()
    const insertMs = startedMs - insertingMs
    const again = ann.create('items', item({ sku: `F-${many}` }))
    for (;;) {
      const result = await ann.pushOne(again).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'STORE_BUSY' })
      })
      if (!result || result.status === 'retry') continue
      expect(result).toMatchObject({ status: 'rejected', error: { code: 'UNIQUE_VIOLATION' } })
      break
    }
    // Twice as long as they took to be written. Looked for one by one among all, they take 22 s on an idle machine.
    expect(performance.now() - startedMs).toBeLessThan(10 * insertMs)
    expect(await count('holdfast_unique_keys')).toBe(many + 8)
    expect(await count('holdfast_foreign_writes')).toBe(0)
  }, 200_000)

  test('[FE-72] keep no push that needs no such key waiting, and one that does no longer than a lock', async () => {
    const ann = given.device()
    await insertMany(20_000)
    const [again, startedMs] = [ann.create('items', item()), performance.now()]
    await expect(ann.pushOne(again)).rejects.toMatchObject({ code: 'STORE_BUSY' })
    expect(performance.now() - startedMs).toBeLessThan(5_000)
    expect(await count('holdfast_foreign_writes')).toBeGreaterThan(0)
    const eve = given.device('eve')
    expect((await eve.pushOne(eve.create('notes', { body: 'no key' }))).status).toBe('applied')
    // What was begun goes on, and each who comes again finds less.
    const status = async (): Promise<unknown> => (await ann.pushOne(again).catch(() => undefined))?.status
    await expect.poll(status, { timeout: 30_000 }).toBe('applied')
    expect(await count('holdfast_foreign_writes')).toBe(0)
  })
})

describe.skipIf(!hasPostgres())('a key that another program gave, and a push takes away again', () => {
  test('[FE-1] [FE-72] is free afterwards, also where a third one reads of it at the same time', async () => {
    const given = await givenEngine()
    const ann = given.device()
    // Rows are locked in the order of their ids.
    const [record, later] = [newUuid(systemEnvironment()), newUuid(systemEnvironment())].sort()
    const first = ann.create('items', item(), { record: record! })
    const laptop = ann.create('items', item({ sku: 'old' }), { record: later! })
    await ann.push(first, laptop)
    const [bob, eve] = [given.device('bob'), given.device('eve')]
    // Bob's push has looked for notes, and waits for a row.
    const releaseRow = await given.hold(`BEGIN; UPDATE items SET place = 'held' WHERE id = '${first.record}'`)
    const renaming = bob.push(
      bob.update(first, { name: 'Desk' }, { base: { name: 'Laptop' } }),
      bob.update(laptop, { sku: 'newest' }, { base: { sku: 'given' } }),
    )
    await waitingForLocks((sql) => given.rows(sql), 1)
    await given.run(`UPDATE items SET sku = 'given' WHERE id = '${laptop.record}'`)
    // Eve's push has read the row, and waits to write its key.
    const releaseKey =
      await given.hold(`BEGIN; INSERT INTO holdfast_unique_keys (collection, key, text, record, is_sole)
      SELECT collection, key, replace(text, 'old', 'given'), record, false FROM holdfast_unique_keys WHERE record = '${laptop.record}';
      DELETE FROM holdfast_unique_keys WHERE text LIKE '%given%'`)
    const reading = eve.push(eve.create('items', item()))
    await waitingForLocks((sql) => given.rows(sql), 2)
    await releaseRow()
    // And Bob's has read the row, and waits to work off the note of its key.
    await waitingForLocks((sql) => given.rows(sql), 1, 'WITH few AS%')
    await releaseKey()
    expect((await renaming).map(({ status }) => status)).toEqual(['applied', 'applied'])
    expect((await reading).map(({ status }) => status)).toEqual(['applied'])
    const keys = `SELECT u.text FROM holdfast_unique_keys u JOIN items i ON i.id = u.record WHERE u.text NOT LIKE '%' || i.sku || '%'`
    expect(await given.rows(keys)).toEqual([])
    expect((await ann.pushOne(ann.create('items', item({ sku: 'given' })))).status).toBe('applied')
    await given.close()
  })
})
