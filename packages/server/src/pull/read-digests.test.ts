import { rangeOfRecord, type RowRange, type ScopeDigest } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GivenDevice, type GivenEngine, givenEngine, item, type RawMutation } from '../given-engine.ts'

let given: GivenEngine
let ann: GivenDevice

beforeEach(async () => {
  given = await givenEngine()
  ann = given.device('ann', ['warehouse:1', 'warehouse:2'])
})

afterEach(() => given.close())

async function givenItems(count: number, warehouse = '1'): Promise<readonly RawMutation[]> {
  const items = Array.from({ length: count }, () => ann.create('items', item({ warehouse })))
  await ann.push(...items)
  return items
}

/** What the protocol says of a row, in the plainest way. */
function digestOf(record: string, version: number): number {
  const modulus = 2_147_483_647n
  const z = (BigInt(`0x${record.slice(-7)}`) * 1_000_003n + BigInt(version)) % modulus
  return Number((((z * z) % modulus) * z) % modulus)
}

/** What a device that holds these rows of the table has to find. */
async function held(
  collection: string,
  where: string,
  of = 1,
): Promise<readonly (readonly [rows: number, sum: number])[]> {
  // Under another name a version is what it is in the database.
  const rows = await given.rows(`SELECT id, version AS v FROM ${collection} WHERE ${where}`)
  const ranges = Array.from({ length: of }, (): [rows: number, sum: number] => [0, 0])
  for (const { id, v } of rows) {
    const range = ranges[rangeOfRecord(String(id), of)]!
    range[0] += 1
    range[1] += digestOf(String(id), Number(v))
  }
  return ranges
}

async function digestsOf(device: GivenDevice): Promise<readonly ScopeDigest[]> {
  const { digests = [] } = await device.page({ digests: true })
  return digests.toSorted((left, right) =>
    left.scope + left.collection < right.scope + right.collection ? -1 : 1,
  )
}

describe('digests', () => {
  test('[CS-1] sum up what lives in each scope, and nothing else', async () => {
    const [first, second] = await givenItems(12)
    const [moved] = await givenItems(5, '2')
    await ann.push(ann.create('notes', { body: 'for everybody' }))
    await given.run(`UPDATE items SET warehouse = '1' WHERE id = '${moved!.record}'`)
    await given.run(`UPDATE items SET name = 'Desk' WHERE id = '${first!.record}'`)
    await given.run(`DELETE FROM items WHERE id = '${second!.record}'`)
    const live = (warehouse: string): string => `warehouse = '${warehouse}' AND deleted_at IS NULL`
    const ofItems = { collection: 'items' }
    expect(await digestsOf(ann)).toEqual([
      { collection: 'notes', scope: 'global', ranges: await held('notes', 'deleted_at IS NULL') },
      { ...ofItems, scope: 'warehouse:1', ranges: await held('items', live('1')) },
      { ...ofItems, scope: 'warehouse:2', ranges: await held('items', live('2')) },
    ])
    expect((await held('items', live('1')))[0]?.[0]).toBe(12)
    const boss = given.device('boss', '*')
    expect(await digestsOf(boss)).toEqual([
      { ...ofItems, scope: '*', ranges: await held('items', 'deleted_at IS NULL') },
      { collection: 'notes', scope: '*', ranges: await held('notes', 'deleted_at IS NULL') },
    ])
  })

  test('[CS-1] come with the last page alone, and only when they are asked for', async () => {
    await givenItems(3)
    const pages = [await ann.page({ digests: true, limit: 2 }), await ann.page({ digests: true, limit: 3 })]
    expect(pages.map(({ more, digests }) => [more, digests?.length])).toEqual([
      [true, undefined],
      [false, 1],
    ])
    expect(await ann.page()).not.toHaveProperty('digests')
  })

  test('[CS-1] are of the moment of their page, whatever others are writing', async () => {
    const [first] = await givenItems(4)
    const commit = await given.hold(`BEGIN; UPDATE items SET name = 'Chair' WHERE id = '${first!.record}'`)
    const before = await held('items', "warehouse = '1'")
    const [page, digests] = [await ann.page(), await digestsOf(ann)]
    expect(page.changes).toHaveLength(4)
    expect(digests).toMatchObject([{ ranges: before }])
    await commit()
    ann.cursor = page.cursor
    expect((await ann.page()).changes).toMatchObject([{ record: first!.record }])
    expect(await digestsOf(ann)).toMatchObject([{ ranges: await held('items', "warehouse = '1'") }])
    expect(await held('items', "warehouse = '1'")).not.toEqual(before)
  })

  test('[CS-1] have as many ranges as the rows of a scope are worth', async () => {
    await given.close()
    given = await givenEngine({ limits: { rangeRows: 2 } })
    ann = given.device('ann', ['warehouse:1', 'warehouse:2'])
    await givenItems(2, '2')
    await givenItems(33)
    const [many, few] = await digestsOf(ann)
    expect(few?.ranges).toHaveLength(1)
    expect(many?.ranges).toEqual(await held('items', "warehouse = '1'", 256))
  })

  test('[CS-3] a page holds every row of the ranges that were asked for and are seen', async () => {
    const items = await givenItems(40)
    const range: RowRange = { collection: 'items', scope: 'warehouse:1', range: 3, of: 16 }
    const hidden = { ...range, scope: 'warehouse:9' }
    await ann.pull()
    const page = await ann.page({ ranges: [hidden, range] })
    expect(page.ranges).toEqual([range])
    const expected = items.filter(({ record }) => rangeOfRecord(record, 16) === 3)
    expect(page.changes.map(({ record }) => record).toSorted()).toEqual(
      expected.map(({ record }) => record).toSorted(),
    )
    for (const change of page.changes) expect(change).toMatchObject({ op: 'put', scope: 'warehouse:1' })
    const whole = { ...range, range: 0, of: 1 }
    const boss = given.device('boss', '*')
    await boss.pull()
    const everything = await boss.page({ ranges: [whole, { ...whole, scope: '*' }] })
    expect([everything.ranges, everything.changes.length]).toEqual([[{ ...whole, scope: '*' }], 40])
  })

  test('[CS-3] ranges that a page has no room for are left for the next', async () => {
    await given.close()
    given = await givenEngine({ limits: { snapshotRows: 3 } })
    ann = given.device('ann', ['warehouse:1', 'warehouse:2'])
    await givenItems(5)
    await givenItems(5, '2')
    await ann.pull()
    const whole = { collection: 'items', range: 0, of: 1 }
    const asked = [
      { ...whole, scope: 'warehouse:2' },
      { ...whole, scope: 'warehouse:1' },
    ]
    const page = await ann.page({ ranges: asked })
    expect([page.ranges, page.changes.length]).toEqual([[asked[0]], 5])
  })
})
