import { newUuid, personalScope, type Values } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AuthorizeRequest, User } from '../engine.ts'
import { type GivenEngine, givenEngine, type GivenOptions, item, type RawMutation } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'
import { pair, pairs } from './given-pairs.ts'

let given: GivenEngine

beforeEach(async () => {
  given = await givenEngine()
})

afterEach(() => given.close())

/** The same, on a schema or with a hook of the test. */
async function reopenWith(options: GivenOptions): Promise<void> {
  await given.close()
  given = await givenEngine(options)
}

const uuid = (): string => newUuid(systemEnvironment())

/** Another program writes. */
const run = (sql: Parameters<GivenEngine['run']>[0]): Promise<void> => given.run(sql)

const read = (sql: string): Promise<readonly Record<string, unknown>[]> => given.rows(sql)

describe('rights', () => {
  test('[PU-8] B66: a foreign record is answered like one that does not exist', async () => {
    const [ann, eve] = [given.device(), given.device('eve', ['warehouse:2'])]
    const laptop = ann.create('items', item())
    await ann.push(laptop)
    const nowhere = { collection: 'items', record: uuid() }
    for (const write of ['update', 'delete'] as const) {
      const [foreign, unknown] = await eve.push(
        ...[laptop, nowhere].map((target) =>
          write === 'update' ? eve.update(target, { name: 'mine' }, { baseVersion: 1 }) : eve.delete(target),
        ),
      )
      expect({ ...foreign, id: '' }).toEqual({ ...unknown, id: '' })
    }
    expect(await read('SELECT name, deleted_at FROM items')).toEqual([{ name: 'Laptop', deleted_at: null }])
  })

  test('[PU-9] a record begins in a granted scope, and may be moved out of it', async () => {
    const ann = given.device()
    expect((await ann.pushOne(ann.create('items', item({ warehouse: '2' })))).error?.code).toBe(
      'SCOPE_DENIED',
    )
    const laptop = ann.create('items', item())
    await ann.push(laptop)
    const moved = ann.update(laptop, { warehouse: '2' }, { base: { warehouse: '1' }, baseVersion: 1 })
    expect(await ann.pushOne(moved)).toMatchObject({ status: 'applied' })
    const late = ann.update(
      laptop,
      { name: 'x' },
      { base: { name: 'Laptop' }, baseVersion: 1, after: moved.id },
    )
    expect((await ann.pushOne(late)).error?.code).toBe('RECORD_NOT_FOUND')
  })

  test('[PU-10] the host sees the row before and after, and may refuse with a text', async () => {
    const seen: AuthorizeRequest<User>[] = []
    await reopenWith({
      authorize: (request) => {
        seen.push(request)
        return request.op !== 'delete' || 'only managers delete'
      },
    })
    const ann = given.device()
    const laptop = ann.create('items', item({ sku: 'A', name: 'Laptop' }))
    const renamed = ann.update(laptop, { name: 'Desk' }, { base: { name: 'Laptop' }, after: laptop.id })
    const results = await ann.push(laptop, renamed, ann.delete(laptop, { after: renamed.id }))
    expect(results.map(({ error }) => error?.message)).toEqual([undefined, undefined, 'only managers delete'])
    expect(seen.map(({ op, before, after }) => [op, before?.['name'], after?.['name']])).toEqual([
      ['create', undefined, 'Laptop'],
      ['update', 'Laptop', 'Desk'],
      ['delete', 'Desk', undefined],
    ])
    expect(results[2]?.error?.code).toBe('NOT_AUTHORIZED')
  })
})

