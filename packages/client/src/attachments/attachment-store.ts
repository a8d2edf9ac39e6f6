import { limits } from '@holdfast/core'
import { sha256 } from '@noble/hashes/sha2.js'

import type { LocalReader, LocalTransaction } from '../local/local-database.ts'

/** Bytes cut into the rows they are stored in, and what they are. */
export interface CutBytes {
  /** SHA-256, 64 hex digits. */
  readonly hash: string
  readonly size: number
  readonly parts: readonly Uint8Array[]
}

/** Cuts a copy of the bytes, so that nobody can change what the hash was taken of. */
export function cutBytes(bytes: Uint8Array): CutBytes {
  const parts = partsOf(bytes)
  // Not the platform's: its answers come whenever they like, and only for all bytes at once.
  const digest = sha256.create()
  for (const part of parts) digest.update(part)
  return { hash: hexOf(digest.digest()), size: bytes.byteLength, parts }
}

/** A copy of the bytes as they are stored. */
export function partsOf(bytes: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.byteLength; at += limits.attachmentPartBytes)
    parts.push(bytes.slice(at, at + limits.attachmentPartBytes))
  return parts
}

function hexOf(digest: Uint8Array): string {
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Stores bytes whose hash is known to be right. Doing it again is harmless. Rules: AT-20. */
export async function storeBytes(
  tx: LocalTransaction,
  { hash, size, parts }: CutBytes,
  nowMs: number,
): Promise<void> {
  if (!(await hasBytes(tx, hash))) await storeParts(tx, { hash, parts, firstPart: 0 })
  await enterBytes(tx, { hash, size, nowMs, isOnServer: false })
}

/** Parts that nobody can read yet. */
export async function storeParts(
  tx: LocalTransaction,
  {
    hash,
    parts,
    firstPart,
  }: { readonly hash: string; readonly parts: readonly Uint8Array[]; readonly firstPart: number },
): Promise<void> {
  for (const [index, bytes] of parts.entries())
    await tx.run('INSERT OR REPLACE INTO _attachment_parts VALUES (?, ?, ?)', [
      hash,
      firstPart + index,
      bytes,
    ])
}

/** Whoever asks for the hash gets the parts from now on. */
export async function enterBytes(
  tx: LocalTransaction,
  entered: {
    readonly hash: string
    readonly size: number
    readonly nowMs: number
    readonly isOnServer: boolean
  },
): Promise<void> {
  const { hash, size, nowMs, isOnServer } = entered
  await tx.run(
    `INSERT INTO _attachments VALUES (?1, ?2, ?3, ?3, ?4, 0) ON CONFLICT DO UPDATE
     SET stored_at = ?3, used_at = ?3, on_server = max(on_server, ?4), spare = 0`,
    [hash, size, nowMs, isOnServer],
  )
}

/** Whether the bytes are on this device. */
export async function hasBytes(tx: LocalReader, hash: string): Promise<boolean> {
  const [row] = await tx.all('SELECT 1 FROM _attachments WHERE hash = ?', [hash])
  return row !== undefined
}

/** What the stored parts of a hash are, whether or not anybody may read them: the first `size` bytes. */
export async function hashOfStored(
  tx: LocalReader,
  { hash, size }: { readonly hash: string; readonly size: number },
): Promise<string> {
  const { attachmentPartBytes } = limits
  const digest = sha256.create()
  for (let from = 0; from < size; from += attachmentPartBytes) {
    const part = await readSlice(tx, hash, { from, to: Math.min(size, from + attachmentPartBytes) })
    if (part === undefined) return ''
    digest.update(part)
  }
  return hexOf(digest.digest())
}

/** All bytes of a hash; undefined when they are not on this device. */
export async function readBytes(tx: LocalReader, hash: string): Promise<Uint8Array | undefined> {
  const [row] = await tx.all('SELECT size FROM _attachments WHERE hash = ?', [hash])
  if (row === undefined) return undefined
  const size = Number(row['size'])
  return readSlice(tx, hash, { from: 0, to: size })
}

/** The bytes from one place up to another; undefined when they are not all there. */
export async function readSlice(
  tx: LocalReader,
  hash: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<Uint8Array | undefined> {
  const slice = new Uint8Array(to - from)
  const { attachmentPartBytes } = limits
  let at = from
  while (at < to) {
    const n = Math.floor(at / attachmentPartBytes)
    const [row] = await tx.all('SELECT bytes FROM _attachment_parts WHERE hash = ? AND n = ?', [hash, n])
    const part = row?.['bytes']
    if (typeof part !== 'object' || part === null) return undefined
    const wanted = part.subarray(at - n * attachmentPartBytes, to - n * attachmentPartBytes)
    if (wanted.byteLength === 0) return undefined
    slice.set(wanted, at - from)
    at += wanted.byteLength
  }
  return slice
}
