import { newUuid } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GivenEngine, givenEngine, type GivenOptions, item } from '../given-engine.ts'
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

const read = (sql: string): Promise<readonly Record<string, unknown>[]> => given.rows(sql)

describe('keys and references', () => {
  test('[PU-17] B41: parent and child in one batch, and two that refer to each other in one transaction', async () => {
    const ann = given.device()
    const laptop = ann.create('items', item())
    const order = ann.create('orders', { warehouse: '1', item: laptop.record, next: null })
    expect((await ann.push(laptop, order)).map(({ status }) => status)).toEqual(['applied', 'applied'])
    const [a, b, group] = [uuid(), uuid(), uuid()]
    const cycle = [
      ann.create('orders', { warehouse: '1', item: laptop.record, next: b }, { record: a, group }),
      ann.create('orders', { warehouse: '1', item: laptop.record, next: a }, { record: b, group }),
    ]
    expect((await ann.push(...cycle)).map(({ status }) => status)).toEqual(['applied', 'applied'])
  })

  test('[PU-17] a record that is not there, deleted, or not seen cannot be referred to', async () => {
    const [ann, eve] = [given.device(), given.device('eve', ['warehouse:1', 'warehouse:2'])]
    const foreign = eve.create('items', item({ warehouse: '2' }))
    const gone = ann.create('items', item())
    await eve.push(foreign)
    await ann.push(gone, ann.delete(gone, { after: gone.id }))
    const results = await ann.push(
      ...[foreign.record, gone.record, uuid()].map((target) =>
        ann.create('orders', { warehouse: '1', item: target, next: null }),
      ),
    )
    expect(results.map(({ error }) => [error?.code, error?.field])).toEqual(
      [1, 2, 3].map(() => ['REFERENCE_MISSING', 'item']),
    )
  })

  test('[PU-18] B42: five devices create the same key: one wins, four are told', async () => {
    const results = await Promise.all(
      [1, 2, 3, 4, 5].map((n) => {
        const device = given.device(`user-${n}`)
        return device.pushOne(device.create('items', item({ sku: 'same' })))
      }),
    )
    expect(results.map(({ error }) => error?.code ?? 'applied').sort()).toEqual([
      'UNIQUE_VIOLATION',
      'UNIQUE_VIOLATION',
      'UNIQUE_VIOLATION',
      'UNIQUE_VIOLATION',
      'applied',
    ])
  })

  test('[PU-18] B42: two records swap their keys inside one transaction, and not outside', async () => {
    const ann = given.device()
    const [first, second] = [ann.create('items', item({ sku: 'A' })), ann.create('items', item({ sku: 'B' }))]
    await ann.push(first, second)
    const swap = (group: string | null) => [
      ann.update(first, { sku: 'B' }, { base: { sku: 'A' }, baseVersion: 1, group }),
      ann.update(second, { sku: 'A' }, { base: { sku: 'B' }, baseVersion: 2, group }),
    ]
    expect((await ann.push(...swap(null))).map(({ error }) => error?.code)).toEqual([
      'UNIQUE_VIOLATION',
      'UNIQUE_VIOLATION',
    ])
    expect((await ann.push(...swap(uuid()))).map(({ status }) => status)).toEqual(['applied', 'applied'])
    expect(await read('SELECT sku FROM items ORDER BY version')).toEqual([{ sku: 'B' }, { sku: 'A' }])
  })

  test('[PU-18] a key that was given up is free, and a deleted record has none', async () => {
    const ann = given.device()
    const first = ann.create('items', item({ sku: 'A' }))
    await ann.push(first, ann.update(first, { sku: 'B' }, { base: { sku: 'A' }, after: first.id }))
    const second = ann.create('items', item({ sku: 'A' }))
    await ann.push(second, ann.delete(second, { after: second.id }))
    expect(await ann.pushOne(ann.create('items', item({ sku: 'A' })))).toMatchObject({ status: 'applied' })
    expect((await ann.pushOne(ann.create('items', item({ sku: 'B' })))).error?.code).toBe('UNIQUE_VIOLATION')
  })

  test('[PU-18] B57: names that differ only in their Unicode form are one key, and stay as typed', async () => {
    const ann = given.device()
    const results = await ann.push(
      ann.create('items', item({ sku: 'caf\u00e9' })),
      ann.create('items', item({ sku: 'cafe\u0301' })),
    )
    expect(results.map(({ error }) => error?.code)).toEqual([undefined, 'UNIQUE_VIOLATION'])
    expect(await read('SELECT sku FROM items')).toEqual([{ sku: 'caf\u00e9' }])
  })

  test('[PU-19] "rename" gives the later one the next free name, and says so', async () => {
    await reopenWith(
      pairs({ unique: [{ fields: ['warehouse', 'left'], onConflict: 'rename', ignoreCase: true }] }),
    )
    const ann = given.device()
    const results = await ann.push(
      ...['Desk', 'desk', 'DESK', 'desk (2)'].map((left) => ann.create('pairs', pair({ left }))),
    )
    expect(results.map(({ status, record }) => [status, record?.['left']])).toEqual([
      ['applied', undefined],
      ['merged', 'desk (2)'],
      ['merged', 'DESK (3)'],
      ['merged', 'desk (2) (2)'],
    ])
  })

  test.each(['in one batch', 'in the next one'])(
    '[PU-19] what its author writes %s on a record that was renamed asks nobody',
    async (when) => {
      await reopenWith(pairs({ unique: [{ fields: ['warehouse', 'left'], onConflict: 'rename' }] }))
      const [ann, ben] = [given.device(), given.device('ben')]
      const desk = ann.create('pairs', pair({ left: 'Desk' }))
      await ann.push(ann.create('pairs', pair({ left: 'Desk' })))
      const base = { left: 'Desk' }
      const chair = ann.update(desk, { left: 'Chair' }, { base, after: desk.id })
      const results = when === 'in one batch' ? await ann.push(desk, chair) : await ann.push(desk)
      expect(results[0]).toMatchObject({ status: 'merged', record: { left: 'Desk (2)' } })
      const asked = ben.update(desk, { left: 'Table' }, { base, baseVersion: 1 })
      if (when !== 'in one batch') expect(await ben.pushOne(asked)).toMatchObject({ status: 'conflict' })
      expect(results[1] ?? (await ann.pushOne(chair))).toMatchObject({ status: 'applied' })
      expect(await read('SELECT count(*) AS n FROM pairs WHERE "left" = \'Chair\'')).toEqual([{ n: 1 }])
    },
  )

  test('[PU-37] [PU-19] nor does it where what they wrote in between waits for a decision', async () => {
    await reopenWith(pairs({ unique: [{ fields: ['warehouse', 'left'], onConflict: 'rename' }] }))
    const [ann, ben] = [given.device(), given.device('ben')]
    const desk = ann.create('pairs', pair({ left: 'Desk' }))
    await ann.push(ann.create('pairs', pair({ left: 'Desk' })), desk)
    await ben.push(ben.update(desk, { right: 'ben' }, { base: { right: 'r' }, baseVersion: 2 }))
    const disputed = ann.update(desk, { right: 'ann' }, { base: { right: 'r' }, after: desk.id })
    const held = ann.update(desk, { right: 'again' }, { base: { right: 'ann' }, after: disputed.id })
    const chair = ann.update(desk, { left: 'Chair' }, { base: { left: 'Desk' }, after: held.id })
    const results = await ann.push(disputed, held, chair)
    expect(results.map(({ status }) => status)).toEqual(['conflict', 'held', 'applied'])
  })

  test('[PU-19] the number is never added to what says where the record lies', async () => {
    await reopenWith(pairs({ unique: [{ fields: ['left', 'warehouse'], onConflict: 'rename' }] }))
    const ann = given.device()
    const results = await ann.push(...[1, 2].map(() => ann.create('pairs', pair({ left: 'Desk' }))))
    expect(results.map(({ status, record }) => [status, record?.['left'], record?.['warehouse']])).toEqual([
      ['applied', undefined, undefined],
      ['merged', 'Desk (2)', '1'],
    ])
  })

  test('[PU-20] "ask" lets a person decide between the two, and waits with what was written', async () => {
    await reopenWith(pairs({ unique: [{ fields: ['warehouse', 'left'], onConflict: 'ask' }] }))
    const [ann, ben] = [given.device(), given.device('ben')]
    const first = ann.create('pairs', pair({ left: 'same', right: 'ann' }))
    await ann.push(first)
    const second = ben.create('pairs', pair({ left: 'same', right: 'ben' }))
    const result = await ben.pushOne(second)
    expect(result).toMatchObject({
      status: 'conflict',
      conflict: {
        fields: ['warehouse', 'left'],
        mine: { left: 'same', right: 'ben' },
        theirs: { id: first.record, right: 'ann' },
      },
    })
    const id = result.conflict?.id ?? ''
    const renamed = ben.create('pairs', pair({ left: 'other', right: 'ben' }), {
      record: second.record,
      resolves: id,
    })
    expect(await ben.pushOne(renamed)).toMatchObject({ status: 'applied' })
    expect(await read('SELECT status FROM holdfast_conflicts')).toEqual([{ status: 'resolved' }])
  })
})
