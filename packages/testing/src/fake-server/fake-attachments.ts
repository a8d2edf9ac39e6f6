import { createHash } from 'node:crypto'

import { isObject, limits, statusOfCode, SyncError } from '@holdfast/core'
import type { FakeRecord, FakeStore } from './fake-store.ts'

/** Who asks. */
export interface AttachmentCall {
  readonly store: FakeStore
  readonly user: string
  readonly scopes: ReadonlySet<string>
}

interface Key {
  readonly collection: string
  readonly record: string
  readonly hash: string
}

const tus = { 'Tus-Resumable': '1.0.0' }

/** The attachments of a fake server, in memory: uploads as in tus 1.0.0, kept apart by uploader, and what came of them. */
export class FakeAttachments {
  /** Bytes that were checked, by `collection/record/hash`. */
  readonly stored: Map<string, Uint8Array> = new Map()
  /** By the same and the uploader. */
  readonly #parts = new Map<string, Uint8Array>()

  /** Everything is gone. */
  clear(): void {
    this.stored.clear()
    this.#parts.clear()
  }

  /** Answers a request below `/attachments`. */
  async answer(call: AttachmentCall, request: Request): Promise<Response> {
    const [, collection = '', record = '', hash = '', last] = partsOf(request)
    const key = { collection, record, hash }
    if (request.method === 'GET' && last === undefined) return this.#give(call, key, request)
    try {
      if (request.headers.get('Tus-Resumable') !== '1.0.0')
        throw new SyncError('REQUEST_INVALID', 'tus 1.0.0 is spoken here')
      if (request.method === 'POST' && collection === '') return this.#create(call, request)
      if (request.method === 'PATCH' && last === 'upload') return await this.#append(call, key, request)
      if (last === 'upload') return this.#tell(call, key)
      throw new SyncError('METHOD_NOT_ALLOWED', 'no such upload')
    } catch (error) {
      if (!(error instanceof SyncError)) throw error
      const isSpoken = request.headers.get('Tus-Resumable') === '1.0.0'
      const said = isSpoken ? tus : { ...tus, 'Tus-Version': '1.0.0' }
      return refusal(error, isSpoken ? undefined : 412, said)
    }
  }

  #create(call: AttachmentCall, request: Request): Response {
    const metadata = new Map(
      (request.headers.get('Upload-Metadata') ?? '').split(',').map((pair) => {
        const [name = '', value = ''] = pair.split(' ')
        return [name, Buffer.from(value, 'base64').toString()]
      }),
    )
    const [collection, record, hash] = ['collection', 'record', 'hash'].map(
      (name) => metadata.get(name) ?? '',
    )
    const length = Number(request.headers.get('Upload-Length') ?? Number.NaN)
    if (!collection || !record || !hash || !Number.isSafeInteger(length))
      throw new SyncError('REQUEST_INVALID', 'an upload says what it is')
    if (length > limits.attachmentBytes) throw new SyncError('REQUEST_TOO_LARGE', 'too large')
    const key = { collection, record, hash }
    if (sizeOf(call, key) !== length) throw missing()
    const own = ownName(call, key)
    if (!this.#parts.has(own)) this.#parts.set(own, new Uint8Array(0))
    if (length === 0) this.#finish(key, own)
    const path = `${new URL(request.url).pathname}/${nameOf(key)}/upload`
    const headers = { ...tus, Location: path, 'Upload-Offset': String(this.#offset(call, key)) }
    return new Response(null, { status: 201, headers })
  }

  #tell(call: AttachmentCall, key: Key): Response {
    const size = sizeOf(call, key)
    const headers = {
      ...tus,
      'Upload-Offset': String(this.#offset(call, key)),
      'Upload-Length': String(size),
    }
    return new Response(null, { headers: { ...headers, 'Cache-Control': 'no-store' } })
  }

  async #append(call: AttachmentCall, key: Key, request: Request): Promise<Response> {
    const size = sizeOf(call, key)
    const offset = this.#offset(call, key)
    if (request.headers.get('Content-Type') !== 'application/offset+octet-stream')
      throw new SyncError('REQUEST_INVALID', 'bytes of another type')
    if (Number(request.headers.get('Upload-Offset') ?? Number.NaN) !== offset) throw new OffsetError(offset)
    const own = ownName(call, key)
    const before = this.#parts.get(own) ?? new Uint8Array(0)
    const { bytes, isCut } = await readAll(request)
    if (offset + bytes.byteLength > size) throw new SyncError('REQUEST_TOO_LARGE', 'more than was said')
    const all = Buffer.concat([before, bytes])
    this.#parts.set(own, all)
    if (all.byteLength === size) this.#finish(key, own)
    if (isCut) throw new TypeError('terminated')
    return new Response(null, { status: 204, headers: { ...tus, 'Upload-Offset': String(all.byteLength) } })
  }

  #finish(key: Key, own: string): void {
    const bytes = this.#parts.get(own) ?? new Uint8Array(0)
    this.#parts.delete(own)
    if (createHash('sha256').update(bytes).digest('hex') !== key.hash)
      throw new SyncError('ATTACHMENT_MISMATCH', 'these are other bytes')
    this.stored.set(nameOf(key), bytes)
  }