describe('units', () => {
  test('[PU-11] a user transaction takes effect whole or not at all', async () => {
    const ann = given.device()
    const group = uuid()
    const good = ann.create('items', item(), { group })
    const bad = ann.create('items', item({ warehouse: '9' }), { group })
    const alone = ann.create('items', item({ name: 'alone' }))
    const results = await ann.push(good, bad, alone)
    expect(results.map(({ status, error }) => [status, error?.code])).toEqual([
      ['rejected', 'DEPENDENCY_FAILED'],
      ['rejected', 'SCOPE_DENIED'],
      ['applied', undefined],
    ])
    expect(results[0]?.error?.message).toContain(bad.id)
    expect(await read('SELECT name FROM items')).toEqual([{ name: 'alone' }])
  })

  test('[PU-11] a constraint of the host refuses the whole transaction', async () => {
    await run('CREATE UNIQUE INDEX host_names ON items (name)')
    const ann = given.device()
    const group = uuid()
    const results = await ann.push(
      ann.create('items', item({ name: 'a' })),
      ann.create('items', item({ name: 'b' }), { group }),
      ann.create('items', item({ name: 'a' }), { group }),
    )
    expect(results.map(({ status }) => status)).toEqual(['applied', 'rejected', 'rejected'])
    expect(await read('SELECT name FROM items')).toEqual([{ name: 'a' }])
  })

  test('[PU-12] a conflict in a user transaction is one for all its records, and none of them changes', async () => {
    const [ann, ben] = [given.device(), given.device('ben')]
    const [first, second] = [
      ann.create('items', item({ name: 'one' })),
      ann.create('items', item({ name: 'two' })),
    ]
    await ann.push(first, second)
    await ben.push(ben.update(first, { name: 'ben' }, { base: { name: 'one' }, baseVersion: 1 }))
    const group = uuid()
    const results = await ann.push(
      ann.update(second, { price: '1.00' }, { base: { price: '899.00' }, baseVersion: 2, group }),
      ann.update(first, { name: 'ann' }, { base: { name: 'one' }, baseVersion: 1, group }),
    )
    expect(results.map(({ status }) => status)).toEqual(['conflict', 'conflict'])
    expect(new Set(results.map(({ conflict }) => conflict?.id)).size).toBe(1)
    expect(await read('SELECT price FROM items ORDER BY version')).toEqual([
      { price: '899.00' },
      { price: '899.00' },
    ])
    const [row] = await read('SELECT parts FROM holdfast_conflicts')
    expect(JSON.parse(String(row?.['parts']))).toMatchObject([
      { record: second.record, fields: [], mine: { price: '1.00' } },
      {
        record: first.record,
        fields: ['name'],
        base: { name: 'one' },
        mine: { name: 'ann' },
        theirs: { name: 'ben' },
      },
    ])
  })

  test('[PU-13] what stands on a refused mutation through others of the batch falls with it, unless they changed the field', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item())
    await ann.push(laptop)
    const seen = { baseVersion: 1 }
    const bad = ann.update(laptop, { name: 'x'.repeat(100_001) }, { base: { name: 'Laptop' }, ...seen })
    const price = { base: { price: '899.00' }, ...seen, after: bad.id }
    const between = ann.update(laptop, { price: '1.00' }, price)
    const behind = { base: { name: 'x', price: '1.00' }, ...seen, after: between.id }
    const stacked = ann.update(laptop, { name: 'y', price: '2.00' }, behind)
    const counted = ann.update(laptop, {}, { increments: { stock: 2 }, ...seen, after: between.id })
    const last = ann.update(
      laptop,
      { price: '3.00' },
      { base: { price: '1.00' }, ...seen, after: counted.id },
    )
    const results = await ann.push(bad, between, stacked, counted, last)
    expect(results.map(({ status, error }) => error?.code ?? status)).toEqual([
      'VALUE_TOO_LARGE',
      'applied',
      'DEPENDENCY_FAILED',
      'applied',
      'applied',
    ])
    expect(results[2]?.error?.message).toContain(bad.id)
  })

  test('[PU-13] mutations that stand on each other in a circle are decided', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item())
    await ann.push(laptop)
    const [one, two, three] = ['1.00', '2.00', '3.00'].map((price) =>
      ann.update(laptop, { price }, { base: { price: '899.00' }, baseVersion: 1 }),
    )
    const circle = [
      { ...one!, after: two!.id },
      { ...two!, after: one!.id },
      { ...three!, after: two!.id },
    ]
    expect(await ann.push(...circle)).toHaveLength(3)
  })

  test('[PU-13] what stands on a refused mutation falls with it, other fields go on', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item())
    await ann.push(laptop)
    const bad = ann.update(
      laptop,
      { name: 'x'.repeat(100_001) },
      { base: { name: 'Laptop' }, baseVersion: 1 },
    )
    const stacked = ann.update(laptop, { name: 'y' }, { base: { name: 'x' }, baseVersion: 1, after: bad.id })
    const elsewhere = ann.update(
      laptop,
      { price: '1.00' },
      { base: { price: '899.00' }, baseVersion: 1, after: bad.id },
    )
    const unborn = ann.create('items', item({ warehouse: '9' }))
    const child = ann.update(unborn, { name: 'y' }, { after: unborn.id })
    const results = await ann.push(bad, stacked, elsewhere, unborn, child)
    expect(results.map(({ status, error }) => error?.code ?? status)).toEqual([
      'VALUE_TOO_LARGE',
      'DEPENDENCY_FAILED',
      'applied',
      'SCOPE_DENIED',
      'DEPENDENCY_FAILED',
    ])
  })
})

