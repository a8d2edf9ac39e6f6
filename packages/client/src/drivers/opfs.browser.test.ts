import { expect, test } from 'vitest'

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

test('[BR-16] a pool whose making was cut short gets the room it lacks', async () => {
  const place = `${run}-cut-short`
  // What a tab leaves that is killed as it opens its database for the first time.
  const pool = await poolOf(place)
  await pool.getFileHandle('the first of six', { create: true })
  const connection = await RemoteConnection.open(place)
  await connection.exec('PRAGMA journal_mode = wal; CREATE TABLE t (n INTEGER); VACUUM')
  expect(await connection.all('SELECT name FROM sqlite_schema')).toEqual([{ name: 't' }])
  await connection.close()
})

test('[BR-2] nothing is written behind a commit, whose lack of room would refuse what is in the log already', async () => {
  const connection = await RemoteConnection.open(`${run}-padding`)
  await connection.exec('PRAGMA journal_mode = wal; PRAGMA synchronous = full; CREATE TABLE t (n INTEGER)')
  await connection.exec('PRAGMA wal_checkpoint(truncate)')
  await connection.exec('INSERT INTO t VALUES (1)')
  expect(await connection.all('PRAGMA wal_checkpoint')).toMatchObject([{ log: 1 }])
  await connection.close()
})

test('[LO-9] a file of the pool whose header is damaged is refused, and left as it is', async () => {
  const place = `${run}-header`
  const connection = await RemoteConnection.open(place)
  await connection.exec('CREATE TABLE t (n INTEGER)')
  await connection.close()
  // Closed well, and opened again: nothing is wrong with it.
  await (await RemoteConnection.open(place)).close()
  const sizes = await writeInto(place, 300, new Uint8Array([1]))
  for (let n = 0; n < 2; n++)
    await expect(RemoteConnection.open(place)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  expect(await writeInto(place, 300, new Uint8Array([0]))).toEqual(sizes)
  const again = await RemoteConnection.open(place)
  expect(await again.all('SELECT name FROM sqlite_schema')).toEqual([{ name: 't' }])
  await again.close()
})

/** Where the files of a pool lie. */
async function poolOf(place: string): Promise<FileSystemDirectoryHandle> {
  let folder = await navigator.storage.getDirectory()
  for (const name of ['.holdfast', place, '.opaque'])
    folder = await folder.getDirectoryHandle(name, { create: true })
  return folder
}

/** Writes over the database's file in its pool; the pool keeps a header of 4,096 bytes before it. */
async function spoilPool(place: string): Promise<void> {
  const connection = await RemoteConnection.open(place)
  await connection.exec('CREATE TABLE t (n INTEGER)')
  await connection.close()
  const text = 'no database, but long enough to be taken for one'.repeat(100)
  await writeInto(place, 4_096, new TextEncoder().encode(text))
}

/** Writes over the same place of each file that holds something. Gives their sizes before. */
async function writeInto(place: string, position: number, bytes: BufferSource): Promise<readonly number[]> {
  const sizes: number[] = []
  for await (const handle of (await poolOf(place)).values()) {
    if (handle.kind !== 'file') continue
    const file = await handle.getFile()
    if (file.size <= 4_096) continue
    sizes.push(file.size)
    const writable = await handle.createWritable({ keepExistingData: true })
    await writable.seek(position)
    await writable.write(bytes)
    await writable.close()
  }
  return sizes
}
