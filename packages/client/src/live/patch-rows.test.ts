import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { TablesOf } from '@holdfast/core'
import fc from 'fast-check'
import { type Compilable, sql } from 'kysely'
import type { ReadonlyQueryCreator } from 'kysely/readonly'
import { expect, test } from 'vitest'

import { sqliteStorage } from '../drivers/node.ts'
import type { SqliteDriver, SqlParam, SqlRow, SqlValue } from '../drivers/sqlite-driver.ts'
import { type GivenDevice, givenDevice, type givenSchema } from '../local/given-device.ts'
import { LiveQueries } from './live-queries.ts'
import { patchRows } from './patch-rows.ts'

type Query = ReadonlyQueryCreator<TablesOf<typeof givenSchema>>
type Build = (q: Query) => Compilable<unknown>

/** What a statement was bound to, for those that read single rows again. */
function recording(storage: SqliteDriver): { readonly storage: SqliteDriver; readonly patches: string[] } {
  const patches: string[] = []
  const open: SqliteDriver['open'] = async () => {
    const connection = await storage.open()
    const all = (text: string, params: readonly SqlParam[] = []): Promise<readonly SqlRow[]> => {
      if (text.startsWith('SELECT * FROM (')) patches.push(String(params.at(-1)))
      return connection.all(text, params)
    }
    return {
      capabilities: connection.capabilities,
      all,
      run: (text, params) => connection.run(text, params),
      exec: (text) => connection.exec(text),
      describe: (text) => connection.describe(text),
      close: () => connection.close(),
    }
  }
  return { storage: { name: storage.name, open }, patches }
}

const liveOf = ({ database, schema }: GivenDevice): LiveQueries =>
  new LiveQueries({ database, schema, logger: { log: () => undefined } })

/** Watches until `until` has been told; the results so far. */
function watch(live: LiveQueries, build: Build): { readonly told: (readonly unknown[])[] } {
  const told: (readonly unknown[])[] = []
  live.watch<TablesOf<typeof givenSchema>, unknown>(build, {
    onRows: (rows) => told.push(rows),
    onError: (error) => {
      throw error
    },
  })
  return { told }
}

const settled = async ({ database }: GivenDevice): Promise<void> => {
  for (let n = 0; n < 6; n++) await database.all('SELECT 1')
}

const byName: Build = (q) => q.selectFrom('items').select(['id', 'name', 'stock', '_state']).orderBy('name')

test('[LQ-9] of a query whose rows depend on one row each, only what a commit touched is read again', async () => {
  const { storage, patches } = recording(sqliteStorage(':memory:'))
  const device = await givenDevice({ storage })
  const live = liveOf(device)
  const ids = await device.items.insertMany(['b', 'd', 'f'].map((name) => ({ name })))
  const queries: readonly Build[] = [
    byName,
    (q) => q.selectFrom('items').selectAll().where('stock', '>=', 0).orderBy('stock', 'desc').orderBy('name'),
    (q) =>
      q
        .selectFrom('items as i')
        .select(['i.id', 'i.name'])
        .where((is) => is.or([is('i.name', 'like', '%c%'), is('i.name', 'in', ['b', 'f'])]))
        .orderBy('i.name'),
  ]
  const watched = queries.map((build) => watch(live, build))
  await settled(device)
  expect(patches).toEqual([])
  const [first = '', second = ''] = ids
  await device.items.update(first, { name: 'e' })
  await device.items.delete(second)
  const fresh = await device.items.insert({ name: 'c' })
  await device.items.increment(fresh, { stock: 2 })
  await settled(device)
  expect(patches.length).toBeGreaterThanOrEqual(queries.length)
  expect(new Set(patches.flatMap((list) => JSON.parse(list) as string[]))).toEqual(
    new Set([first, second, fresh]),
  )
  for (const [index, build] of queries.entries())
    expect(watched[index]?.told.at(-1)).toEqual(await live.run(build))
})

