import { SyncError } from '@holdfast/core'

import { failureOf, offlineDelayMs, retryDelayMs } from '../sync/retry-policy.ts'
import type { BytesAnswer } from '../transport/transport.ts'
import { hashOfStored, readSlice } from './attachment-store.ts'
import type { AttachmentUpload } from './attachment-upload.ts'
import { boundCache, releaseEscrowed } from './spare-bytes.ts'
import { pathOf, type TransferContext } from './transfer-context.ts'
import { changeUpload, endUpload, type UploadKey } from './upload-queue.ts'

const tus = { 'Tus-Resumable': '1.0.0' }

/** A power cut that undoes it leaves an upload that the server then says it has. */
const undoable = { durable: false }

/** When an upload goes on. */
export interface UploadTurn {
  readonly signal: AbortSignal
  /** Asked between two requests: records go first. */
  readonly isMine: () => boolean
}

/**
 * Sends uploads, one at a time, each from where the server says it is. Stopped anywhere, it is simply begun again.
 * Source: tus 1.0.0, https://tus.io/protocols/resumable-upload. Rules: AT-25, AT-28 to AT-32.
 */
export class UploadSender {
  readonly #context: TransferContext
  /** Bytes of one request: halved when it gets no answer, doubled when it does. */
  #pieceBytes: number

  constructor(context: TransferContext) {
    this.#context = context
    this.#pieceBytes = context.limits.uploadPieceBytes
  }

  /** Sends one until it is over, fails, or its turn is. Returns what it failed with. Errors: STORE_… */
  async send(upload: AttachmentUpload, turn: UploadTurn): Promise<unknown> {
    const { database } = this.#context
    await database.write((tx) => changeUpload(tx, upload, { status: 'sending' }), undoable)
    try {
      const isOver = await this.#sendAll(upload, turn)
      if (!isOver) await this.#putBack(upload)
      return undefined
    } catch (error) {
      if (turn.signal.aborted) await this.#putBack(upload)
      else await this.#fail(upload, error)
      return turn.signal.aborted ? undefined : error
    }
  }

  async #sendAll(upload: AttachmentUpload, turn: UploadTurn): Promise<boolean> {
    const { database, limits, schema } = this.#context
    let sent = await this.#announce(upload, turn.signal)
    await this.#note(upload, sent, sent > upload.sent)
    while (sent < upload.size) {
      if (!turn.isMine()) return false
      const to = Math.min(upload.size, sent + this.#pieceBytes)
      const bytes = await database.read((tx) => readSlice(tx, upload.hash, { from: sent, to }))
      if (bytes === undefined) throw damaged()
      sent = await this.#sendPiece(upload, { from: sent, bytes }, turn.signal)
      this.#pieceBytes = Math.min(limits.uploadPieceBytes, this.#pieceBytes * 2)
      if (sent < upload.size) await this.#note(upload, sent, true)
    }
    const { cacheBytes = limits.attachmentCacheBytes } = this.#context.options
    await database.write(async (tx) => {
      await endUpload(tx, upload)
      await releaseEscrowed(tx, schema, upload)
      await boundCache(tx, { cacheBytes, exceptHash: '' })
    }, undoable)
    return true
  }

