import { expect, test } from 'vitest'

import { givenDevice } from './given-device.ts'
import { rebuildRecord } from './records.ts'

test('[PR-1] a clean row that an entry comes back to keeps the server’s copy beside its view', async () => {
  const { database, items, schema } = await givenDevice()
  const collection = schema.collections.get('items')
  if (collection === undefined) throw new Error('the schema has items')
  const id = await items.insert({ name: 'Lamp', stock: 37 })
  const clean = "UPDATE items SET _version = 5, _state = 'clean', stock = 37"
  await database.write((tx) => tx.exec(`DELETE FROM _outbox; ${clean}`))
  await items.increment(id, { stock: 3 })
  // As it is while the entry is for escrow, and is no part of what the app sees.
  await database.write((tx) => tx.exec(`${clean}; DELETE FROM _shadow`))
  const rebuilt = async (): Promise<unknown> => {
    await database.write((tx) => rebuildRecord(tx, collection, id))
    return database.all('SELECT stock, _state FROM items')
  }
  expect(await rebuilt()).toEqual([{ stock: 40, _state: 'pending' }])
  expect(await rebuilt()).toEqual([{ stock: 40, _state: 'pending' }])
  await database.write((tx) => tx.exec('DELETE FROM _outbox'))
  expect(await rebuilt()).toEqual([{ stock: 37, _state: 'clean' }])
})
