import { testDriver } from './driver-contract.ts'
import { RemoteConnection } from './given-remote-connection.ts'

const run = Math.random().toString(36).slice(2)
let places = 0

testDriver({
  name: 'SQLite WASM on OPFS',
  open: (place) => RemoteConnection.open(place),
  freshPlace: () => `${run}-${places++}`,
  spoil: spoilPool,
  growUntilKilled: (place) => RemoteConnection.growUntilKilled(place, 50),
})

/** Writes over the database's file in its pool; the pool keeps a header of 4,096 bytes before it. */
async function spoilPool(place: string): Promise<void> {
  const connection = await RemoteConnection.open(place)
  await connection.exec('CREATE TABLE t (n INTEGER)')
  await connection.close()
  const root = await navigator.storage.getDirectory()
  const holdfast = await root.getDirectoryHandle('.holdfast')
  const pool = await (await holdfast.getDirectoryHandle(place)).getDirectoryHandle('.opaque')
  for await (const handle of pool.values()) {
    if (handle.kind !== 'file') continue
    const file = await handle.getFile()
    if (file.size <= 4_096) continue
    const writable = await handle.createWritable({ keepExistingData: true })
    await writable.seek(4_096)
    await writable.write('no database, but long enough to be taken for one'.repeat(100))
    await writable.close()
  }
}
