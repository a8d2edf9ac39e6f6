import { collection, defineSchema, type Schema, text } from '@holdfast/core'
import { hasPostgres } from '@holdfast/testing/services'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { doctor, runMigration } from '../maintenance.ts'
import { type GivenDatabase, givenDatabase } from './given-database.ts'

const fields = { place: text(), name: text() }
const schema = defineSchema({
  version: 1,
  collections: { items: collection({ fields, scope: 'place:{place}' }) },
})

let db: GivenDatabase
beforeEach(async () => {
  db = await givenDatabase()
})
afterEach(() => db.close())

async function ills(of: Schema = schema): Promise<readonly string[]> {
  return (await doctor({ url: db.url, schema: of }))
    .filter(({ kind }) => kind === 'ill')
    .map(({ text: says }) => says)
}

const entries = (): Promise<readonly Record<string, unknown>[]> =>
  db.ask(
    `SELECT f.scope, f.op, r.name FROM holdfast.feed f LEFT JOIN items r ON r.id = f.record ORDER BY 1, 2, 3`,
  )

describe.skipIf(!hasPostgres())('a migration beside writers', () => {
  test.each(['REPEATABLE READ', 'SERIALIZABLE'])(
    '[MI-6] a %s transaction that began before rows were adopted loses none of what it does to them',
    async (level) => {
      await db.ask(
        `CREATE TABLE items (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), place text NOT NULL, name text NOT NULL)`,
      )
      await db.ask(`INSERT INTO items (place, name) VALUES ('berlin', 'goes'), ('berlin', 'moves')`)
      await db.ask('CREATE TABLE others (n int)')
      const begin = async (): Promise<(sql: string) => Promise<unknown>> => {
        const client = await db.session()
        await client.query(`BEGIN ISOLATION LEVEL ${level}`)
        await client.query('SELECT FROM others')
        return (sql) => client.query(sql)
      }
      const [early, mover] = [await begin(), await begin()]
      await runMigration({ url: db.url, schema })
      // It would have to end what its snapshot does not show.
      for (const [act, sql] of [
        [early, `DELETE FROM items WHERE name = 'goes'`],
        [mover, `UPDATE items SET place = 'paris' WHERE name = 'moves'`],
      ] as const)
        await expect(act(sql)).rejects.toMatchObject({ code: '40001' })
      const again = await begin()
      await again(`DELETE FROM items WHERE name = 'goes'`)
      await again(`UPDATE items SET place = 'paris' WHERE name = 'moves'`)
      await again('COMMIT')
      expect(await entries()).toEqual([
        { scope: 'place:berlin', op: 'delete', name: null },
        { scope: 'place:berlin', op: 'leave', name: 'moves' },
        { scope: 'place:paris', op: 'put', name: 'moves' },
      ])
      expect(await ills()).toEqual([])
    },
  )

  test('[MI-6] a SERIALIZABLE transaction may write rows that were not adopted yet', async () => {
    await runMigration({ url: db.url, schema })
    await db.ask(`SET session_replication_role = replica`)
    await db.ask(
      `INSERT INTO items (id, place, name) VALUES (gen_random_uuid(), 'berlin', 'goes'), (gen_random_uuid(), 'berlin', 'moves')`,
    )
    await db.ask(`SET session_replication_role = origin`)
    const client = await db.session()
    await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE')
    await client.query(`DELETE FROM items WHERE name = 'goes'`)
    await client.query(`UPDATE items SET place = 'paris' WHERE name = 'moves'`)
    await client.query('COMMIT')
    expect(await entries()).toEqual([
      { scope: 'place:berlin', op: 'delete', name: null },
      { scope: 'place:berlin', op: 'leave', name: 'moves' },
      { scope: 'place:paris', op: 'put', name: 'moves' },
    ])
    expect(await ills()).toEqual([])
  })

  test.each(['REPEATABLE READ', 'SERIALIZABLE'])(
    '[FE-71] a %s transaction that does not see the deletion of what it inserts again fails',
    async (level) => {
      await runMigration({ url: db.url, schema })
      const id = '0197a1b2-0000-7000-8000-000000000001'
      const insert = `INSERT INTO items (id, place, name) VALUES ('${id}', 'paris', 'again')`
      await db.ask(`INSERT INTO items (id, place, name) VALUES ('${id}', 'berlin', 'first')`)
      const client = await db.session()
      const begin = async (): Promise<void> => {
        await client.query(`BEGIN ISOLATION LEVEL ${level}`)
        await client.query('SELECT FROM holdfast.state')
      }
      await begin()
      await db.ask('DELETE FROM items')
      await expect(client.query(insert)).rejects.toMatchObject({ code: '40001' })
      await client.query('ROLLBACK')
      await begin()
      await client.query(insert)
      await client.query('COMMIT')
      expect(await db.ask('SELECT FROM holdfast.tombstones')).toEqual([])
      expect(await entries()).toEqual([
        { scope: 'place:berlin', op: 'leave', name: 'again' },
        { scope: 'place:paris', op: 'put', name: 'again' },
      ])
      expect(await ills()).toEqual([])
    },
  )

  test('[FE-9] null in a required field of an adopted table is refused from then on', async () => {
    await db.ask(
      `CREATE TABLE items (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), place text, name text NOT NULL)`,
    )
    await db.ask(`INSERT INTO items (place, name) VALUES ('berlin', 'one')`)
    await runMigration({ url: db.url, schema })
    await expect(db.ask('UPDATE items SET place = NULL')).rejects.toThrow('holdfast_place')
    await expect(db.ask(`INSERT INTO items (name) VALUES ('two')`)).rejects.toThrow('holdfast_place')
    expect(await ills()).toEqual([])
  })
})
