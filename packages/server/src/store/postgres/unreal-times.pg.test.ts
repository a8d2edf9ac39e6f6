import { hasPostgres } from '@holdfast/testing/services'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GivenEngine, givenEngine, item } from '../../given-engine.ts'

describe.skipIf(!hasPostgres())('a time that no device can hold, by another writer', () => {
  let given: GivenEngine
  beforeEach(async () => {
    given = await givenEngine()
    await given.run('ALTER TABLE items ALTER COLUMN created_at DROP NOT NULL')
  })
  afterEach(() => given.close())

  test.each([
    `created_at = 'infinity'`,
    `created_at = NULL`,
    `created_at = '12000-01-01Z'`,
    `updated_at = '-infinity'`,
    `updated_at = '0044-03-15 BC'`,
  ])('[FE-2] %s counts as not given, and the record can be edited', async (sets) => {
    const ann = given.device()
    const laptop = ann.create('items', item({ name: 'Laptop' }))
    await ann.push(laptop)
    await given.run(`UPDATE items SET ${sets}, name = 'Desk'`)
    const year = /^2026-/
    expect(await ann.pull()).toMatchObject([
      { data: { created_at: expect.stringMatching(year), updated_at: expect.stringMatching(year) } },
    ])
    await given.run(`UPDATE items SET ${sets}`)
    expect(
      await ann.pushOne(ann.update(laptop, { name: 'Chair' }, { base: { name: 'Desk' } })),
    ).toMatchObject({
      status: 'applied',
      record: { created_at: '2026-11-20T10:00:00.000Z' },
    })
  })

  test('[FE-2] a row that is deleted at such a time is deleted now, and edits of it meet that', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item())
    await ann.push(laptop)
    await given.run(`UPDATE items SET deleted_at = 'infinity'`)
    const result = await ann.pushOne(ann.update(laptop, { name: 'Desk' }, { base: { name: 'Laptop' } }))
    expect(result).toMatchObject({ status: 'conflict', conflict: { kind: 'delete' } })
  })

  test('[FE-2] a row that is inserted with such times has those of now', async () => {
    const ann = given.device()
    await ann.push(ann.create('items', item()))
    await given.run(
      `INSERT INTO items (id, warehouse, sku, name, stock, tags, created_at, updated_at)
       VALUES (gen_random_uuid(), '1', 'other', 'Chair', 1, '[]', 'infinity', '0044-03-15 BC')`,
    )
    expect(
      await given.rows(
        `SELECT count(*) AS n FROM items WHERE created_at > now() - interval '30 days' AND updated_at > now() - interval '30 days' AND isfinite(created_at)`,
      ),
    ).toEqual([{ n: 2 }])
  })
})
