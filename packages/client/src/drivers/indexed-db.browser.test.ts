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

/** Writes over the first blocks of the file. */
async function spoilDatabase(place: string): Promise<void> {
  const connection = await RemoteConnection.open(`indexed-db:${place}`)
  await connection.exec('CREATE TABLE t (n INTEGER)')
  await connection.close()
  const opening = indexedDB.open(`holdfast-files:${place}`)
  await new Promise((resolve) => (opening.onsuccess = resolve))
  const transaction = opening.result.transaction('blocks', 'readwrite')
  const text = 'no database, but long enough to be taken for one'.repeat(100).slice(0, 4_096)
  transaction.objectStore('blocks').put(new TextEncoder().encode(text), 0)
  await new Promise((resolve) => (transaction.oncomplete = resolve))
  opening.result.close()
}
