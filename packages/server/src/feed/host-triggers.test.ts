import { newUuid } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GivenDevice, type GivenEngine, givenEngine, item } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'

let given: GivenEngine
let ones: GivenDevice
let twos: GivenDevice
beforeEach(async () => {
  given = await givenEngine()
  ones = given.device('ann', ['warehouse:1'])
  twos = given.device('ben', ['warehouse:2'])
})
afterEach(() => given.close())

/** What the host does to a row of warehouse 1 of which the name became "go", behind the statement that wrote it. */
async function hostDoes(event: string, statement: string): Promise<void> {
  const rows = `NEW.name = 'go' AND NEW.warehouse = '1'`
  await given.run({
    sqlite: `CREATE TRIGGER host AFTER ${event} ON items WHEN ${rows} BEGIN ${statement}; END`,
    postgres: `CREATE FUNCTION host() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${statement}; RETURN NULL; END $$;
      CREATE TRIGGER host AFTER ${event} ON items FOR EACH ROW WHEN (${rows}) EXECUTE FUNCTION host()`,
  })
}

const insert = (id: string, name: string): string =>
  `INSERT INTO items (id, warehouse, sku, name, stock, tags) VALUES ('${id}', '1', '${id}', '${name}', 3, '[]')`

const strayEntries = `SELECT f.scope, f.op FROM holdfast_feed f LEFT JOIN items i ON i.id = f.record
  WHERE f.collection = 'items' AND f.op = 'put' AND f.scope IS NOT 'warehouse:' || i.warehouse`

/** All that there is of the rows: who sees warehouse 1, who sees warehouse 2, and stray entries of the feed. */
async function seen(): Promise<readonly unknown[]> {
  await Promise.all([ones.pull(), twos.pull()])
  const stray = await given.rows({
    sqlite: strayEntries,
    postgres: strayEntries.replace('holdfast_feed', 'holdfast.feed').replace('IS NOT', 'IS DISTINCT FROM'),
  })
  return [ones.values('items', 'name'), twos.values('items', 'name'), stray]
}

describe('a trigger of the host that writes the row once more', () => {
  const sendOn = `UPDATE items SET warehouse = '2' WHERE id = NEW.id`
  const remove = 'DELETE FROM items WHERE id = NEW.id'

  test('[FE-44] that moves what is inserted, by a device or by SQL: it is where it went, and nowhere else', async () => {
    await hostDoes('INSERT', sendOn)
    await ones.push(ones.create('items', item({ name: 'go' })))
    await given.run(insert(newUuid(systemEnvironment()), 'go'))
    expect(await seen()).toEqual([[], ['go', 'go'], []])
  })

  test('[FE-44] that moves what is updated, by a device or by SQL: it leaves where it was', async () => {
    await hostDoes('UPDATE', sendOn)
    const [first, second] = [newUuid(systemEnvironment()), newUuid(systemEnvironment())]
    await given.run(`${insert(first, 'a')}; ${insert(second, 'b')}`)
    expect(await seen()).toEqual([['a', 'b'], [], []])
    await given.run(`UPDATE items SET name = 'go' WHERE id = '${first}'`)
    const edit = { base: { name: 'b' }, baseVersion: 2 }
    await ones.push(ones.update({ collection: 'items', record: second }, { name: 'go' }, edit))
    expect(await seen()).toEqual([[], ['go', 'go'], []])
  })

  test('[FE-44] that removes what was just written: nobody has it, and the statement of the host is not refused', async () => {
    await hostDoes('INSERT', remove)
    await given.run(insert(newUuid(systemEnvironment()), 'go'))
    const made = await ones.pushOne(ones.create('items', item({ name: 'go' })))
    expect(made.record?.['deleted_at']).not.toBeNull()
    expect(await seen()).toEqual([[], [], []])
  })

  test('[FE-44] that removes what was updated: everybody is told of the deletion', async () => {
    await hostDoes('UPDATE', remove)
    const [first, second] = [newUuid(systemEnvironment()), newUuid(systemEnvironment())]
    await given.run(`${insert(first, 'a')}; ${insert(second, 'b')}`)
    await ones.pull()
    await given.run(`UPDATE items SET name = 'go' WHERE id = '${first}'`)
    const edit = { base: { name: 'b' }, baseVersion: 2 }
    await ones.push(ones.update({ collection: 'items', record: second }, { name: 'go' }, edit))
    expect(await seen()).toEqual([[], [], []])
  })

  test('[FE-44] that removes what was moved: it is in neither scope', async () => {
    await hostDoes('UPDATE', remove)
    const [first, second] = [newUuid(systemEnvironment()), newUuid(systemEnvironment())]
    await given.run(`${insert(first, 'a')}; ${insert(second, 'b')}`)
    await given.run(`UPDATE items SET warehouse = '2'`)
    expect(await seen()).toEqual([[], ['a', 'b'], []])
    await given.run(`UPDATE items SET name = 'go', warehouse = '1' WHERE id = '${first}'`)
    const both = given.device('cy', ['warehouse:1', 'warehouse:2'])
    const edit = { base: { name: 'b', warehouse: '2' }, baseVersion: 4 }
    await both.push(
      both.update({ collection: 'items', record: second }, { name: 'go', warehouse: '1' }, edit),
    )
    expect(await seen()).toEqual([[], [], []])
  })

  test('[FE-44] that puts back what is deleted: it lives on', async () => {
    const back = `INSERT INTO items (id, warehouse, sku, name, stock, tags) VALUES (OLD.id, '2', OLD.sku, 'back', 0, '[]')`
    await given.run({
      sqlite: `CREATE TRIGGER host AFTER DELETE ON items BEGIN ${back}; END`,
      postgres: `CREATE FUNCTION host() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${back}; RETURN NULL; END $$;
        CREATE TRIGGER host AFTER DELETE ON items FOR EACH ROW EXECUTE FUNCTION host()`,
    })
    const id = newUuid(systemEnvironment())
    await given.run(insert(id, 'a'))
    await ones.pull()
    await given.run(`DELETE FROM items WHERE id = '${id}'`)
    expect(await seen()).toEqual([[], ['back'], []])
  })

  test('[FE-44] [FE-5] the history ends with what stands, whichever trigger was run first', async () => {
    await hostDoes('UPDATE', `UPDATE items SET name = 'gone on' WHERE id = NEW.id`)
    const id = newUuid(systemEnvironment())
    await given.run(insert(id, 'a'))
    await given.run(`UPDATE items SET name = 'go', place = 'shelf' WHERE id = '${id}'`)
    const lines = (await given.engine.history(ones.caller, 'items', id)) ?? []
    const newest = lines.toSorted((left, right) => (right.version ?? 0) - (left.version ?? 0))[0]
    expect(newest?.after).toMatchObject({ name: 'gone on' })
    expect(await given.engine.record(ones.caller, 'items', id)).toContain('"gone on"')
  })
})
