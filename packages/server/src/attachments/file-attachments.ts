import { assert, isUuid } from '@holdfast/core'
import { createHash } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import {
  copyFile,
  mkdir,
  mkdtemp,
  open,
  opendir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'

import type { AttachmentKey } from '../engine.ts'
import type { AttachmentStore, UploadKey, StoredAttachment } from './attachment-store.ts'
import { isHash } from './attachment-key.ts'

const storedName = /^([0-9a-f-]{36})\.([0-9a-f]{64})(\.leaving)?$/

/**
 * Attachments as files of a folder, which is made when it is missing. Nodes may share it where their file system has
 * what POSIX says of rename, such as NFS. It is for whoever runs the server only: readable by nobody else. Rules: AT-9 to AT-16.
 *
 *     stored/<collection>/<record>.<hash>            checked bytes; beside it .unnamed, a time, or .leaving instead of it
 *     uploads/<collection>/<record>.<hash>.<user>    an upload; the user is the SHA-256 of his id
 *     finishing-*                                    a copy that is being checked, or what is being removed
 *
 * @example
 * createServer({ …, attachments: { store: fileAttachments('./attachments') } })
 */
export function fileAttachments(folder: string): AttachmentStore {
  const root = resolve(folder)
  const stored = (key: AttachmentKey): string => join(root, 'stored', folderOf(key), nameOf(key))
  const upload = (of: UploadKey): string =>
    join(root, 'uploads', folderOf(of), `${nameOf(of)}.${createHash('sha256').update(of.user).digest('hex')}`)
  return {
    size: (key) => sizeOf(stored(key)),
    read: async (key, range) => {
      const file = await ifThere(open(stored(key), 'r'))
      // The web stream of Node is the one of Fetch.
      return file && (Readable.toWeb(file.createReadStream(range)) as ReadableStream<Uint8Array>)
    },
    uploaded: (of) => safeSize(upload(of)),
    write: (of, offset, bytes) => writeAt(upload(of), offset, bytes),
    finish: async (of, size) => {
      const outcome = await finish({ from: upload(of), to: stored(of), root, hash: of.hash, size })
      // Another request may have finished it: then there is nothing left to check.
      return outcome ?? (await sizeOf(stored(of))) === size
    },
    list: () => listStored(join(root, 'stored')),
    mark: (key, since) => mark(stored(key), since),
    remove: (key, isNamed) => remove(stored(key), root, isNamed),
    forgetUploads: (before) => forgetUploads(root, Date.parse(before)),
  }
}

/** The name of a collection in a file system that may not tell capitals apart: its names have no hyphen. */
function folderOf({ collection }: AttachmentKey): string {
  assert(/^[A-Za-z]\w*$/.test(collection), 'a collection has a name')
  return collection.replaceAll(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)
}

function collectionIn(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function nameOf({ record, hash }: AttachmentKey): string {
  assert(isUuid(record) && isHash(hash), 'a key is made of a UUID and a SHA-256')
  return `${record}.${hash}`
}

async function sizeOf(path: string): Promise<number | null> {
  return (await ifThere(stat(path)))?.size ?? null
}

/** Synced before it is counted, also what a process that was killed left behind. */
async function safeSize(path: string): Promise<number> {
  const file = await ifThere(open(path, 'r+'))
  if (!file) return 0
  try {
    await file.datasync()
    return (await file.stat()).size
  } finally {
    await file.close()
  }
}

async function writeAt(path: string, offset: number, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  await makeFolder(dirname(path))
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    if (offset === 0) await syncFolder(dirname(path))
    // It may have been thrown away since its size was asked for: no file is to begin with a hole.
    if ((await file.stat()).size < offset) return
    let position = offset
    for await (const chunk of bytes) {
      for (let from = 0; from < chunk.byteLength; ) {
        const { bytesWritten } = await file.write(chunk, from, chunk.byteLength - from, position)
        from += bytesWritten
        position += bytesWritten
      }
    }
  } finally {
    await file.close()
  }
}

interface Finishing {
  readonly from: string
  readonly to: string
  readonly root: string
  readonly hash: string
  readonly size: number
}

/** Whether the bytes were right; null: there is no such upload. */
async function finish({ from, to, root, hash, size }: Finishing): Promise<boolean | null> {
  await makeFolder(dirname(to))
  // A request that was given up may still write to the upload. Nobody can write to the copy, so that it stays what was checked.
  const own = await mkdtemp(join(root, 'finishing-'))
  try {
    const copy = join(own, basename(to))
    if (!(await ifThere(copyFile(from, copy, constants.COPYFILE_FICLONE).then(() => true)))) {
      if (size > 0) return null
      await writeFile(copy, '', { mode: 0o600 })
    }
    const isRight = (await sizeOf(copy)) === size && (await hashOf(copy)) === hash
    if (isRight) {
      await safeSize(copy)
      await mark(to, null)
      await rename(copy, to)
      await syncFolder(dirname(to))
    }
    await rm(from, { force: true })
    return isRight
  } finally {
    await rm(own, { recursive: true, force: true })
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  // A large buffer: there is nothing to do between two pieces but the next one.
  for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function* listStored(folder: string): AsyncIterable<StoredAttachment> {
  for await (const { collection, path } of filesBelow(folder)) {
    const [, record, hash, leaving] = storedName.exec(basename(path)) ?? []
    if (record === undefined || hash === undefined || !isUuid(record)) continue
    const since = await ifThere(readFile(unnamed(leaving ? path.slice(0, -leaving.length) : path), 'utf8'))
    const marked = since && isTime(since) ? since : null
    // Out of sight without a mark: whoever brought it back died. It was put there when its name was changed.
    const left = leaving && marked === null ? (await ifThere(stat(path)))?.ctime.toISOString() : undefined
    yield { collection, record, hash, unnamedSince: left ?? marked }
  }
}

async function* filesBelow(
  folder: string,
): AsyncIterable<{ readonly collection: string; readonly path: string }> {
  const collections = await ifThere(opendir(folder))
  if (!collections) return
  for await (const entry of collections) {
    const { name } = entry
    if (!entry.isDirectory()) continue
    for await (const file of await opendir(join(folder, name)))
      yield { collection: collectionIn(name), path: join(folder, name, file.name) }
  }
}

/** A time that was cut by a crash is none. */
function isTime(text: string): boolean {
  return !Number.isNaN(Date.parse(text)) && text.endsWith('Z')
}

const unnamed = (path: string): string => `${path}.unnamed`
const leaving = (path: string): string => `${path}.leaving`

async function mark(path: string, since: string | null): Promise<void> {
  if (since !== null) return writeFile(unnamed(path), since, { mode: 0o600 })
  await rm(unnamed(path), { force: true })
  await ifThere(rename(leaving(path), path))
}

async function remove(path: string, root: string, isNamed: () => Promise<boolean>): Promise<boolean> {
  await ifThere(rename(path, leaving(path)))
  if (await isNamed()) {
    await mark(path, null)
    return false
  }
  // This may have stood still since, and what is out of sight may have come after that answer: another sweep put it there.
  // On a full disk there is no room to ask again, and room is what is wanted.
  const own = await mkdtemp(join(root, 'finishing-')).catch(() => null)
  const last = own === null ? leaving(path) : join(own, basename(path))
  try {
    const isThere = own !== null && (await ifThere(rename(leaving(path), last).then(() => true)))
    if (isThere && (await isNamed())) {
      await rename(last, path)
      await mark(path, null)
      return false
    }
    await rm(last, { force: true })
    await rm(unnamed(path), { force: true })
    return true
  } catch (error) {
    await ifThere(rename(last, leaving(path)))
    throw error
  } finally {
    // Empty, unless what was out of sight could not be put back.
    if (own !== null) await rmdir(own).catch(() => undefined)
  }
}

async function forgetUploads(root: string, beforeMs: number): Promise<number> {
  let count = 0
  const isOld = async (path: string): Promise<boolean> => {
    const mtimeMs = (await ifThere(stat(path)))?.mtimeMs
    return mtimeMs !== undefined && mtimeMs < beforeMs
  }
  for await (const { path } of filesBelow(join(root, 'uploads'))) {
    if (!(await isOld(path))) continue
    await rm(path, { force: true })
    count++
  }
  for await (const { name } of (await ifThere(opendir(root))) ?? []) {
    if (name.startsWith('finishing-') && (await isOld(join(root, name))))
      await rm(join(root, name), { recursive: true, force: true })
  }
  return count
}

/** Makes a folder of a collection, and has it outlive a power cut. */
async function makeFolder(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 })
  if (made === undefined) return
  for (let above = dirname(path); above.length >= dirname(made).length; above = dirname(above))
    await syncFolder(above)
}

/** What was made or renamed in a folder is not sure to be there after a power cut before this. */
async function syncFolder(path: string): Promise<void> {
  // Windows does not open folders, and writes such changes by itself.
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** What came of it; null when the file is not there. */
async function ifThere<Result>(work: Promise<Result>): Promise<Result | null> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}
