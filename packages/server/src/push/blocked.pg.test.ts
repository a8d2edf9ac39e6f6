import { newUuid } from '@holdfast/core'
import { hasPostgres } from '@holdfast/testing/services'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PlainWrite } from '../engine.ts'
import { type GivenEngine, givenEngine, item, type RawMutation } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'

describe.skipIf(!hasPostgres())('what another transaction holds', () => {
  let given: GivenEngine

  beforeEach(async () => {
    given = await givenEngine({ store: { busyTimeoutMs: 200 } })
  })

  afterEach(() => given.close())

  const busy = { status: 'retry', version: null, error: { code: 'STORE_BUSY', retry: 'backoff' } }
  const uuid = (): string => newUuid(systemEnvironment())
  const holdItem = ({ record }: RawMutation): Promise<() => Promise<void>> =>
    given.hold(`BEGIN; UPDATE items SET place = 'held' WHERE id = '${record}'`)

  test('[PU-43] a row that is held puts off its own mutation, and 99 others of the batch are applied', async () => {
    const ann = given.device()
    const items = Array.from({ length: 100 }, () => ann.create('items', item()))
    await ann.push(...items)
    const release = await holdItem(items[37]!)
    const batch = items.map((each) =>
      ann.update(each, { name: 'Desk' }, { base: { name: 'Laptop' }, after: each.id }),
    )
    const results = await ann.push(...batch)
    expect(results.filter(({ status }) => status === 'applied')).toHaveLength(99)
    expect(results[37]).toMatchObject({ id: batch[37]!.id, ...busy })
    expect(await given.rows('SELECT finals FROM holdfast_devices')).toEqual([{ finals: '1-137,139-200' }])
    expect(await ann.pushOne(batch[37]!)).toMatchObject(busy)
    await release()
    expect((await ann.push(...batch)).map(({ status, duplicate }) => [status, duplicate])).toEqual(
      batch.map((_, index) => (index === 37 ? ['applied', undefined] : ['applied', true])),
    )
    expect(await given.rows('SELECT name, place, count(*) AS n FROM items GROUP BY 1, 2 ORDER BY 3')).toEqual(
      [
        { name: 'Desk', place: 'held', n: 1 },
        { name: 'Desk', place: null, n: 99 },
      ],
    )
  })

  test('[PU-43] what stands on a blocked mutation, in the other half too, waits with it and is not refused', async () => {
    await given.run('CREATE UNIQUE INDEX host_names ON items (name)')
    const ann = given.device()
    const [first, last] = [1, 2].map(() => ann.create('items', item({ name: uuid() })))
    // Whoever wants the same name waits to see whether it stays.
    const release = await given.hold(`BEGIN; INSERT INTO items (id, warehouse, sku, name, stock, tags)
      VALUES ('${uuid()}', '1', 'held', 'same', 1, '[]'); DELETE FROM items WHERE name = 'same'`)
    const laptop = ann.create('items', item({ name: 'same' }))
    const batch = [
      first!,
      laptop,
      ann.update(laptop, {}, { increments: { stock: 1 }, after: laptop.id }),
      last!,
      ann.create('orders', { warehouse: '1', item: laptop.record, next: null }),
    ]
    const expected = ['applied', 'retry', 'retry', 'applied', 'retry']
    expect((await ann.push(...batch)).map(({ status }) => status)).toEqual(expected)
    await release()
    expect((await ann.push(...batch)).map(({ status }) => status)).toEqual(batch.map(() => 'applied'))
    expect(await given.rows(`SELECT stock FROM items WHERE name = 'same'`)).toEqual([{ stock: 11 }])
  })

  test('[PU-43] nothing overtakes: a later edit of the row waits also when the row is free by then', async () => {
    const ann = given.device()
    const [laptop, other] = [ann.create('items', item()), ann.create('items', item())]
    await ann.push(laptop, other)
    const release = await holdItem(laptop)
    const one = ann.update(laptop, { name: 'one' }, { base: { name: 'Laptop' }, after: laptop.id })
    const between = ann.update(other, { name: 'two' }, { base: { name: 'Laptop' }, after: other.id })
    const two = ann.update(laptop, { name: 'two' }, { base: { name: 'one' }, after: one.id })
    // The first wait is 200 ms long, the next two 50 each; then the first edit is alone and put off.
    const freed = new Promise((resolve) => setTimeout(resolve, 330)).then(release)
    const results = await ann.push(one, between, two)
    await freed
    const statuses = results.map(({ status }) => status)
    expect(statuses[1]).toBe('applied')
    expect([statuses[0], statuses[2]]).toSatisfy(([left, right]) => left === right)
    await ann.push(one, between, two)
    expect(await given.rows(`SELECT name FROM items WHERE id = '${laptop.record}'`)).toEqual([
      { name: 'two' },
    ])
  })

  test('[PU-43, PU-11] a transaction of the user is put off whole', async () => {
    const ann = given.device()
    const [laptop, other] = [ann.create('items', item()), ann.create('items', item())]
    await ann.push(laptop, other)
    const release = await holdItem(laptop)
    const group = uuid()
    const batch = [other, laptop].map((each) =>
      ann.update(each, { name: 'Desk' }, { base: { name: 'Laptop' }, after: each.id, group }),
    )
    const free = ann.create('items', item())
    const results = await ann.push(...batch, free)
    expect(results.map(({ status }) => status)).toEqual(['retry', 'retry', 'applied'])
    await release()
    expect((await ann.push(...batch)).map(({ status }) => status)).toEqual(['applied', 'applied'])
  })

  test('[PU-43] where the device is held, the whole push is STORE_BUSY', async () => {
    const ann = given.device()
    await ann.push(ann.create('items', item()))
    const release = await given.hold('BEGIN; SELECT * FROM holdfast_devices FOR UPDATE')
    const late = [ann.create('items', item()), ann.create('items', item())]
    await expect(ann.push(...late)).rejects.toMatchObject({ code: 'STORE_BUSY' })
    await release()
    expect((await ann.push(...late)).map(({ status }) => status)).toEqual(['applied', 'applied'])
  })

  test('[PU-46] a record that somebody else makes at the same moment is met as if it had been there', async () => {
    const record = uuid()
    const release = await given.hold(`BEGIN; INSERT INTO items (id, warehouse, sku, name, stock, tags)
      VALUES ('${record}', '1', 'S', 'theirs', 1, '[]')`)
    const ann = given.device()
    const put: PlainWrite = {
      collection: 'items',
      record,
      op: 'put',
      values: item({ name: 'put', sku: 'S' }),
      precondition: { kind: 'none' },
    }
    const writing = [
      ann.pushOne(ann.create('items', item({ name: 'mine', sku: 'S' }), { record })),
      given.engine.apply({ ...ann.caller, device: null }, [put]).then(({ results: [result] }) => result),
    ]
    await new Promise((resolve) => setTimeout(resolve, 60))
    await release()
    expect(await Promise.all(writing)).toMatchObject([
      { status: 'conflict', conflict: { mine: { name: 'mine' } } },
      { status: 'applied', created: false },
    ])
  })

  test('[PU-22, PU-46] an id that a trigger of the host gives to every row is still a refusal', async () => {
    const ann = given.device()
    const taken = ann.create('items', item())
    await ann.push(taken)
    await given.run(`CREATE FUNCTION host_same_id() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN NEW.id := '${taken.record}'; RETURN NEW; END $$;
      CREATE TRIGGER a_host_same_id BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION host_same_id()`)
    expect(await ann.pushOne(ann.create('items', item()))).toMatchObject({
      status: 'rejected',
      error: { code: 'CONSTRAINT_FAILED', message: 'items_pkey' },
    })
  })

  test('[PU-43] a scope whose position another transaction holds delays no other scope', async () => {
    const ann = given.device('ann', ['warehouse:1', 'warehouse:2'])
    // It has taken its place early, and does not commit.
    const release = await given.hold(`BEGIN; INSERT INTO items (id, warehouse, sku, name, stock, tags)
      VALUES ('${uuid()}', '2', 'held', 'held', 1, '[]'); SET CONSTRAINTS ALL IMMEDIATE`)
    const batch = ['1', '2', '1', '2'].map((warehouse) => ann.create('items', item({ warehouse })))
    const results = await ann.push(...batch)
    expect(results.map(({ status }) => status)).toEqual(['applied', 'retry', 'applied', 'retry'])
    await release()
    expect((await ann.push(...batch)).map(({ status }) => status)).toEqual(batch.map(() => 'applied'))
  })
})
