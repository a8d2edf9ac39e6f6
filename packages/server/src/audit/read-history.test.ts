import { afterEach, beforeEach, expect, test } from 'vitest'
import { type GivenDevice, type GivenEngine, givenEngine, item, type RawMutation } from '../given-engine.ts'

let given: GivenEngine
let ann: GivenDevice
let ben: GivenDevice
let laptop: RawMutation

beforeEach(async () => {
  given = await givenEngine()
  ann = given.device()
  ben = given.device('ben')
  laptop = ann.create('items', item({ name: 'base', place: 'A1', sku: 'mine' }))
  await ann.push(laptop)
})

afterEach(() => given.close())

test('[AU-1] the timeline says who changed what, when, with which mutation and from where', async () => {
  given.advance(60_000)
  const rename = ben.update(laptop, { name: 'ben' }, { base: { name: 'base' }, baseVersion: 1 })
  await given.engine.push(
    { ...ben.caller, trace: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
    { ack: '', mutations: [rename] },
  )
  const [newest, oldest] = (await given.engine.history(ann.caller, 'items', laptop.record)) ?? []
  expect(newest).toEqual({
    n: 2,
    op: 'update',
    user: 'ben',
    device: ben.id,
    mutation: rename.id,
    version: 2,
    at: '2026-11-20T10:01:00.000Z',
    receivedAt: '2026-11-20T10:01:00.000Z',
    before: { name: 'base' },
    after: { name: 'ben' },
    status: 'applied',
    decisions: [],
    code: null,
    trace: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    acceptedBy: null,
  })
  expect(oldest).toMatchObject({
    op: 'create',
    user: 'ann',
    before: null,
    after: { name: 'base', stock: 10 },
  })
})

test('[AU-1] [FO-3] what a delete carried is in the timeline, and a delete that carried nothing says so', async () => {
  await ben.push(ben.delete(laptop, { baseVersion: 1, changes: { name: 'ben' }, base: { name: 'base' } }))
  const other = ben.create('items', item({ sku: 'other' }))
  await ben.push(other)
  await ben.push(ben.delete(other, { baseVersion: 3 }))
  const newest = async ({ record }: RawMutation): Promise<unknown> =>
    (await given.engine.history(ann.caller, 'items', record))?.[0]
  expect(await newest(laptop)).toMatchObject({
    op: 'delete',
    before: { name: 'base' },
    after: { name: 'ben' },
  })
  expect(await newest(other)).toMatchObject({ op: 'delete', after: null })
})

test('[AU-2] refusals, conflicts and deletes are in the timeline with what was wanted', async () => {
  await ben.push(ben.update(laptop, { name: 'ben' }, { base: { name: 'base' }, baseVersion: 1 }))
  await ann.push(ann.update(laptop, { name: 'ann' }, { base: { name: 'base' }, baseVersion: 1 }))
  await ben.push(
    ben.create('items', item({ sku: 'taken' })),
    ben.update(laptop, { sku: 'taken' }, { base: { sku: 'mine' }, baseVersion: 2 }),
    ben.delete(laptop, { baseVersion: 2 }),
  )
  const history = await given.engine.history(ann.caller, 'items', laptop.record)
  expect(
    history?.map(({ op, status, code, after }) => [
      op,
      status,
      code,
      after?.['name'] ?? after?.['sku'] ?? null,
    ]),
  ).toEqual([
    ['delete', 'applied', null, null],
    ['none', 'rejected', 'UNIQUE_VIOLATION', 'taken'],
    ['none', 'conflict', 'CONFLICT', 'ann'],
    ['update', 'applied', null, 'ben'],
    ['create', 'applied', null, 'base'],
  ])
})

test('[AU-3] a record one does not see has no timeline, and strangers leave no trace in it', async () => {
  const eve = given.device('eve', ['warehouse:2'])
  await eve.push(eve.update(laptop, { name: 'eve' }, { base: { name: 'base' }, baseVersion: 1 }))
  expect(await given.engine.history(eve.caller, 'items', laptop.record)).toBeNull()
  expect(await given.engine.lostValues(eve.caller, 'items', laptop.record)).toBeNull()
  expect(await given.engine.history(ann.caller, 'items', laptop.record)).toHaveLength(1)
})

test('[AU-1] [AU-3] strangers take no room in a page either, however often they try', async () => {
  const eve = given.device('eve', ['warehouse:2'])
  for (let n = 0; n < 3; n++)
    await eve.push(eve.update(laptop, { name: 'eve' }, { base: { name: 'base' }, baseVersion: 1 }))
  await ben.push(ben.update(laptop, { name: 'ben' }, { base: { name: 'base' }, baseVersion: 1 }))
  for (let n = 0; n < 203; n++)
    await eve.push(eve.update(laptop, { name: 'eve' }, { base: { name: 'base' }, baseVersion: 1 }))
  const ops = async (page?: { limit: number; before?: number }): Promise<readonly unknown[] | undefined> =>
    (await given.engine.history(ann.caller, 'items', laptop.record, page))?.map(({ op }) => op)
  expect(await ops()).toEqual(['update', 'create'])
  const [newest] = (await given.engine.history(ann.caller, 'items', laptop.record, { limit: 1 })) ?? []
  expect(newest).toMatchObject({ op: 'update', user: 'ben' })
  expect(await ops({ limit: 1, before: newest?.n ?? 0 })).toEqual(['create'])
})

test('[AU-4, AU-5, PR-7] a value that lost is kept with the rule that decided, in one sentence', async () => {
  given.advance(1_000)
  await ben.push(
    ben.update(
      laptop,
      { place: 'B2' },
      { base: { place: 'A1' }, baseVersion: 1, at: `2026-11-20T10:00:05.000Z-0000-${ben.id}` },
    ),
  )
  const late = ann.update(
    laptop,
    { place: 'C3' },
    { base: { place: 'A1' }, baseVersion: 1, at: `2026-11-20T10:00:03.000Z-0000-${ann.id}` },
  )
  expect(await ann.pushOne(late)).toMatchObject({ status: 'merged', version: null, record: { place: 'B2' } })
  const explanation = 'The newest edit stays, by the time it was made; the other is kept in the history.'
  const [entry] = (await given.engine.history(ann.caller, 'items', laptop.record)) ?? []
  expect(entry?.decisions).toEqual([
    {
      field: 'place',
      rule: 'latest',
      explanation,
      winner: 'theirs',
      base: 'A1',
      mine: 'C3',
      theirs: 'B2',
      result: 'B2',
    },
  ])
  expect(await given.engine.lostValues(ben.caller, 'items', laptop.record)).toEqual([
    {
      field: 'place',
      value: 'C3',
      rule: 'latest',
      explanation,
      user: 'ann',
      at: '2026-11-20T10:00:03.000Z',
      n: entry?.n,
    },
  ])
  const later = ann.update(
    laptop,
    { place: 'D4' },
    { base: { place: 'A1' }, baseVersion: 1, at: `2026-11-20T10:00:09.000Z-0000-${ann.id}` },
  )
  await ann.push(later)
  expect(await given.engine.lostValues(ben.caller, 'items', laptop.record)).toMatchObject([
    { value: 'B2', user: 'ben' },
    { value: 'C3', user: 'ann' },
  ])
})

test('[AU-1] a timeline is read in pages', async () => {
  for (let n = 0; n < 5; n++)
    await ben.push(ben.update(laptop, {}, { increments: { stock: 1 }, baseVersion: 1 }))
  const first = await given.engine.history(ann.caller, 'items', laptop.record, { limit: 4 })
  const rest = await given.engine.history(ann.caller, 'items', laptop.record, {
    limit: 4,
    before: first?.at(-1)?.n,
  })
  expect([first?.map(({ version }) => version), rest?.map(({ version }) => version)]).toEqual([
    [6, 5, 4, 3],
    [2, 1],
  ])
})

test('[AU-6] a device that was seen while the clock was ahead is seen again once it is right', async () => {
  const seen = async (): Promise<string | undefined> => (await given.engine.devices('ben'))[0]?.lastSeenAt
  const yearMs = 365 * 86_400_000
  given.advance(yearMs)
  await ben.pull()
  await expect.poll(seen).toBe('2027-11-20T10:00:00.000Z')
  given.advance(-yearMs)
  await ben.pull()
  await expect.poll(seen).toBe('2026-11-20T10:00:00.000Z')
})

test('[AU-6] an operator sees what a device announced and never sent', async () => {
  const pending = { count: 3, oldestAt: '2026-11-20T09:00:00.000Z', highestSeq: 12 }
  await given.engine.push(ann.caller, { ack: '', pending, mutations: [] })
  given.advance(1_000)
  await ben.pull()
  expect(await given.engine.devices('ann')).toEqual([
    {
      user: 'ann',
      device: ann.id,
      firstSeenAt: '2026-11-20T10:00:00.000Z',
      lastSeenAt: '2026-11-20T10:00:00.000Z',
      pending,
      highestFinal: 1,
      missingCount: 11,
    },
  ])
  // That a device read something is noted beside its answer.
  await expect.poll(() => given.engine.devices()).toHaveLength(2)
  expect(await given.engine.stats()).toMatchObject({
    devices: 2,
    pendingCount: 3,
    oldestPendingAt: '2026-11-20T09:00:00.000Z',
    verdicts: [{ collection: 'items', status: 'applied', count: 1 }],
  })
})
