import {
  collection,
  counter,
  defineSchema,
  type Field,
  newUuid,
  reference,
  type Schema,
  text,
} from '@holdfast/core'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GivenEngine, givenEngine } from '../../given-engine.ts'
import { systemEnvironment } from '../../system-environment.ts'

let given: GivenEngine

beforeEach(async () => {
  given = await givenEngine()
})

afterEach(() => given.close())

describe('the file', () => {
  test('[FE-1] the sqlite3 shell is a writer like any other', async () => {
    const sql = `INSERT INTO items (id, warehouse, sku, name, stock, tags)
      VALUES ('${newUuid(systemEnvironment())}', '1', 'X-1', 'by hand', 3, '["new"]')`
    execFileSync('sqlite3', [given.path, sql], { stdio: 'pipe' })
    const ben = given.device('ben')
    await ben.pull()
    expect(ben.values('items', 'name')).toEqual(['by hand'])
  })

  test('[FE-11] a file of something else, of a newer version, or a damaged one is refused and not changed', async () => {
    const folder = given.path.replace(/server\.db$/, '')
    const foreign = `${folder}foreign.db`
    const db = new DatabaseSync(foreign)
    db.exec('CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)')
    db.close()
    await expect(givenEngine({}, foreign)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    const again = new DatabaseSync(foreign)
    expect(again.prepare('SELECT name FROM sqlite_master').all()).toEqual([{ name: 'theirs' }])
    again.close()
    const damaged = `${folder}damaged.db`
    writeFileSync(damaged, 'this is no database, but somebody may want it back'.repeat(40))
    await expect(givenEngine({}, damaged)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    expect(readFileSync(damaged, 'utf8')).toContain('somebody may want it back')
    await given.run('UPDATE holdfast_state SET schema_version = 9')
    await given.engine.close()
    await expect(givenEngine({}, given.path)).rejects.toMatchObject({ code: 'STORE_NEWER' })
    await given.run('UPDATE holdfast_state SET schema_version = 1')
    given = await given.reopen()
  })

  const notes = (version: number, more: Parameters<typeof collection>[0]['fields'] = {}, scope?: string) =>
    defineSchema({
      version,
      collections: {
        notes: collection({
          fields: { body: text(), room: text({ default: 'a' }), ...more },
          ...(scope === undefined ? {} : { scope }),
        }),
      },
    })

  test('[FE-12] a later schema adds columns and collections, and the rows stay', async () => {
    const ben = given.device('ben')
    const bodies = ['one', 'two'].map((body) => ben.create('notes', { body }))
    await ben.push(...bodies)
    const schema = defineSchema({
      version: 2,
      collections: {
        notes: collection({
          fields: {
            body: text(),
            mood: text({ default: 'calm' }),
            reads: counter(),
            topic: reference('topics', { optional: true }),
          },
        }),
        topics: collection({ fields: { name: text() } }),
      },
    })
    given = await given.reopen({ schema })
    const late = given.device('late')
    await late.pull()
    expect([...late.rows.values()]).toMatchObject([
      { body: 'one', mood: 'calm', reads: 0, topic: null },
      { body: 'two', mood: 'calm', reads: 0, topic: null },
    ])
    expect(await late.pushOne(late.create('topics', { name: 't' }))).toMatchObject({ status: 'applied' })
  })

  test('[FE-12] what a schema has again that one before it had not is there as it was, and devices hear of it', async () => {
    await given.close()
    const having = (
      version: number,
      more: Readonly<Record<string, Field>>,
      others: readonly string[],
    ): Schema =>
      defineSchema({
        version,
        collections: {
          notes: collection({ fields: { body: text(), ...more } }),
          ...Object.fromEntries(others.map((name) => [name, collection({ fields: { name: text() } })])),
        },
      })
    const mood = text({ default: 'calm' })
    given = await givenEngine({ schema: having(1, { mood }, ['topics']) })
    const ann = given.device('ann')
    await ann.push(ann.create('notes', { body: 'one', mood: 'merry' }), ann.create('topics', { name: 't' }))
    given = await given.reopen({ schema: having(2, {}, []) })
    const ben = given.device('ben')
    await ben.push(ben.create('notes', { body: 'two' }))
    await ben.pull()
    expect(ben.values('notes', 'mood')).toEqual([null, null])
    // A start without any change of the schema forgets nothing.
    given = await given.reopen({ schema: having(2, {}, []) })
    for (const [wrong, at] of [
      [{ mood: counter() }, 'notes.mood'],
      [{ mood: text({ optional: true }) }, 'notes.mood'],
    ] as const) {
      await given.engine.close()
      const schema = having(3, wrong, [])
      await expect(givenEngine({ schema }, given.path)).rejects.toMatchObject({ code: 'SCHEMA_INVALID', at })
      given = await givenEngine({ schema: having(2, {}, []) }, given.path)
    }
    const again = having(3, { mood, size: text({ optional: true }) }, ['topics', 'places'])
    given = await given.reopen({ schema: again })
    const later = given.device('ben')
    later.cursor = ben.cursor
    await later.pull()
    expect(later.values('notes', 'mood')).toEqual(['calm', 'merry'])
    expect(later.values('topics', 'name')).toEqual(['t'])
    given = await given.reopen({ schema: again })
    const same = given.device('ben')
    same.cursor = later.cursor
    expect(await same.pull()).toEqual([])
  })

  test('[FE-12] a new scope template moves the rows there are', async () => {
    await given.close()
    given = await givenEngine({ schema: notes(1) })
    const [first, second] = [given.device('ann', ['room:a']), given.device('eve', [])]
    await first.push(first.create('notes', { body: 'one', room: 'a' }))
    given = await given.reopen({ schema: notes(2, {}, 'room:{room}') })
    const [ann, eve] = [given.device('ann', ['room:a']), given.device('eve', [])]
    await Promise.all([ann.pull(), eve.pull()])
    expect([ann.values('notes', 'body'), eve.values('notes', 'body')]).toEqual([['one'], []])
    void second
  })

  test('[FE-12] a schema that would have to rewrite rows is refused', async () => {
    await given.close()
    given = await givenEngine({ schema: notes(1) })
    await given.device().push(given.device().create('notes', { body: 'one', room: 'a' }))
    await given.engine.close()
    await expect(givenEngine({ schema: notes(2, { size: text() }) }, given.path)).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
      at: 'notes.size',
    })
    await expect(givenEngine({ schema: notes(2, { body: counter() }) }, given.path)).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
      at: 'notes.body',
    })
    given = await givenEngine({ schema: notes(1) }, given.path)
  })

  test('[FE-12] a schema that drops a required field is refused: no record could be made any more', async () => {
    await given.close()
    const fields = { room: text({ default: 'a' }), label: text({ default: '' }) }
    const having = (version: number, more: Readonly<Record<string, Field>>): Schema =>
      defineSchema({ version, collections: { notes: collection({ fields: { ...fields, ...more } }) } })
    given = await givenEngine({ schema: having(1, { body: text(), old: text({ optional: true }) }) })
    await given.engine.close()
    await expect(givenEngine({ schema: having(2, {}) }, given.path)).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
      at: 'notes.body',
    })
    const { label: _label, ...rest } = fields
    const later = { ...rest, body: text() }
    const schema = defineSchema({ version: 2, collections: { notes: collection({ fields: later }) } })
    given = await givenEngine({ schema }, given.path)
    const device = given.device()
    expect(await device.push(device.create('notes', { body: 'one', room: 'a' }))).toMatchObject([
      { status: 'applied' },
    ])
  })
})