test('[LQ-9] other queries are read as a whole: joins, groups, functions, limits, raw SQL, no id, no sort key, names that are equal', async () => {
  const { storage, patches } = recording(sqliteStorage(':memory:'))
  const device = await givenDevice({ storage })
  const live = liveOf(device)
  const queries: readonly Build[] = [
    (q) =>
      q.selectFrom('items').innerJoin('lines', 'lines.item', 'items.id').select(['items.id', 'lines.amount']),
    (q) => q.selectFrom(['items', 'lines']).select(['items.id', 'lines.amount']),
    (q) =>
      q
        .selectFrom('items')
        .select((eb) => ['name', eb.fn.countAll<number>().as('n')])
        .groupBy('name'),
    (q) => q.selectFrom('items').selectAll().orderBy('name').limit(2),
    (q) => q.selectFrom('items').selectAll().orderBy(sql`length(name)`),
    (q) => q.selectFrom('items').selectAll().where(sql<boolean>`name > (SELECT min(name) FROM items)`),
    (q) =>
      q
        .selectFrom('items')
        .selectAll()
        .where('name', '=', (eb) => eb.selectFrom('items').select((of) => of.fn.max('name').as('m'))),
    (q) => q.selectFrom('items').select('name').orderBy('name'),
    (q) => q.selectFrom('items').select('id').orderBy('name'),
    (q) => q.selectFrom('items').select(['name as id', 'id as name']).orderBy('name'),
    (q) =>
      q
        .selectFrom('items')
        .select(['id', 'name'])
        .orderBy('name', (o) => o.collate('nocase')),
    (q) =>
      q
        .selectFrom('items')
        .select(['id', 'note'])
        .orderBy('note', (o) => o.nullsLast()),
    (q) => q.selectFrom('items').select('id').distinct(),
    (q) => q.selectFrom('items').select(['id', 'name', 'note as NAME']).orderBy('name'),
  ]
  const watched = queries.map((build) => watch(live, build))
  await settled(device)
  const ids = await device.items.insertMany(['b', 'a', 'c'].map((name) => ({ name })))
  await device.lines.insert({ item: ids[1] ?? '', amount: 1 })
  await device.items.update(ids[0] ?? '', { name: 'z' })
  await settled(device)
  expect(patches).toEqual([])
  for (const [index, build] of queries.entries())
    expect(watched[index]?.told.at(-1)).toEqual(await live.run(build))
})

test('[LQ-9] rows of one commit are seen together, also when the next commit comes before they are read', async () => {
  const device = await givenDevice()
  const live = liveOf(device)
  const [left = '', right = ''] = await device.items.insertMany([{ name: 'left' }, { name: 'right' }])
  const { told } = watch(live, byName)
  await settled(device)
  const { database } = device
  const both = (stock: number): Promise<void> =>
    database.write(async (tx) => {
      for (const id of [left, right]) {
        await tx.run('UPDATE items SET stock = ? WHERE id = ?', [stock, id])
        tx.touch('items', id)
      }
    })
  const one = (id: string): Promise<void> =>
    database.write(async (tx) => {
      await tx.run("UPDATE items SET note = 'seen' WHERE id = ?", [id])
      tx.touch('items', id)
    })
  for (let stock = 1; stock <= 20; stock++) await Promise.all([one(left), both(stock), one(right)])
  await settled(device)
  for (const rows of told) expect(new Set(rows.map((row) => (row as { stock: number }).stock)).size).toBe(1)
  expect(told.at(-1)).toEqual(await live.run(byName))
})

test('[LQ-9] what another process has committed is seen with the next commit of one’s own', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-live-'))
  const path = join(folder, 'device.sqlite')
  const device = await givenDevice({ storage: sqliteStorage(path) })
  const live = liveOf(device)
  const [first = ''] = await device.items.insertMany([{ name: 'a' }, { name: 'b' }])
  const { told } = watch(live, byName)
  await settled(device)
  const other = await sqliteStorage(path).open()
  await other.run("UPDATE items SET stock = 7 WHERE name = 'b'")
  await other.close()
  await device.items.increment(first, { stock: 1 })
  await settled(device)
  expect(told.at(-1)).toMatchObject([{ stock: 1 }, { stock: 7 }])
  await device.database.close()
  rmSync(folder, { recursive: true })
})