  #give(call: AttachmentCall, key: Key, request: Request): Response {
    const bytes = this.stored.get(nameOf(key))
    if (!isSeen(call, recordOf(call, key)) || bytes === undefined) return refusal(missing())
    const headers = {
      'Content-Type': 'application/octet-stream',
      'Content-Disposition': 'attachment',
      ETag: `"${key.hash}"`,
      'Accept-Ranges': 'bytes',
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get('Range') ?? '')
    if (range === null) return new Response(bytes.slice(), { headers })
    const from = Number(range[1])
    const to = Math.min(bytes.byteLength, range[2] ? Number(range[2]) + 1 : bytes.byteLength)
    if (from >= bytes.byteLength || to <= from) return new Response(null, { status: 416 })
    const said = { ...headers, 'Content-Range': `bytes ${from}-${to - 1}/${bytes.byteLength}` }
    return new Response(bytes.slice(from, to), { status: 206, headers: said })
  }

  /** Bytes that are safe. Errors: ATTACHMENT_MISSING. */
  #offset(call: AttachmentCall, key: Key): number {
    const size = sizeOf(call, key)
    if (this.stored.has(nameOf(key))) return size
    const parts = this.#parts.get(ownName(call, key))
    if (parts === undefined) throw missing()
    return parts.byteLength
  }
}

class OffsetError extends SyncError {
  readonly offset: number

  constructor(offset: number) {
    super('UPLOAD_OFFSET', `the upload is at ${offset}`)
    this.offset = offset
  }
}

function refusal(
  error: SyncError,
  status: number = statusOfCode(error.code),
  said: Readonly<Record<string, string>> = {},
): Response {
  const { code, message, retry } = error
  const headers = error instanceof OffsetError ? { ...said, 'Upload-Offset': String(error.offset) } : said
  return Response.json({ error: { code, message, retry } }, { status, headers })
}

function missing(): SyncError {
  return new SyncError('ATTACHMENT_MISSING', 'there is no such attachment')
}

/** The path behind the base path. */
function partsOf(request: Request): readonly string[] {
  const { pathname } = new URL(request.url)
  return pathname
    .slice(pathname.indexOf('/attachments') + 1)
    .split('/')
    .map(decodeURIComponent)
}

function nameOf({ collection, record, hash }: Key): string {
  return `${collection}/${record}/${hash}`
}

function ownName({ user }: AttachmentCall, key: Key): string {
  return `${user}:${nameOf(key)}`
}

function recordOf({ store }: AttachmentCall, { collection, record }: Key): FakeRecord | undefined {
  return store.find(collection, record)
}

function isSeen({ scopes }: AttachmentCall, record: FakeRecord | undefined): record is FakeRecord {
  return record?.snapshot.kind === 'live' && record.scopes.some((scope) => scopes.has(scope))
}

/** The size that the record says of the hash, or an open conflict about it. Errors: ATTACHMENT_MISSING. */
function sizeOf(call: AttachmentCall, key: Key): number {
  const record = recordOf(call, key)
  const fields =
    call.store.collection(key.collection)?.fields.filter(({ kind }) => kind === 'attachment') ?? []
  if (!isSeen(call, record) || record.snapshot.kind !== 'live') throw missing()
  const values: unknown[] = fields.map(
    ({ name }) => record.snapshot.kind === 'live' && record.snapshot.values[name],
  )
  for (const { collection, snapshot } of call.store.records.values()) {
    if (collection !== '_conflicts' || snapshot.kind !== 'live' || snapshot.values['status'] !== 'open')
      continue
    JSON.stringify(snapshot.values['parts'], (_, value: unknown) => {
      values.push(value)
      return value
    })
  }
  const named = values.find((value) => isObject(value) && value['hash'] === key.hash)
  if (!isObject(named) || typeof named['size'] !== 'number') throw missing()
  return named['size']
}

/** What arrives of a body, and whether it ends too early. */
async function readAll({ body }: Request): Promise<{ readonly bytes: Uint8Array; readonly isCut: boolean }> {
  const chunks: Uint8Array[] = []
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = body?.getReader()
  try {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true }
      if (done || value === undefined) return { bytes: Buffer.concat(chunks), isCut: false }
      chunks.push(value)
    }
  } catch {
    return { bytes: Buffer.concat(chunks), isCut: true }
  }
}
