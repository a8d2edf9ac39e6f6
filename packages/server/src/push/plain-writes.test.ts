import type { Values } from '@holdfast/core'
import { newUuid } from '@holdfast/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ApplyOptions, ApplyResponse, PlainResult, PlainWrite } from '../engine.ts'
import { isOnPostgres } from '../given-database.ts'
import { type GivenDevice, type GivenEngine, givenEngine, item } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'

let given: GivenEngine
let ann: GivenDevice
const id = newUuid(systemEnvironment())

beforeEach(async () => {
  given = await givenEngine()
  ann = given.device()
})

afterEach(() => given.close())

const write = (op: PlainWrite['op'], values: Values = {}, more: Partial<PlainWrite> = {}): PlainWrite => ({
  collection: 'items',
  record: id,
  op,
  values,
  precondition: { kind: 'none' },
  ...more,
})

async function apply(...writes: readonly PlainWrite[]): Promise<readonly PlainResult[]> {
  return (await given.engine.apply({ ...ann.caller, device: null }, writes)).results
}

async function applyOne(one: PlainWrite): Promise<PlainResult | undefined> {
  return (await apply(one))[0]
}

const read = (sql: string): Promise<readonly Record<string, unknown>[]> => given.rows(sql)

test('[PU-28] a plain write goes the way of every mutation: feed, audit, keys and rights', async () => {
  expect(await applyOne(write('create', item({ name: 'plain', sku: 'P' })))).toMatchObject({
    status: 'applied',
    created: true,
    record: { id, name: 'plain', version: 1, deleted_at: null },
  })
  const ben = given.device('ben')
  expect(await ben.pull()).toMatchObject([{ op: 'put', record: id, data: { name: 'plain' } }])
  expect(await given.engine.history(ben.caller, 'items', id)).toMatchObject([
    { op: 'create', user: 'ann', device: null },
  ])
  const other = { ...write('create', item({ sku: 'P' })), record: newUuid(systemEnvironment()) }
  expect(await applyOne(other)).toMatchObject({ status: 'rejected', error: { code: 'UNIQUE_VIOLATION' } })
  expect(await applyOne({ ...other, values: item({ warehouse: '9' }) })).toMatchObject({
    error: { code: 'SCOPE_DENIED' },
  })
  expect(await applyOne(write('create', item()))).toMatchObject({ error: { code: 'RECORD_EXISTS' } })
  expect(await applyOne(write('update', { name: 7 }))).toMatchObject({
    error: { code: 'VALUE_INVALID', field: 'name' },
  })
})

test('[PU-28] each operation does what it says', async () => {
  expect(await applyOne(write('update', { name: 'x' }))).toMatchObject({
    error: { code: 'RECORD_NOT_FOUND' },
  })
  expect(await applyOne(write('put', item({ name: 'put', tags: ['a'] })))).toMatchObject({
    status: 'applied',
    created: true,
  })
  expect(await applyOne(write('put', item({ name: 'again', tags: [] })))).toMatchObject({
    status: 'applied',
    created: false,
    record: { name: 'again', tags: [] },
  })
  expect(await applyOne(write('upsert', { price: '1.00' }))).toMatchObject({
    status: 'applied',
    record: { name: 'again', price: '1.00' },
  })
  expect(await applyOne(write('update', {}, { increments: { stock: -3 } }))).toMatchObject({
    record: { stock: 7 },
  })
  expect(await applyOne(write('delete'))).toMatchObject({
    status: 'applied',
    record: { deleted_at: '2026-11-20T10:00:00.000Z' },
  })
  expect(await applyOne(write('restore'))).toMatchObject({
    status: 'applied',
    record: { name: 'again', price: '1.00', stock: 7, deleted_at: null },
  })
})