test('[LQ-9] whatever is written, the rows are those of the query', async () => {
  const queries: readonly Build[] = [
    byName,
    (q) => q.selectFrom('items').select(['id', 'stock', 'note']).orderBy('note', 'desc').orderBy('id'),
    (q) => q.selectFrom('items').selectAll().where('stock', '>', 1).orderBy('stock').orderBy('id', 'desc'),
    (q) => q.selectFrom('items').select(['id', 'stock']).where('active', '=', true),
  ]
  const text = fc.constantFrom('', 'a', 'A', 'ab', 'é', '\u{ffff}', '\u{1f600}', '\u{1f601}', '\u{e000}')
  const act = fc.record({
    at: fc.nat(9),
    name: text,
    note: fc.option(text),
    stock: fc.nat(3),
    what: fc.nat(4),
  })
  const run = async (acts: readonly (typeof act extends fc.Arbitrary<infer Act> ? Act : never)[]) => {
    const device = await givenDevice()
    const live = liveOf(device)
    const ids = [...(await device.items.insertMany([{ name: 'a' }, { name: 'b', note: 'n' }]))]
    const watched = queries.map((build) => watch(live, build))
    await settled(device)
    for (const { at, name, note, stock, what } of acts) {
      const id = ids[at % ids.length] ?? ''
      if (what === 0) ids.push(await device.items.insert({ name, note }))
      if (what === 1) await device.items.update(id, { name, note }).catch(() => undefined)
      if (what === 2) await device.items.increment(id, { stock }).catch(() => undefined)
      if (what === 3) await device.items.update(id, { active: stock > 1 }).catch(() => undefined)
      if (what === 4) await device.items.delete(id).catch(() => undefined)
      if (stock > 0) await settled(device)
    }
    await settled(device)
    for (const [index, build] of queries.entries())
      expect(watched[index]?.told.at(-1)).toEqual(await live.run(build))
  }
  await fc.assert(fc.asyncProperty(fc.array(act, { maxLength: 15 }), run), { numRuns: 60 })
})

test('[LQ-9] values of all kinds are put where SQLite puts them', async () => {
  const connection = await sqliteStorage(':memory:').open()
  const value: fc.Arbitrary<SqlValue> = fc.oneof(
    fc.constant(null),
    fc.integer({ min: -3, max: 3 }),
    // SQLite knows no negative zero.
    fc.double({ noNaN: true, min: -3, max: 3 }).map((n) => n + 0),
    fc.string({ unit: 'binary', maxLength: 3 }),
    fc.uint8Array({ maxLength: 3 }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(value, { maxLength: 8 }),
      fc.nat(8),
      fc.boolean(),
      async (values, cut, isDescending) => {
        const rows = values.map((each, index) => ({ id: `${index}`, each }))
        const order = `ORDER BY each ${isDescending ? 'DESC' : ''}`
        const sorted = async (some: typeof rows) => {
          const text = some.map(() => 'SELECT ? AS id, ? AS each').join(' UNION ALL ')
          if (text === '') return []
          return connection.all(
            `SELECT * FROM (${text}) ${order}`,
            some.flatMap(({ id, each }) => [id, each]),
          )
        }
        const before = await sorted(rows.slice(0, cut))
        const arriving = rows.slice(cut)
        const after = patchRows(before, { ids: new Set(arriving.map(({ id }) => id)), rows: arriving }, [
          { column: 'each', isDescending },
        ])
        expect(after?.map(({ each }) => each)).toEqual((await sorted(rows)).map(({ each }) => each))
      },
    ),
  )
  await connection.close()
})
