import type { Json, LostAnswer, PushResult } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type GivenDevice,
  type GivenEngine,
  givenEngine,
  item,
  type RawMutation,
  startMs,
} from '../given-engine.ts'

let given: GivenEngine
let ann: GivenDevice
let ben: GivenDevice
let created: RawMutation

const iso = (ms: number): string => new Date(startMs + ms).toISOString()

/** What the lost history had answered: `version` of it, `ms` after the backup. */
const was = (
  version: number | null,
  ms: number,
): { readonly was: LostAnswer & { readonly [name: string]: Json } } => ({
  was: { version, serverUpdatedAt: version === null ? null : iso(ms) },
})

beforeEach(async () => {
  given = await givenEngine()
  ann = given.device('ann')
  ben = given.device('ben')
  created = ann.create('items', item())
  await ann.push(created)
  // What follows is of after the restore, an hour later.
  given.advance(3_600_000)
})

afterEach(() => given.close())

async function rowOf(of: RawMutation): Promise<Readonly<Record<string, Json>>> {
  ann.cursor = undefined
  await ann.pull()
  return ann.rows.get(`${of.collection}/${of.record}`) ?? {}
}

const statusesOf = (results: readonly PushResult[]): readonly string[] => results.map(({ status }) => status)

describe('what a lost history had taken', () => {
  test.each([
    ['older first', [1, 2]],
    ['newer first', [2, 1]],
  ])('[PU-42] the newer answer stands, %s, and the other value is in the history', async (_, order) => {
    const returned = [
      ann.update(created, { price: '1.00' }, { base: { price: '899.00' }, ...was(900, 1_000) }),
      ben.update(created, { price: '2.00' }, { base: { price: '1.00' }, ...was(901, 2_000) }),
    ]
    for (const n of order) {
      const mutation = returned[n - 1]
      if (mutation) await (n === 1 ? ann : ben).push(mutation)
    }
    expect(await rowOf(created)).toMatchObject({ price: '2.00' })
    const lost = (await given.engine.lostValues(ann.caller, 'items', created.record)) ?? []
    expect(lost.map(({ value, rule }) => [value, rule])).toEqual(
      order[0] === 1
        ? []
        : [
            ['1.00', 'restored'],
            ['899.00', 'restored'],
          ],
    )
  })

  test('[PU-42] answers of one time stand in the order of their versions, and of two histories in that of their times', async () => {
    await ben.push(ben.update(created, { price: '2.00', name: 'b' }, { base: {}, ...was(50, 2_000) }))
    await ann.push(ann.update(created, { price: '1.00' }, { base: {}, ...was(49, 2_000) }))
    await ann.push(ann.update(created, { name: 'a' }, { base: {}, ...was(900, 1_000) }))
    expect(await rowOf(created)).toMatchObject({ price: '2.00', name: 'b' })
  })

  test('[PU-42, ME-24] an equal value that is returned is remembered', async () => {
    await ben.push(ben.update(created, { price: '899.00' }, { base: { price: '1.00' }, ...was(901, 2_000) }))
    await ann.push(ann.update(created, { price: '1.00' }, { base: { price: '899.00' }, ...was(900, 1_000) }))
    expect(await rowOf(created)).toMatchObject({ price: '899.00' })
  })

  test('[PU-42] what was written after the restore is in dispute with it, whatever its versions say', async () => {
    const [fresh] = await ben.push(ben.update(created, { price: '5.00' }, { base: { price: '899.00' } }))
    const base = { price: '3.00' }
    const coincidence = { baseVersion: fresh?.version ?? 0 }
    const results = await ann.push(
      ann.update(created, { price: '1.00' }, { base, ...coincidence, ...was(900, 1_000) }),
      ann.update(created, { place: 'B2' }, { base: { place: 'C3' }, ...was(902, 1_500) }),
    )
    expect(statusesOf(results)).toEqual(['conflict', 'merged'])
    expect(await rowOf(created)).toMatchObject({ price: '5.00', place: 'B2' })
  })

  test('[PU-42] amounts add up, whatever else is returned', async () => {
    await ben.push(ben.update(created, {}, { increments: { stock: 5 }, ...was(901, 2_000) }))
    await ann.push(
      ann.update(created, {}, { increments: { stock: 3 }, additions: { tags: ['x'] }, ...was(900, 1_000) }),
    )
    expect(await rowOf(created)).toMatchObject({ stock: 18, tags: ['x'] })
  })

  test('[PU-42] one that had made no version overrules nothing', async () => {
    await ben.push(ben.update(created, { price: '2.00' }, { base: {}, ...was(901, 2_000) }))
    const results = await ann.push(
      ann.update(created, { price: '1.00' }, { base: { price: '899.00' }, ...was(null, 0) }),
      ann.update(created, { name: 'Mine' }, { base: { name: 'seen elsewhere' }, ...was(null, 0) }),
    )
    expect(statusesOf(results)).toEqual(['merged', 'conflict'])
    expect(await rowOf(created)).toMatchObject({ price: '2.00', name: 'Laptop' })
  })

  test('[PU-42] B33: a delete yields to a newer edit, and an older edit to a delete', async () => {
    await ben.push(ben.update(created, { price: '2.00' }, { base: {}, ...was(901, 2_000) }))
    expect(await ann.pushOne(ann.delete(created, was(900, 1_000)))).toMatchObject({ status: 'merged' })
    expect(await rowOf(created)).toMatchObject({ price: '2.00' })
    await ann.push(ann.delete(created, was(902, 3_000)))
    expect(
      await ben.pushOne(ben.update(created, { name: 'b' }, { base: {}, ...was(901, 2_500) })),
    ).toMatchObject({
      status: 'merged',
      version: null,
    })
    expect(await rowOf(created)).toEqual({})
    await ben.push(ben.update(created, { name: 'c' }, { base: {}, ...was(903, 4_000) }))
    expect(await rowOf(created)).toMatchObject({ name: 'c', price: '2.00' })
  })

  test('[PU-42] it is a repeat of what the server knows, with and without its lost answer', async () => {
    const edit = ann.update(created, { price: '1.00' }, { base: { price: '899.00' } })
    const first = await ann.pushOne(edit)
    const again = await ann.pushOne({ ...edit, ...was(900, 1_000) })
    expect(again).toMatchObject({ status: 'applied', version: first.version, duplicate: true })
  })

  test('[HLC-4] its stamps are not trusted beyond the time of its answer', async () => {
    const at = `${iso(86_400_000)}-0000-${ann.id}`
    await ann.push(ann.update(created, { place: 'B2' }, { at, base: { place: null }, ...was(900, 1_000) }))
    expect(await rowOf(created)).toMatchObject({ place: 'B2', updated_at: iso(301_000) })
  })
})

