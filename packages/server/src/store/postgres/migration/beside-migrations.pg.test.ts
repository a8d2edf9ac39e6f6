import { collection, defineSchema, integer, type Schema, text } from '@holdfast/core'
import { hasPostgres } from '@holdfast/testing/services'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { waitingForLocks } from '../../../given-locks.ts'
import { doctor, planMigration, runMigration } from '../maintenance.ts'
import { type GivenDatabase, givenThings } from './given-database.ts'

const fields = { place: text(), area: text(), name: text() }
const schemaOf = (
  version: number,
  scope: string,
  more: Parameters<typeof collection>[0] = { fields },
): Schema => defineSchema({ version, collections: { items: collection({ ...more, scope }) } })
const first = schemaOf(1, 'place:{place}')
const second = schemaOf(2, 'area:{area}')
const third = schemaOf(3, 'place:{place}', { fields: { ...fields, size: integer({ default: 1 }) } })

let db: GivenDatabase
beforeEach(async () => {
  db = await givenThings(first)
})
afterEach(() => db.close())

const migrate = (schema: Schema): Promise<unknown> => runMigration({ url: db.url, schema })
const version = async (): Promise<unknown> =>
  (await db.ask('SELECT schema_version FROM holdfast.state'))[0]?.['schema_version']
const live = (): Promise<unknown> =>
  db.ask(`SELECT scope, count(*)::int AS rows FROM holdfast.feed WHERE op = 'put' GROUP BY 1 ORDER BY 1`)

async function ills(schema: Schema): Promise<readonly string[]> {
  return (await doctor({ url: db.url, schema }))
    .filter(({ kind }) => kind === 'ill')
    .map(({ text: says }) => says)
}

/** Resolves when a migration waits for a lock with such a statement. */
const waiting = (query: string): Promise<void> => waitingForLocks(db.ask, 1, query)

/** Holds the last of all rows, until the end is asked for. */
async function holdLast(): Promise<() => Promise<void>> {
  const holder = await db.session()
  await holder.query('BEGIN; SELECT FROM items ORDER BY id DESC LIMIT 1 FOR UPDATE')
  return async () => void (await holder.query('COMMIT'))
}

describe.skipIf(!hasPostgres())('two migrations', () => {
  test('[MI-16] one for a later schema ends the one before it, whose rows go where they lie now', async () => {
    const release = await holdLast()
    const early = migrate(second)
    early.catch(() => undefined)
    await waiting('%FOR NO KEY UPDATE%')
    expect(await live()).toEqual([
      { scope: 'area:north', rows: 1_000 },
      { scope: 'place:berlin', rows: 500 },
    ])
    const late = migrate(third)
    late.catch(() => undefined)
    await waiting('%pg_advisory_xact_lock%')
    await release()
    await expect(early).rejects.toMatchObject({ code: 'STORE_NEWER' })
    await late
    expect(await version()).toBe(3)
    expect(await live()).toEqual([{ scope: 'place:berlin', rows: 1_500 }])
    expect(await ills(third)).toEqual([])
  })

  test('[MI-16] one that died is finished by the next one of the same or a later schema, by no earlier one', async () => {
    let batches = 0
    const onRows = (): void => {
      if (++batches === 1) throw new Error('died')
    }
    await expect(runMigration({ url: db.url, schema: second, onRows })).rejects.toThrow('died')
    await expect(migrate(first)).rejects.toMatchObject({ code: 'STORE_NEWER' })
    // It dies as well, as soon as its structure is there.
    const onStep = (): void => {
      throw new Error('died')
    }
    await expect(planMigration({ url: db.url, schema: first })).rejects.toMatchObject({ code: 'STORE_NEWER' })
    batches = 0
    await expect(runMigration({ url: db.url, schema: third, onRows })).rejects.toThrow('died')
    await expect(runMigration({ url: db.url, schema: third, onStep })).rejects.toThrow('died')
    await migrate(third)
    expect(await version()).toBe(3)
    expect(await live()).toEqual([{ scope: 'place:berlin', rows: 1_500 }])
    expect(await ills(third)).toEqual([])
  })

  test('[MI-16] [MI-5] several of one schema at once all end well', async () => {
    const later = schemaOf(2, 'area:{area}', { fields, unique: [['name']], indexes: [['name'], ['area']] })
    await Promise.all(Array.from({ length: 4 }, () => migrate(later)))
    expect(await live()).toEqual([{ scope: 'area:north', rows: 1_500 }])
    expect(await ills(later)).toEqual([])
    expect((await planMigration({ url: db.url, schema: later })).steps).toEqual([])
  })

  test('[MI-16] one that meets another in a row of the catalogs begins its step again', async () => {
    const other = await db.session()
    await other.query('BEGIN; ALTER FUNCTION holdfast.items_row() COST 101')
    const migrating = migrate(second)
    migrating.catch(() => undefined)
    await waiting('%')
    await other.query('COMMIT')
    await migrating
    expect(await ills(second)).toEqual([])
  })
})