test('[PU-30] a version or a time that no longer holds is a lost race, and nothing is written', async () => {
  await applyOne(write('create', item({ name: 'first' })))
  const precondition = { kind: 'version', version: 1 } as const
  expect(await applyOne(write('update', { name: 'second' }, { precondition }))).toMatchObject({
    status: 'applied',
    record: { version: 2 },
  })
  expect(await applyOne(write('update', { name: 'third' }, { precondition }))).toMatchObject({
    status: 'conflict',
    record: { name: 'second', version: 2 },
    error: { code: 'CONFLICT' },
  })
  expect(
    await applyOne(write('delete', {}, { precondition: { kind: 'version', version: 0 } })),
  ).toMatchObject({ status: 'conflict' })
  given.advance(60_000)
  await applyOne(write('update', { name: 'fourth' }))
  expect(
    await applyOne(
      write(
        'update',
        { name: 'fifth' },
        { precondition: { kind: 'time', updatedAt: '2026-11-20T10:00:30.000Z' } },
      ),
    ),
  ).toMatchObject({ status: 'conflict', record: { name: 'fourth' } })
  expect(await read('SELECT name FROM items')).toEqual([{ name: 'fourth' }])
})

test('[PU-31, PR-7] where the later edit wins, the earlier one is kept in the history', async () => {
  await applyOne(write('create', item({ name: 'first' }), { at: '2026-11-20T09:00:00.000Z' }))
  const late = write(
    'update',
    { name: 'late' },
    {
      precondition: { kind: 'latest', updatedAt: '2026-11-20T08:00:00.000Z' },
      at: '2026-11-20T08:00:00.000Z',
    },
  )
  expect(await applyOne(late)).toMatchObject({ status: 'lost', record: { name: 'first' } })
  expect(await given.engine.lostValues(ann.caller, 'items', id)).toMatchObject([
    { field: 'name', value: 'late', at: '2026-11-20T08:00:00.000Z' },
  ])
  const newer = write(
    'update',
    { name: 'newer' },
    {
      precondition: { kind: 'latest', updatedAt: '2026-11-20T09:30:00.000Z' },
      at: '2026-11-20T09:30:00.000Z',
    },
  )
  expect(await applyOne(newer)).toMatchObject({
    status: 'applied',
    record: { name: 'newer', updated_at: '2026-11-20T09:30:00.000Z' },
  })
})

test('[PU-32] an atomic batch is whole or not at all, another applies what it can', async () => {
  const writes = [
    write('create', item()),
    { ...write('create', item({ warehouse: '9' })), record: newUuid(systemEnvironment()) },
  ]
  const caller = { ...ann.caller, device: null }
  const atomic = await given.engine.apply(caller, writes, { atomic: true })
  expect([atomic.committed, atomic.results.map(({ status }) => status)]).toEqual([
    false,
    ['applied', 'rejected'],
  ])
  expect(await read('SELECT * FROM items')).toEqual([])
  expect((await given.engine.apply(caller, writes)).results.map(({ status }) => status)).toEqual([
    'applied',
    'rejected',
  ])
  expect(await read('SELECT id FROM items')).toEqual([{ id }])
})

test('[PU-33] a repeated key is answered as the first time, with another body it is refused, after a month it is new', async () => {
  const caller = { ...ann.caller, device: null }
  const options = (hash: string): ApplyOptions => ({ key: { key: 'k', hash } })
  await applyOne(write('create', item({ stock: 0 })))
  const add = write('update', {}, { increments: { stock: 1 } })
  const first = await given.engine.apply(caller, [add], options('h'))
  const second = await given.engine.apply(caller, [add], options('h'))
  expect([second.duplicate, second.results]).toEqual([true, first.results])
  await expect(given.engine.apply(caller, [add], options('other'))).rejects.toMatchObject({
    code: 'KEY_REUSED',
  })
  expect(await read('SELECT stock FROM items')).toEqual([{ stock: 1 }])
  given.advance(31 * 86_400_000)
  await given.engine.collectTombstones({ olderThanMs: 90 * 86_400_000 })
  expect(await given.engine.apply(caller, [add], options('h'))).toMatchObject({ duplicate: false })
})

