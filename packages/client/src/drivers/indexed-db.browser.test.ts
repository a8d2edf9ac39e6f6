import { expect, test } from 'vitest'

import { testDriver } from './driver-contract.ts'
import { RemoteConnection } from './given-remote-connection.ts'

const run = Math.random().toString(36).slice(2)
let places = 0

testDriver({
  name: 'SQLite WASM in memory, kept in IndexedDB',
  open: (place) => RemoteConnection.open(`indexed-db:${place}`),
  freshPlace: () => `${run}-${places++}`,
  spoil: spoilDatabase,
  growUntilKilled: (place) => RemoteConnection.growUntilKilled(`indexed-db:${place}`, 50),
})

test('[BR-14] blocks without their size, as damage may leave them, are the database they were', async () => {
  const place = `${run}-sizeless`
  await changeBlocks(place, (blocks) => blocks.delete('size'))
  const connection = await RemoteConnection.open(`indexed-db:${place}`)
  expect(await connection.all('SELECT name FROM sqlite_schema')).toEqual([{ name: 't' }])
  await connection.close()
})

test('[BR-14] a block that is none is STORE_CORRUPT, and stays as it is', async () => {
  const place = `${run}-no-block`
  await changeBlocks(place, (blocks) => blocks.put(new Uint8Array(7), 1))
  await expect(RemoteConnection.open(`indexed-db:${place}`)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
})

/** Writes over the first blocks of the file. */
async function spoilDatabase(place: string): Promise<void> {
  const text = 'no database, but long enough to be taken for one'.repeat(100).slice(0, 4_096)
  await changeBlocks(place, (blocks) => blocks.put(new TextEncoder().encode(text), 0))
}

/** Makes a database with a table, and changes how it is stored. */
async function changeBlocks(place: string, change: (blocks: IDBObjectStore) => void): Promise<void> {
  const connection = await RemoteConnection.open(`indexed-db:${place}`)
  await connection.exec('CREATE TABLE t (n INTEGER)')
  await connection.close()
  const opening = indexedDB.open(`holdfast-files:${place}`)
  await new Promise((resolve) => (opening.onsuccess = resolve))
  const transaction = opening.result.transaction('blocks', 'readwrite')
  change(transaction.objectStore('blocks'))
  await new Promise((resolve) => (transaction.oncomplete = resolve))
  opening.result.close()
}
