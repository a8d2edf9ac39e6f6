import { hasPostgres } from '@holdfast/testing/services'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GivenEngine, givenEngine, item } from '../given-engine.ts'

describe.skipIf(!hasPostgres())('what an index of PostgreSQL cannot hold', () => {
  let given: GivenEngine

  beforeEach(async () => {
    given = await givenEngine()
  })

  afterEach(() => given.close())

  /** Text that does not become shorter by packing; an entry of an index has 2,704 bytes at most. */
  const long = (): string => randomBytes(6_000).toString('base64')

  test.each([
    ['a unique key', '', () => item({ sku: long() })],
    ['an index of the host', 'CREATE INDEX host_names ON items (name)', () => item({ name: long() })],
  ])('[PU-22] a text too long for %s refuses its mutation alone, for good', async (_what, sql, values) => {
    if (sql !== '') await given.run(sql)
    const ann = given.device()
    const batch = [item(), values(), item()].map((each) => ann.create('items', each))
    expect((await ann.push(...batch)).map(({ status, error }) => [status, error?.code])).toEqual([
      ['applied', undefined],
      ['rejected', 'CONSTRAINT_FAILED'],
      ['applied', undefined],
    ])
  })

  test('[PU-22] one that another program wrote keeps nobody from writing, and is nobody’s key', async () => {
    const ann = given.device()
    const [sku, many] = [long(), 'a'.repeat(6_000)]
    for (const each of [sku, many])
      await given.run(`INSERT INTO items (id, warehouse, sku, name, stock, tags)
        VALUES (gen_random_uuid(), '1', '${each}', 'foreign', 0, '[]')`)
    const batch = [item(), item({ sku }), item({ sku: many })].map((each) => ann.create('items', each))
    expect((await ann.push(...batch)).map(({ status, error }) => [status, error?.code])).toEqual([
      ['applied', undefined],
      ['rejected', 'CONSTRAINT_FAILED'],
      ['rejected', 'CONSTRAINT_FAILED'],
    ])
    await given.run(`UPDATE items SET sku = 'short' WHERE sku = '${sku}'`)
    const result = await ann.pushOne(ann.create('items', item({ sku: 'short' })))
    expect(result).toMatchObject({ status: 'rejected', error: { code: 'UNIQUE_VIOLATION' } })
  })
})