test('[PU-33] what a constraint of the host refused under a key, and a batch that it took apart, is answered once', async () => {
  const caller = { ...ann.caller, device: null }
  await given.run('CREATE UNIQUE INDEX host_names ON items (name)')
  await applyOne(write('create', item({ name: 'same', stock: 0 })))
  const again = { ...write('create', item({ name: 'same' })), record: newUuid(systemEnvironment()) }
  const keyed = (key: string): ApplyOptions => ({ key: { key, hash: 'h' } })
  const batch = [again, write('update', {}, { increments: { stock: 1 } })]
  const asked = (): Promise<readonly ApplyResponse[]> =>
    Promise.all([
      given.engine.apply(caller, batch, keyed('batch')),
      given.engine.apply(caller, [again], keyed('one')),
    ])
  const first = await asked()
  expect(first.map(({ results }) => results.map(({ status }) => status))).toEqual([
    ['rejected', 'applied'],
    ['rejected'],
  ])
  await given.run(isOnPostgres ? 'DROP INDEX public.host_names' : 'DROP INDEX host_names')
  expect((await asked()).map(({ results, duplicate }) => [duplicate, results])).toEqual(
    first.map(({ results }) => [true, results]),
  )
  // As after a process that died before it kept the answer of the whole.
  await given.run(`DELETE FROM holdfast_keys WHERE key = 'batch'`)
  expect((await asked())[0]?.results).toEqual(first[0]?.results)
  expect(await read('SELECT name, stock FROM items')).toEqual([{ name: 'same', stock: 1 }])
})

test('[PU-22] a constraint of the host refuses a plain write by its name', async () => {
  await given.run('CREATE UNIQUE INDEX host_names ON items (name)')
  const again = { ...write('create', item({ name: 'same' })), record: newUuid(systemEnvironment()) }
  const results = await apply(write('create', item({ name: 'same' })), again)
  const message = isOnPostgres ? 'host_names' : 'UNIQUE constraint failed: items.name'
  expect(results).toMatchObject([
    { status: 'applied' },
    { status: 'rejected', error: { code: 'CONSTRAINT_FAILED', message } },
  ])
})

test('[FE-30] what has an id that is no UUID is not there, whatever is asked of it', async () => {
  for (const record of ['x', id.toUpperCase()]) {
    expect(await given.engine.record(ann.caller, 'items', record)).toBeNull()
    expect(await given.engine.history(ann.caller, 'items', record)).toBeNull()
    expect(await given.engine.lostValues(ann.caller, 'items', record)).toBeNull()
    expect((await given.engine.resolve(ann.caller, record, { kind: 'theirs' })).results).toMatchObject([
      { status: 'rejected', error: { code: 'CONFLICT_UNKNOWN' } },
    ])
    expect(await applyOne(write('update', { name: 'y' }, { record }))).toMatchObject({
      error: { code: 'RECORD_NOT_FOUND' },
    })
  }
})

test('[PU-28] rows are listed by id in pages, by equal values, and only those one sees', async () => {
  const ids = [1, 2, 3].map(() => newUuid(systemEnvironment())).sort()
  await ann.push(
    ...['a', 'b', 'b'].map((name, index) =>
      ann.create('items', item({ name }), { record: ids[index] ?? '' }),
    ),
  )
  const eve = given.device('eve', ['warehouse:2'])
  const first = await given.engine.list(ann.caller, 'items', { limit: 2 })
  const rest = await given.engine.list(ann.caller, 'items', { limit: 2, after: first.next ?? '' })
  expect([JSON.parse(first.text), JSON.parse(rest.text), rest.next]).toMatchObject([
    [{ name: 'a' }, { name: 'b' }],
    [{ name: 'b' }],
    null,
  ])
  expect(
    JSON.parse((await given.engine.list(ann.caller, 'items', { filters: { name: 'b' } })).text),
  ).toHaveLength(2)
  expect(await given.engine.list(eve.caller, 'items')).toEqual({ text: '[]', next: null })
  await expect(
    given.engine.list(ann.caller, 'items', { filters: { 'name" OR 1 --': 'b' } }),
  ).rejects.toMatchObject({ code: 'FIELD_UNKNOWN' })
  await expect(given.engine.list(ann.caller, 'items', { after: 'x' })).rejects.toMatchObject({
    code: 'REQUEST_INVALID',
  })
  await expect(given.engine.list(ann.caller, 'nowhere')).rejects.toMatchObject({ code: 'NOT_FOUND' })
})