describe('what is yet to be returned', () => {
  test('[PU-41] what stands on it is put off, with all that stands on that, and consumes nothing', async () => {
    const lost = ben.create('items', item(), was(890, 500))
    const edit = ann.update(lost, { price: '1.00' }, { base: {}, ...was(900, 1_000) })
    const order = ann.create('orders', { warehouse: '1', item: lost.record }, was(901, 1_100))
    const later = ann.update(lost, { name: 'later' }, { base: { name: 'Laptop' } })
    const ofOrder = ann.update(order, { warehouse: '1' }, { base: {} })
    const gone = ann.delete(lost, was(902, 1_200))
    const other = ann.update(created, { name: 'other' }, { base: { name: 'Laptop' } })
    const all = [edit, order, later, ofOrder, gone, other]
    expect(statusesOf(await ann.push(...all))).toEqual([
      'retry',
      'retry',
      'retry',
      'retry',
      'retry',
      'applied',
    ])
    expect(statusesOf(await ben.push(lost))).toEqual(['applied'])
    const results = await ann.push(...all.slice(0, 4))
    expect(statusesOf(results)).toEqual(['applied', 'applied', 'applied', 'applied'])
    expect(await rowOf(lost)).toMatchObject({ price: '1.00', name: 'later' })
  })

  test('[PU-41] a transaction is put off whole', async () => {
    const group = '018f0000-0000-7000-8000-00000000000a'
    const lost = ben.create('items', item(), was(890, 500))
    const results = await ann.push(
      ann.update(created, { price: '1.00' }, { base: {}, group, ...was(900, 1_000) }),
      ann.update(lost, { price: '1.00' }, { base: {}, group, ...was(900, 1_000) }),
    )
    expect(statusesOf(results)).toEqual(['retry', 'retry'])
    expect(await rowOf(created)).toMatchObject({ price: '899.00' })
  })

  test('[PU-41] so is what was never answered, and written on a history that is lost', async () => {
    const lost = ben.create('items', item(), was(890, 500))
    const edit = ann.update(lost, { price: '1.00' }, { base: {} })
    const gone = ann.delete(lost)
    const order = ann.create('orders', { warehouse: '1', item: lost.record })
    for (const mutation of [edit, gone, order]) {
      const request = { ack: '', stranded: String(mutation.seq), mutations: [mutation] }
      const { results } = await given.engine.push(ann.caller, request)
      expect(statusesOf(results)).toEqual(['retry'])
    }
    expect(statusesOf(await ann.push(edit, order))).toEqual(['rejected', 'rejected'])
  })

  test('[PU-41] a delete that had no effect has none now', async () => {
    const lost = ben.create('items', item(), was(890, 500))
    expect(statusesOf(await ann.push(ann.delete(lost, was(null, 0))))).toEqual(['applied'])
  })

  test('[PU-40] a decision about a conflict that was lost is an edit', async () => {
    const resolves = '018f0000-0000-7000-8000-00000000000b'
    const decision = ann.update(created, { price: '7.00' }, { base: {}, resolves, ...was(900, 1_000) })
    expect(statusesOf(await ann.push(decision))).toEqual(['applied'])
    expect(await rowOf(created)).toMatchObject({ price: '7.00' })
  })
})

test('[PL-24] the last page names the settled numbers that the server does not know', async () => {
  const page = await ann.page({ settled: '1-3,7' })
  expect(page.lost).toBe('2-3,7')
  expect((await ann.page()).lost).toBeUndefined()
  expect((await ben.page({ settled: '1' })).lost).toBe('1')
})

test('[PL-24] B21: and those that it knows as another mutation, by the end of their keys', async () => {
  const second = created.id.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))
  const folded = ann.update(created, { price: '1.00' }, { covers: '2,4', folded: [second] })
  await ann.push(folded)
  const [own, lead, other] = [created.id, folded.id, second].map((id) => id.slice(-8))
  const lostOf = async (...keys: readonly (string | undefined)[]): Promise<string | undefined> =>
    (await ann.page({ settled: '1-4', settledKeys: keys.join('') })).lost
  expect(await lostOf(own, lead, '00000000', other)).toBe('3')
  expect(await lostOf(own, other, '00000000', lead)).toBe('2-4')
  expect(await lostOf('00000000', lead, '00000000', other)).toBe('1,3')
})