  /** Says what is to come, and learns how much of it is safe already. */
  async #announce(upload: AttachmentUpload, signal: AbortSignal): Promise<number> {
    const { collection, record, hash, size } = upload
    const metadata = Object.entries({ collection, record, hash }).map(
      ([name, value]) => `${name} ${base64(value)}`,
    )
    const headers = { ...tus, 'Upload-Length': String(size), 'Upload-Metadata': metadata.join(',') }
    const answer = await this.#context.ask({ method: 'POST', path: '/attachments', headers, signal })
    return offsetOf(answer, { from: 0, to: size })
  }

  async #sendPiece(
    upload: AttachmentUpload,
    { from, bytes }: { readonly from: number; readonly bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<number> {
    const answer = await this.#context.ask({
      method: 'PATCH',
      path: `${pathOf(upload)}/upload`,
      headers: {
        ...tus,
        'Content-Type': 'application/offset+octet-stream',
        'Upload-Offset': String(from),
      },
      body: bytes,
      signal,
    })
    // More than was sent where another request of this upload went on meanwhile.
    return offsetOf(answer, { from: from + 1, to: upload.size })
  }

  /** Whatever got ahead has no failures behind it. */
  #note(upload: UploadKey, sent: number, isAhead: boolean): Promise<void> {
    const change = isAhead ? { sent, attempts: 0, code: null, dueMs: null } : { sent }
    return this.#context.database.write((tx) => changeUpload(tx, upload, change), undoable)
  }

  #putBack(upload: UploadKey): Promise<void> {
    return this.#context.database.write((tx) => changeUpload(tx, upload, { status: 'waiting' }), undoable)
  }

  async #fail(upload: AttachmentUpload, error: unknown): Promise<void> {
    const { database, env, limits, log, schema } = this.#context
    const failure = failureOf(error)
    if (failure.kind === 'offline' || failure.code === 'TIMEOUT')
      this.#pieceBytes = Math.max(limits.uploadPieceLeastBytes, this.#pieceBytes / 2)
    const { collection, record, hash } = upload
    log('warn', 'upload-failed', { collection, record, code: failure.code })
    if (failure.code === 'ATTACHMENT_MISMATCH' && (await this.#dropDamaged(upload))) return
    await database.write(async (tx) => {
      // Refused, or forgotten: of what it has in escrow the server knows at once.
      if (failure.code === 'ATTACHMENT_MISSING') await releaseEscrowed(tx, schema, upload)
      const [row] = await tx.all(
        'SELECT attempts FROM _uploads WHERE collection = ? AND record = ? AND hash = ?',
        [collection, record, hash],
      )
      const attempts = Number(row?.['attempts'] ?? 0) + 1
      const { code } = failure
      const retryAfterMs = 'retryAfterMs' in failure ? failure.retryAfterMs : undefined
      const rolled = { failures: attempts, roll: env.random(), retryAfterMs }
      // A server without attachments may get them one day.
      const isFar = code === 'NOT_FOUND'
      const far = { ...limits, probeIntervalMs: limits.retryCapMs }
      const delayMs = isFar ? offlineDelayMs(30, rolled.roll, far) : retryDelayMs(rolled, limits)
      await changeUpload(tx, upload, { status: 'waiting', attempts, code, dueMs: env.now() + delayMs })
    }, undoable)
  }

  /** Whether the bytes on this device are not what their hash says: then they go, and the upload stays for somebody to see. */
  #dropDamaged(upload: AttachmentUpload): Promise<boolean> {
    const { hash, attempts } = upload
    return this.#context.database.write(async (tx) => {
      if ((await hashOfStored(tx, upload)) === hash) return false
      await tx.run('DELETE FROM _attachments WHERE hash = ?', [hash])
      const code = 'ATTACHMENT_MISMATCH'
      await changeUpload(tx, upload, {
        status: 'waiting',
        sent: 0,
        attempts: attempts + 1,
        code,
        dueMs: null,
      })
      return true
    })
  }
}

function damaged(): SyncError {
  return new SyncError('ATTACHMENT_MISMATCH', 'the bytes on this device are not all there')
}

/** What the server says it has. Errors: RESPONSE_INVALID when that is not between the two, or somebody else answered. */
function offsetOf(
  { headers }: BytesAnswer,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  const text = headers.get('Upload-Offset') ?? ''
  const offset = Number(text)
  if (headers.get('Tus-Resumable') === '1.0.0' && /^\d+$/.test(text) && offset >= from && offset <= to)
    return offset
  throw new SyncError('RESPONSE_INVALID', `an upload is at "${text}", not between ${from} and ${to}`)
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
}
