import { hasPostgres } from '@holdfast/testing/services'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GivenEngine, givenEngine, item } from '../../given-engine.ts'

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
    await insertMany(many)
    const startedMs = performance.now()
    const again = ann.create('items', item({ sku: `F-${many}` }))
    for (;;) {
      const result = await ann.pushOne(again).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'STORE_BUSY' })
      })
      if (!result) continue
      expect(result).toMatchObject({ status: 'rejected', error: { code: 'UNIQUE_VIOLATION' } })
      break
    }
    // Looked for one by one among all, they take 22 s on an idle machine.
    expect(performance.now() - startedMs).toBeLessThan(12_000)
    expect(await count('holdfast_unique_keys')).toBe(many + 8)
    expect(await count('holdfast_foreign_writes')).toBe(0)
  }, 200_000)

  test('[FE-72] keep no push that needs no such key waiting, and one that does no longer than a lock', async () => {
    const ann = given.device()
    await insertMany(20_000)
    const startedMs = performance.now()
    await expect(ann.pushOne(ann.create('items', item()))).rejects.toMatchObject({ code: 'STORE_BUSY' })
    expect(performance.now() - startedMs).toBeLessThan(5_000)
    expect(await count('holdfast_foreign_writes')).toBeGreaterThan(0)
    const eve = given.device('eve')
    expect((await eve.pushOne(eve.create('notes', { body: 'no key' }))).status).toBe('applied')
    // What was begun goes on.
    await expect.poll(() => count('holdfast_foreign_writes'), { timeout: 30_000 }).toBe(0)
  })
})