describe('conflicts', () => {
  /** Ann and Ben edited the same name; Ann came second. */
  async function givenConflict(): ReturnType<typeof build> {
    return build()
  }
  async function build() {
    const [ann, ben] = [given.device(), given.device('ben')]
    const laptop = ann.create('items', item({ name: 'base' }))
    await ann.push(laptop)
    await ben.push(ben.update(laptop, { name: 'ben' }, { base: { name: 'base' }, baseVersion: 1 }))
    const lost = ann.update(laptop, { name: 'ann' }, { base: { name: 'base' }, baseVersion: 1 })
    const result = await ann.pushOne(lost)
    return { ann, ben, laptop, lost, result, id: result.conflict?.id ?? '' }
  }

  test('[PU-14] a conflict changes nothing, is final, and is a row both sides receive', async () => {
    const { ann, ben, lost, result, id } = await givenConflict()
    expect(result).toMatchObject({
      status: 'conflict',
      version: null,
      conflict: { fields: ['name'], base: { name: 'base' }, mine: { name: 'ann' }, theirs: { name: 'ben' } },
    })
    expect(await read('SELECT name FROM items')).toEqual([{ name: 'ben' }])
    await Promise.all([ann.pull(), ben.pull()])
    for (const device of [ann, ben]) {
      expect(device.rows.get(`_conflicts/${id}`)).toMatchObject({
        collection: 'items',
        kind: 'fields',
        status: 'open',
        fields: ['name'],
        mutation: lost.id,
        author: 'ann',
        device: ann.id,
        parts: [{ rules: { name: 'If both sides changed it, a person decides.' } }],
      })
    }
    expect(await ann.pushOne(lost)).toMatchObject({ ...result, duplicate: true })
  })

  test("[PU-15] its author's edits of the same fields are held, others go on, and what is held keeps its number", async () => {
    const { ann, ben, laptop, id } = await givenConflict()
    const held = ann.update(laptop, { name: 'ann 2' }, { base: { name: 'ann' }, baseVersion: 1 })
    const free = ann.update(laptop, { price: '1.00' }, { base: { price: '899.00' }, baseVersion: 1 })
    const results = await ann.push(held, free, ann.delete(laptop))
    expect(results.map(({ status, heldBy }) => [status, heldBy])).toEqual([
      ['held', id],
      ['applied', undefined],
      ['held', id],
    ])
    expect(await read("SELECT finals FROM holdfast_devices WHERE user = 'ann'")).toEqual([
      { finals: '1-2,4' },
    ])
    expect(
      await ben.pushOne(ben.update(laptop, { name: 'ben 2' }, { base: { name: 'ben' }, baseVersion: 2 })),
    ).toMatchObject({ status: 'applied' })
    const settlement = ann.update(laptop, {}, { resolves: id, baseVersion: 3 })
    expect(await ann.pushOne(settlement)).toMatchObject({ status: 'applied' })
    expect(await ann.pushOne({ ...held, base: { name: 'ben 2' } })).toMatchObject({ status: 'applied' })
    expect(await read('SELECT name FROM items')).toEqual([{ name: 'ann 2' }])
  })

  test('[PU-15] what touches a field of a held mutation waits too, whatever was written and passed in between', async () => {
    const { ann, laptop, id } = await givenConflict()
    const base = { base: { name: 'ann' }, baseVersion: 1 }
    const tagged = ann.update(laptop, { name: 'ann 2' }, { ...base, additions: { tags: ['sale'] } })
    const renamed = ann.update(laptop, { name: 'ann 3' }, { ...base, after: tagged.id })
    const priced = { base: { price: '899.00' }, baseVersion: 1, after: renamed.id }
    const passing = ann.update(laptop, { price: '1.00' }, priced)
    const untagged = ann.update(
      laptop,
      {},
      { baseVersion: 1, after: passing.id, removals: { tags: ['sale'] } },
    )
    const results = await ann.push(tagged, renamed, passing, untagged)
    expect(results.map(({ status, heldBy }) => [status, heldBy])).toEqual([
      ['held', id],
      ['held', id],
      ['applied', undefined],
      ['held', id],
    ])
  })

  test.each([
    ['mine', { name: 'ann' }, 'ann'],
    ['theirs', {}, 'ben'],
    ['merged', { name: 'ann and ben' }, 'ann and ben'],
  ])('[PU-21] a settlement that keeps %s closes the conflict', async (kind, changes, name) => {
    const { ben, laptop, id } = await givenConflict()
    expect(
      await ben.pushOne(ben.update(laptop, changes, { base: { name: 'ben' }, baseVersion: 2, resolves: id })),
    ).toMatchObject({ status: 'applied' })
    expect(await read('SELECT name FROM items')).toEqual([{ name }])
    await ben.pull()
    expect(ben.rows.get(`_conflicts/${id}`)).toMatchObject({
      status: 'resolved',
      resolution: { kind },
      resolvedBy: 'ben',
      resolvedAt: '2026-11-20T10:00:00.000Z',
    })
    const late = await ben.pushOne(ben.update(laptop, { name: 'late' }, { base: { name }, resolves: id }))
    expect(late.error?.code).toBe('CONFLICT_CLOSED')
  })

  test('[PU-21] keeping both settles with theirs and makes mine a record of its own', async () => {
    const { ann, laptop, id } = await givenConflict()
    const group = uuid()
    const results = await ann.push(
      ann.update(laptop, {}, { resolves: id, group }),
      ann.create('items', item({ name: 'ann' }), { group }),
    )
    expect(results.map(({ status }) => status)).toEqual(['applied', 'applied'])
    expect(await read("SELECT json_extract(resolution, '$.kind') AS kind FROM holdfast_conflicts")).toEqual([
      { kind: 'both' },
    ])
  })

  test('[PU-21] a settlement that meets another edit opens a new conflict in place of the old', async () => {
    const { ann, ben, laptop, id } = await givenConflict()
    await ben.push(ben.update(laptop, { name: 'ben 2' }, { base: { name: 'ben' }, baseVersion: 2 }))
    const again = await ann.pushOne(
      ann.update(laptop, { name: 'ann' }, { base: { name: 'ben' }, baseVersion: 2, resolves: id }),
    )
    expect(again).toMatchObject({ status: 'conflict', conflict: { theirs: { name: 'ben 2' } } })
    expect(
      await read(
        "SELECT id, status, json_extract(resolution, '$.by') AS by FROM holdfast_conflicts ORDER BY status",
      ),
    ).toEqual([
      { id: again.conflict?.id, status: 'open', by: null },
      { id, status: 'resolved', by: again.conflict?.id },
    ])
  })

  /** A decision of Ben's that meets another price of Cleo's takes the place of a conflict over the name and the price. */
  async function supersede(
    ben: ReturnType<GivenEngine['device']>,
    of: { readonly laptop: RawMutation; readonly id: string; readonly price: string; readonly now: string },
  ): Promise<string> {
    const cleo = given.device('cleo')
    const { laptop, id, price, now } = of
    await cleo.pushOne(cleo.update(laptop, { price: now }, { base: { price }, baseVersion: 2 }))
    const decided = ben.update(
      laptop,
      { name: 'ann', price: '5.00' },
      { base: { name: 'ben', price }, additions: { tags: ['sale'] }, baseVersion: 2, resolves: id },
    )
    return (await ben.pushOne(decided)).conflict?.id ?? ''
  }

  test('[PU-36] what superseded a conflict holds what that one held, however often and by whoever', async () => {
    const { ann, ben, laptop, id } = await givenConflict()
    const second = await supersede(ben, { laptop, id, price: '899.00', now: '1.00' })
    const held = ann.update(laptop, {}, { removals: { tags: ['sale'] }, baseVersion: 1 })
    const free = ann.update(laptop, {}, { increments: { stock: 1 }, baseVersion: 1 })
    const verdicts = async (...mutations: readonly RawMutation[]) =>
      (await ann.push(...mutations)).map(({ status, heldBy }) => [status, heldBy])
    expect(await verdicts(held, free)).toEqual([
      ['held', second],
      ['applied', undefined],
    ])
    expect(await ben.pushOne(ben.update(laptop, {}, { removals: { tags: ['x'] } }))).toMatchObject({
      status: 'held',
      heldBy: second,
    })
    const dan = given.device('dan')
    const third = await supersede(dan, { laptop, id: second, price: '1.00', now: '2.00' })
    expect(third).not.toBe(second)
    expect(await verdicts(held)).toEqual([['held', third]])
    const elsewhere = given.device('ann')
    expect(
      await elsewhere.pushOne(elsewhere.update(laptop, {}, { removals: { tags: ['sale'] } })),
    ).toMatchObject({ status: 'applied' })
    await given.engine.resolve(ben.caller, third, { kind: 'mine' })
    expect(await read('SELECT tags FROM items')).toEqual([{ tags: '["sale"]' }])
    expect(await verdicts(held)).toEqual([['applied', undefined]])
    expect(await read('SELECT tags FROM items')).toEqual([{ tags: '[]' }])
  })

  test('[PU-36] a decision without a device that meets another edit takes over what was held', async () => {
    const { ann, ben, laptop, id } = await givenConflict()
    const later = ann.update(laptop, { name: 'ann 2' }, { base: { name: 'ann' }, baseVersion: 1 })
    await ben.push(ben.update(laptop, { name: 'ben 2' }, { base: { name: 'ben' }, baseVersion: 2 }))
    expect((await given.engine.resolve(ben.caller, id, { kind: 'mine' })).results).toMatchObject([
      { status: 'conflict' },
    ])
    const [second] = await read("SELECT id FROM holdfast_conflicts WHERE status = 'open'")
    expect(await ann.pushOne(later)).toMatchObject({ status: 'held', heldBy: second?.['id'] })
    await given.engine.resolve(ben.caller, String(second?.['id']), { kind: 'theirs' })
    expect(await ann.pushOne(later)).not.toMatchObject({ status: 'held' })
  })

  test('[PU-21] the record in dispute tells whose values stand, not one that only waited with it', async () => {
    const [ann, ben] = [given.device('ann'), given.device('ben')]
    const [one, two] = [ann.create('items', item()), ann.create('items', item({ price: '1.00' }))]
    await ann.push(one, two)
    await ben.pushOne(ben.update(two, { price: '2.00' }, { base: { price: '1.00' }, baseVersion: 2 }))
    const group = uuid()
    const [opened] = await ann.push(
      ann.delete(one, { group, baseVersion: 1 }),
      ann.update(two, { price: '3.00' }, { group, base: { price: '1.00' }, baseVersion: 2 }),
    )
    const id = opened?.conflict?.id ?? ''
    await given.engine.resolve(ben.caller, id, { kind: 'theirs' })
    expect(await read("SELECT json_extract(resolution, '$.kind') AS kind FROM holdfast_conflicts")).toEqual([
      { kind: 'theirs' },
    ])
    expect(await read('SELECT price FROM items WHERE deleted_at IS NULL')).toEqual([{ price: '2.00' }])
  })

  test('[PU-13] what was written on a settlement of a conflict that is out of sight is judged for itself', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item({ name: 'base' }))
    await ann.push(laptop)
    const settlement = ann.update(laptop, { name: 'one' }, { base: { name: 'base' }, resolves: uuid() })
    const later = ann.update(laptop, { name: 'two' }, { base: { name: 'base' }, after: settlement.id })
    const results = await ann.push(settlement, later)
    expect(results.map(({ status, error }) => [status, error?.code])).toEqual([
      ['rejected', 'CONFLICT_UNKNOWN'],
      ['applied', undefined],
    ])
  })

  describe('a conflict over a record that is gone', () => {
    /** Ann's edit of an item or order that Ben deleted; Cleo has the scope and no part in it. */
    test.each([
      ['deleted before, by a device', 'items', 'device', 'before'],
      ['deleted after, by a device', 'items', 'device', 'after'],
      ['deleted before, by other means', 'items', 'outside', 'before'],
      ['deleted after, by other means', 'items', 'outside', 'after'],
      ['deleted before, for good', 'orders', 'device', 'before'],
      ['deleted after, for good', 'orders', 'device', 'after'],
    ] as const)('[SC-4] is seen by whoever has the scope it was in: %s', async (_, name, by, when) => {
      const [ann, ben, cleo] = [given.device('ann'), given.device('ben'), given.device('cleo')]
      const eve = given.device('eve', ['warehouse:2'])
      const [first, second] = [ben.create('items', item()), ben.create('items', item())]
      const order = ben.create('orders', { warehouse: '1', item: first.record, next: null })
      const other = ben.create('orders', { warehouse: '1', item: first.record, next: null })
      await ben.push(first, second, order, other)
      const target = name === 'items' ? second : order
      await cleo.pull()
      const base: Values = name === 'items' ? { name: 'Laptop' } : { next: null }
      const version = async (): Promise<number> =>
        Number((await read(`SELECT version FROM ${name} WHERE id = '${target.record}'`))[0]?.['version'])
      const remove = async (): Promise<void> => {
        if (by === 'outside') return run(`DELETE FROM ${name} WHERE id = '${target.record}'`)
        expect(await ben.pushOne(ben.delete(target, { baseVersion: await version() }))).toMatchObject({
          status: 'applied',
        })
      }
      if (when === 'before') await remove()
      else
        await ben.pushOne(
          ben.update(target, name === 'items' ? { name: 'ben' } : { next: target.record }, {
            base,
            baseVersion: 2,
          }),
        )
      const wanted: Values = name === 'items' ? { name: 'ann' } : { next: other.record }
      const { status, conflict } = await ann.pushOne(ann.update(target, wanted, { base, baseVersion: 2 }))
      expect(status).toBe('conflict')
      if (when === 'after') await remove()
      await Promise.all([cleo.pull(), eve.pull()])
      expect(cleo.rows.get(`_conflicts/${conflict?.id}`)).toMatchObject({ status: 'open', author: 'ann' })
      expect(eve.rows.size).toBe(0)
      const fresh = given.device('dora')
      await fresh.snapshot()
      expect(fresh.rows.has(`_conflicts/${conflict?.id}`)).toBe(true)
      await given.engine.resolve(cleo.caller, conflict?.id ?? '', { kind: 'theirs' })
      await cleo.pull()
      expect(cleo.rows.get(`_conflicts/${conflict?.id}`)).toMatchObject({ status: 'resolved' })
    })
  })

  test('[PU-21] only who sees a conflict can settle it', async () => {
    const { laptop, id } = await givenConflict()
    const eve = given.device('eve', ['warehouse:2'])
    expect((await eve.pushOne(eve.update(laptop, {}, { resolves: id }))).error?.code).toBe('CONFLICT_UNKNOWN')
  })

  test('[SC-4] a conflict of records in different scopes is seen by those who share both, and by its author', async () => {
    const both = ['warehouse:1', 'warehouse:2']
    const [ann, ben] = [given.device('ann', both), given.device('ben', both)]
    const [first, second] = [
      ann.create('items', item({ name: 'one' })),
      ann.create('items', item({ name: 'two', warehouse: '2' })),
    ]
    await ann.push(first, second)
    await ben.push(ben.update(first, { name: 'ben' }, { base: { name: 'one' }, baseVersion: 1 }))
    const group = uuid()
    const [, conflict] = await ann.push(
      ann.update(second, { name: 'ann' }, { base: { name: 'two' }, baseVersion: 2, group }),
      ann.update(first, { name: 'ann' }, { base: { name: 'one' }, baseVersion: 1, group }),
    )
    expect(conflict?.status).toBe('conflict')
    expect(await read(`SELECT scope FROM holdfast_feed WHERE collection = '_conflicts'`)).toEqual([
      { scope: personalScope('ann') },
    ])
    await Promise.all([ann.pull(), ben.pull()])
    expect([ann.values('_conflicts', 'status'), ben.values('_conflicts', 'status')]).toEqual([['open'], []])
  })

  test('[PU-29] a person without a device settles by the same way', async () => {
    const { ben, laptop, id } = await givenConflict()
    const kept = await given.engine.resolve(ben.caller, id, { kind: 'mine' })
    expect(kept.results).toMatchObject([{ status: 'applied', record: { id: laptop.record, name: 'ann' } }])
    const closed = await given.engine.resolve(ben.caller, id, { kind: 'theirs' })
    expect(closed.results).toMatchObject([{ status: 'rejected', error: { code: 'CONFLICT_CLOSED' } }])
    const unknown = await given.engine.resolve(given.device('eve', []).caller, id, { kind: 'theirs' })
    expect(unknown.results).toMatchObject([{ error: { code: 'CONFLICT_UNKNOWN' } }])
  })
})

