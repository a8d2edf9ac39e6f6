import { SyncError } from '@holdfast/core'

/** Where the content of a pool's file begins; before it stand a name of 512 bytes, four of flags, and a digest of both. */
const contentAt = 4_096
const digestAt = 516

/** Flag of files whose digest says something. */
const isDigested = 0x80

/**
 * Refuses a pool in which the header of a file that holds something is damaged: the pool itself would empty that file.
 * Errors: STORE_CORRUPT, and those of the file system. Rules: LO-9. Source: sqlite3-vfs-opfs-sahpool of SQLite.
 */
export async function refuseDamagedHeaders(folder: readonly string[]): Promise<void> {
  for (const file of await filesIn(folder)) {
    if (file.size <= contentAt) continue
    const header = new DataView(await file.slice(0, digestAt + 8).arrayBuffer())
    // A file without a name is about to be emptied.
    if (header.getUint8(0) !== 0 && !isWhole(header))
      throw new SyncError('STORE_CORRUPT', 'OPFS: the header of a file is damaged')
  }
}

/** None where the folder is not there. */
async function filesIn(folder: readonly string[]): Promise<readonly File[]> {
  const files: File[] = []
  try {
    let at = await navigator.storage.getDirectory()
    for (const name of folder) at = await at.getDirectoryHandle(name)
    for await (const handle of at.values()) if (handle.kind === 'file') files.push(await handle.getFile())
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== 'NotFoundError') throw error
  }
  return files
}

function isWhole(header: DataView): boolean {
  let [first, second] = [0xdeadbeef, 0x41c6ce57]
  for (let at = 0; at < digestAt; at++) {
    first = Math.imul(first ^ header.getUint8(at), 2_654_435_761)
    second = Math.imul(second ^ header.getUint8(at), 104_729)
  }
  const digest = (header.getUint32(digestAt - 4) & isDigested) === 0 ? [0, 0] : [first >>> 0, second >>> 0]
  return digest[0] === header.getUint32(digestAt, true) && digest[1] === header.getUint32(digestAt + 4, true)
}
