import { type AttachmentValue, SyncError } from '@holdfast/core'

import { failureOf } from '../sync/retry-policy.ts'
import type { AttachmentsApi } from './attachments-api.ts'
import { enterBytes, hashOfStored, partsOf, readBytes, storeParts } from './attachment-store.ts'
import { boundCache } from './spare-bytes.ts'
import { pathOf, type TransferContext } from './transfer-context.ts'
import type { UploadKey } from './upload-queue.ts'

/** What to fetch. */
export interface Wanted extends UploadKey {
  readonly size: number
}

interface Fetching {
  /** For whom: somebody else's may fail where this one does not. */
  readonly by: string
  readonly done: Promise<void>
}

/** When bytes were used is noted this exactly, ms: reading a photo shall not write each time. */
const usedMs = 3_600_000

/** What was fetched can be fetched again. */
const undoable = { durable: false }

/**
 * Gives the bytes of attachments, from the device or from the server. What arrives is kept piece by piece, so that the next
 * attempt goes on, and can be read once the whole is what its hash says. Rules: AT-34 to AT-37.
 */
export class Downloads {
  readonly #context: TransferContext
  readonly #fetching = new Map<string, Fetching>()
  readonly #closing = new AbortController()
  /** Bytes of one request: halved when it gets no answer, doubled when it does. */
  #pieceBytes: number

  constructor(context: TransferContext) {
    this.#context = context
    this.#pieceBytes = context.limits.downloadPieceBytes
  }

  /** Hashes that are being fetched. */
  get hashes(): readonly string[] {
    return [...this.#fetching.keys()]
  }

  /** As `AttachmentsApi.read`. */
  async read(
    { collection, record }: Parameters<AttachmentsApi['read']>[0],
    { hash, size }: AttachmentValue,
  ): Promise<Uint8Array> {
    for (;;) {
      const bytes = await this.#readLocal(hash)
      if (bytes !== undefined) return bytes
      const wanted = { collection, record, hash, size }
      const by = pathOf(wanted)
      const current = this.#fetching.get(hash)
      if (current === undefined) await this.#begin(wanted, by, this.#closing.signal)
      else if (current.by === by) await current.done
      // Whatever came of it, the next look finds the bytes or asks for this record.
      else await current.done.catch(() => undefined)
    }
  }

  /** Fetches bytes that nobody waits for. Nothing happens while somebody else fetches them. Errors: as `read`. */
  async fetchAhead(wanted: Wanted, signal: AbortSignal): Promise<void> {
    if (!this.#fetching.has(wanted.hash)) await this.#begin(wanted, '', signal)
  }

  /** Calls off what is under way, and waits for it. */
  async close(): Promise<void> {
    this.#closing.abort(new SyncError('CLIENT_CLOSED', 'the client was closed'))
    await Promise.allSettled([...this.#fetching.values()].map(({ done }) => done))
  }

  #begin(wanted: Wanted, by: string, signal: AbortSignal): Promise<void> {
    const done = this.#fetch(wanted, signal).finally(() => this.#fetching.delete(wanted.hash))
    this.#fetching.set(wanted.hash, { by, done })
    return done
  }

  async #readLocal(hash: string): Promise<Uint8Array | undefined> {
    const { database, env } = this.#context
    const bytes = await database.read((tx) => readBytes(tx, hash))
    const nowMs = env.now()
    const [stale] = await database.all('SELECT 1 FROM _attachments WHERE hash = ? AND used_at < ?', [
      hash,
      nowMs - usedMs,
    ])
    if (stale !== undefined)
      await database.write(
        (tx) => tx.run('UPDATE _attachments SET used_at = ? WHERE hash = ?', [nowMs, hash]),
        undoable,
      )
    return bytes
  }

  async #fetch(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { hash, size } = wanted
    for (let at = await this.#haveBytes(wanted); at < size; at = await this.#haveBytes(wanted))
      await this.#fetchPiece(wanted, at, signal)
    const { database, env, limits, options } = this.#context
    const { cacheBytes = limits.attachmentCacheBytes } = options
    const isRight = await database.write(async (tx) => {
      if ((await hashOfStored(tx, wanted)) !== hash) {
        await tx.run('DELETE FROM _attachment_parts WHERE hash = ?', [hash])
        return false
      }
      await enterBytes(tx, { hash, size, nowMs: env.now(), isOnServer: true })
      await boundCache(tx, { cacheBytes, exceptHash: hash })
      return true
    }, undoable)
    if (!isRight) throw new SyncError('ATTACHMENT_MISMATCH', 'what came is something else')
  }

  /** Bytes that an earlier attempt has left, from the beginning on. */
  async #haveBytes({ hash, size }: Wanted): Promise<number> {
    const { attachmentPartBytes } = this.#context.limits
    const rows = await this.#context.database.all(
      'SELECT n, length(bytes) AS bytes FROM _attachment_parts WHERE hash = ? ORDER BY n',
      [hash],
    )
    let at = 0
    for (const [index, { n, bytes }] of rows.entries()) {
      if (n !== index || bytes !== Math.min(attachmentPartBytes, size - at)) break
      at += bytes
    }
    return at
  }

  async #fetchPiece(wanted: Wanted, from: number, signal: AbortSignal): Promise<void> {
    const { database, limits } = this.#context
    const to = Math.min(wanted.size, from + this.#pieceBytes)
    const bytes = await this.#ask(wanted, { from, to }, signal)
    const parts = partsOf(bytes)
    const firstPart = from / limits.attachmentPartBytes
    await database.write((tx) => storeParts(tx, { hash: wanted.hash, parts, firstPart }), undoable)
  }

  async #ask(
    wanted: Wanted,
    { from, to }: { readonly from: number; readonly to: number },
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { ask, limits } = this.#context
    const isWhole = from === 0 && to === wanted.size
    const headers: Record<string, string> = isWhole ? {} : { Range: `bytes=${from}-${to - 1}` }
    try {
      const answer = await ask({ method: 'GET', path: pathOf(wanted), headers, signal })
      this.#pieceBytes = Math.min(limits.downloadPieceBytes, this.#pieceBytes * 2)
      const range = answer.headers.get('Content-Range') ?? ''
      const isAsked = isWhole
        ? answer.status === 200
        : answer.status === 206 && range.startsWith(`bytes ${from}-${to - 1}/`)
      if (isAsked && answer.bytes.byteLength === to - from) return answer.bytes
      const got = `${answer.status}, ${answer.bytes.byteLength} bytes, ${range}`
      throw new SyncError('RESPONSE_INVALID', `bytes ${from} to ${to} were asked for; the answer was ${got}`)
    } catch (error) {
      const { kind, code } = failureOf(error)
      if (kind === 'offline' || code === 'TIMEOUT')
        this.#pieceBytes = Math.max(limits.attachmentPartBytes, this.#pieceBytes / 2)
      throw error
    }
  }
}