describe('deletes', () => {
  const table = (['soft', 'hard'] as const).flatMap((deletes) =>
    (
      [
        ['ask', 'edit first', 'conflict', 'ben'],
        ['ask', 'delete first', 'conflict', null],
        ['delete', 'edit first', 'merged', null],
        ['delete', 'delete first', 'merged', null],
        ['edit', 'edit first', 'merged', 'ben'],
        ['edit', 'delete first', 'merged', 'ben'],
      ] as const
    ).map(([onDelete, order, status, left]) => ({ deletes, onDelete, order, status, left })),
  )

  test.each(table)(
    '[PU-16] B34: $deletes delete, onDelete "$onDelete", $order: $status, and all devices agree',
    async ({ deletes, onDelete, order, status, left }) => {
      await reopenWith(pairs({ deletes, onDelete }))
      const [ann, ben, eve] = [given.device(), given.device('ben'), given.device('eve')]
      const row = ann.create('pairs', pair())
      await ann.push(row)
      const edit = ben.update(row, { left: 'ben' }, { base: { left: 'l' }, baseVersion: 1 })
      const remove = ann.delete(row, { baseVersion: 1 })
      const [first, second] =
        order === 'edit first'
          ? [() => ben.pushOne(edit), () => ann.pushOne(remove)]
          : [() => ann.pushOne(remove), () => ben.pushOne(edit)]
      expect(await first()).toMatchObject({ status: 'applied' })
      expect((await second()).status).toBe(status)
      for (const device of [ann, ben, eve]) {
        await device.pull()
        expect(device.values('pairs', 'left')).toEqual(left === null ? [] : [left])
      }
      const [seen] = await read(
        `SELECT count(*) AS n FROM holdfast_audit WHERE status IN ('merged', 'conflict')`,
      )
      expect(seen).toEqual({ n: 1 })
    },
  )

  test('[PU-16] only edits of others since the base stand against a delete', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item())
    const renamed = ann.update(laptop, { name: 'Desk' }, { base: { name: 'Laptop' }, after: laptop.id })
    const sold = given.device('ben').update(laptop, {}, { increments: { stock: -1 }, baseVersion: 1 })
    await ann.push(laptop, renamed)
    await given.device('ben').push(sold)
    expect(await ann.pushOne(ann.delete(laptop, { after: renamed.id }))).toMatchObject({ status: 'applied' })
  })

  test('[PU-37] what left no version does not stand between an author and their own edits', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item({ sku: 'S-own' }))
    const other = ann.create('items', item({ sku: 'S-other' }))
    await ann.push(laptop, other)
    const renamed = ann.update(laptop, { name: 'Desk' }, { base: { name: 'Laptop' }, baseVersion: 1 })
    const nothing = ann.update(
      laptop,
      {},
      { removals: { tags: ['no such'] }, baseVersion: 1, after: renamed.id },
    )
    const clash = { base: { sku: 'S-own' }, baseVersion: 1, after: nothing.id }
    const refused = ann.update(laptop, { sku: 'S-other' }, clash)
    // Each arrives by itself, so that nothing is known but what was stored.
    expect(await ann.pushOne(renamed)).toMatchObject({ status: 'applied', version: 3 })
    expect(await ann.pushOne(nothing)).toMatchObject({ status: 'applied', version: null })
    expect(await ann.pushOne(refused)).toMatchObject({ status: 'rejected' })
    expect(await ann.pushOne(ann.delete(laptop, { baseVersion: 1, after: refused.id }))).toMatchObject({
      status: 'applied',
      version: 4,
    })
  })

  test('[PU-37] edits of others in between still stand against a delete', async () => {
    const [ann, ben] = [given.device(), given.device('ben')]
    const laptop = ann.create('items', item())
    const nothing = ann.update(
      laptop,
      {},
      { removals: { tags: ['no such'] }, baseVersion: 0, after: laptop.id },
    )
    await ann.push(laptop, nothing)
    await ben.push(ben.update(laptop, { name: 'Desk' }, { base: { name: 'Laptop' }, baseVersion: 1 }))
    expect(await ann.pushOne(ann.delete(laptop, { baseVersion: 0, after: nothing.id }))).toMatchObject({
      status: 'conflict',
    })
  })

  test('[PU-16] any concurrent change to a strict record is a conflict', async () => {
    await reopenWith(pairs({ strict: true }))
    const [ann, ben] = [given.device(), given.device('ben')]
    const row = ann.create('pairs', pair())
    await ann.push(row)
    await ben.push(ben.update(row, { left: 'ben' }, { base: { left: 'l' }, baseVersion: 1 }))
    expect(
      await ann.pushOne(ann.update(row, { right: 'ann' }, { base: { right: 'r' }, baseVersion: 1 })),
    ).toMatchObject({ status: 'conflict', conflict: { fields: ['right'] } })
    expect(
      await ben.pushOne(ben.update(row, { right: 'ben' }, { base: { right: 'r' }, baseVersion: 2 })),
    ).toMatchObject({ status: 'applied' })
  })

  test.each(['soft', 'hard'] as const)(
    '[PU-16] a %s deleted record is recreated knowingly, and deleting twice is nothing',
    async (deletes) => {
      await reopenWith(pairs({ deletes }))
      const ann = given.device()
      const row = ann.create('pairs', pair())
      await ann.push(row, ann.delete(row, { after: row.id }))
      expect(await ann.pushOne(ann.delete(row, { baseVersion: 2 }))).toMatchObject({
        status: 'applied',
        version: null,
      })
      const again = ann.create('pairs', pair({ left: 'again' }), { record: row.record, baseVersion: 2 })
      expect(await ann.pushOne(again)).toMatchObject({ status: 'applied', version: 3 })
      await ann.pull()
      expect(ann.values('pairs', 'left')).toEqual(['again'])
    },
  )
})
