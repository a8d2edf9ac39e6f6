import { SyncError } from '@holdfast/core'

import type { Caller, User } from '../engine.ts'
import type { Answer } from '../http/answer.ts'
import { errorAnswer } from '../http/error-answer.ts'
import type { HttpServices, Route, UserCall } from '../http/http-call.ts'
import { within } from '../http/within.ts'
import { turnedAway } from '../queue/user-shares.ts'
import { attachmentMissing, parseAttachmentKey } from './attachment-key.ts'
import type { AttachmentParts } from './attachment-options.ts'
import type { AttachmentStore, UploadKey } from './attachment-store.ts'

const version = '1.0.0'
const pattern = '/attachments/{collection}/{record}/{hash}/upload'

/**
 * The server side of tus 1.0.0, core and creation (https://tus.io/protocols/resumable-upload). Nothing is kept of an upload
 * but its bytes: each request asks the record anew whether they are wanted. Rules: AT-1 to AT-10.
 */
export function uploadRoutes<U extends User>(parts: AttachmentParts<U>): readonly Route<U>[] {
  const route = (
    method: Route['method'],
    address: string,
    handle: (parts: AttachmentParts<U>, call: UserCall<U>) => Promise<Answer>,
  ): Route<U> => ({
    method,
    pattern: address,
    access: 'user',
    isStreamed: true,
    admitted: method === 'PATCH' ? 'upload' : 'pull',
    headers: { 'tus-resumable': version },
    handle: async (call) => {
      if (call.request.headers.get('tus-resumable') === version) return handle(parts, call)
      const error = new SyncError('REQUEST_INVALID', `Tus-Resumable is ${version}.`)
      return refuse(call, error, { status: 412, headers: { 'tus-version': version } })
    },
  })
  return [
    route('POST', '/attachments', createUpload),
    route('GET', pattern, readUpload),
    route('PATCH', pattern, appendUpload),
  ]
}

/** Says where to send the bytes, and how many are there already. Begins nothing, so repeating is harmless. */
async function createUpload<U extends User>(parts: AttachmentParts<U>, call: UserCall<U>): Promise<Answer> {
  const length = parseCount(call, 'upload-length')
  const metadata = parseMetadata(call.request.headers.get('upload-metadata') ?? '')
  checkLength(parts, length)
  const wanted = await wantedUpload(parts, call.caller, metadata)
  if (wanted.size !== length) throw attachmentMissing()
  const { collection, record, hash } = wanted.upload
  const location = `${parts.basePath}/attachments/${collection}/${record}/${hash}/upload`
  return { status: 201, body: null, headers: { location, ...(await whereItIs(parts, wanted)) } }
}

async function readUpload<U extends User>(parts: AttachmentParts<U>, call: UserCall<U>): Promise<Answer> {
  const wanted = await wantedUpload(parts, call.caller, call.params)
  const headers = { 'upload-length': String(wanted.size), ...(await whereItIs(parts, wanted)) }
  return { status: 200, body: null, headers }
}

async function appendUpload<U extends User>(parts: AttachmentParts<U>, call: UserCall<U>): Promise<Answer> {
  const { services, attachments } = parts
  const { store } = attachments
  const { headers } = call.request
  const offset = parseCount(call, 'upload-offset')
  if (headers.get('content-type') !== 'application/offset+octet-stream') {
    const error = new SyncError('REQUEST_INVALID', 'Content-Type is application/offset+octet-stream.')
    return refuse(call, error, { status: 415 })
  }
  const wanted = await wantedUpload(parts, call.caller, call.params)
  const { upload, size } = wanted
  checkLength(parts, size)
  const before = (await progress(store, wanted)) ?? 0
  if (before !== offset) return elsewhere(call, before)
  if (Number(headers.get('content-length') ?? 0) > size - offset) throw tooMany(size - offset)
  const counted = new CountedBytes(call.request, size - offset, services)
  try {
    if (offset < size) await store.write(upload, offset, counted)
  } finally {
    services.metrics.attachmentBytes('received', counted.count)
    call.log['bytes'] = counted.count
  }
  // It may have taken long: what was granted and named then need not be now.
  const grants = await services.engine.grantsOf(call.caller.user)
  await wantedUpload(parts, { ...call.caller, grants }, call.params)
  const after = await progress(store, wanted)
  if (after === null) throw new SyncError('ATTACHMENT_MISMATCH', 'The bytes are not what the hash says.')
  if (after < offset + counted.count) return elsewhere(call, after)
  return { status: 204, body: null, headers: offsetHeader(after) }
}

interface Wanted {
  readonly upload: UploadKey
  /** Bytes it is to have, as what names it says. */
  readonly size: number
  /** Whether its sender may know what is stored for the record. */
  readonly isVisible: boolean
}

/** An upload that something names which its sender sees. Errors: ATTACHMENT_MISSING. Rules: AT-2, AT-3. */
async function wantedUpload<U extends User>(
  { services: { engine, schema } }: AttachmentParts<U>,
  caller: Caller<U>,
  named: Readonly<Partial<Record<string, string>>>,
): Promise<Wanted> {
  const key = parseAttachmentKey(schema, named)
  const { size, isVisible } = await engine.attachment(caller, key)
  if (size === null) throw attachmentMissing()
  return { upload: { ...key, user: caller.user.id }, size, isVisible }
}

/** Bytes that are safe. An upload that has them all is finished here; null: they were wrong and are gone. */
async function progress(store: AttachmentStore, { upload, size, isVisible }: Wanted): Promise<number | null> {
  if (isVisible && (await store.size(upload)) === size) return size
  const safe = await store.uploaded(upload)
  if (safe < size) return safe
  return (await store.finish(upload, size)) ? size : null
}

async function whereItIs<U extends User>(
  { attachments: { store } }: AttachmentParts<U>,
  wanted: Wanted,
): Promise<Readonly<Record<string, string>>> {
  return offsetHeader((await progress(store, wanted)) ?? 0)
}

function offsetHeader(offset: number): Readonly<Record<string, string>> {
  return { 'upload-offset': String(offset) }
}

function elsewhere<U extends User>(call: UserCall<U>, offset: number): Answer {
  const error = new SyncError('UPLOAD_OFFSET', `The upload is at ${offset}.`)
  return refuse(call, error, { headers: offsetHeader(offset) })
}

/** An error whose answer has a status or headers of its own. */
function refuse<U extends User>(
  call: UserCall<U>,
  error: SyncError,
  { status, headers }: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> },
): Answer {
  call.log['code'] = error.code
  const answer = errorAnswer(error, { requestId: call.requestId, isPlain: false })
  return { ...answer, status: status ?? answer.status, headers: { ...answer.headers, ...headers } }
}

function checkLength<U extends User>(
  { attachments: { maxBytes } }: AttachmentParts<U>,
  length: number,
): void {
  if (length > maxBytes) throw new SyncError('REQUEST_TOO_LARGE', `An attachment may have ${maxBytes} bytes.`)
}

function parseCount<U extends User>({ request }: UserCall<U>, name: string): number {
  const text = request.headers.get(name) ?? ''
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new SyncError('REQUEST_INVALID', `${name} is a number of bytes.`)
}

/** `collection aXRlbXM=,record …,hash …`: names nobody knows are ignored. */
function parseMetadata(header: string): Readonly<Partial<Record<string, string>>> {
  const metadata = new Map<string, string>()
  for (const pair of header.split(',')) {
    const [, name, value] = /^ *(\S+) ([A-Za-z0-9+/]+={0,2}) *$/.exec(pair) ?? []
    if (name && value) metadata.set(name, Buffer.from(value, 'base64').toString())
  }
  const missing = ['collection', 'record', 'hash'].find((name) => !metadata.has(name))
  if (missing === undefined) return Object.fromEntries(metadata)
  throw new SyncError('REQUEST_INVALID', `Upload-Metadata has no ${missing} in base64.`)
}

/** The body of a request that may have so many bytes, and how many came. Not looked at before it is read. */
class CountedBytes implements AsyncIterable<Uint8Array> {
  count = 0
  readonly #request: Request
  readonly #limit: number
  readonly #services: Pick<HttpServices, 'env' | 'limits'>

  constructor(request: Request, limit: number, services: Pick<HttpServices, 'env' | 'limits'>) {
    this.#request = request
    this.#limit = limit
    this.#services = services
  }

  /** Errors: REQUEST_TOO_LARGE, REQUEST_INVALID for a body that broke off, RATE_LIMITED for one that stands still. */
  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const body: ReadableStream<Uint8Array> | null = this.#request.body
    const reader = body?.getReader()
    const { env, limits } = this.#services
    const silence = {
      ms: limits.requestTimeoutMs,
      late: () => turnedAway(env, 'The body stands still.'),
    }
    const read = async (): Promise<Uint8Array | undefined> => {
      const chunk = await reader?.read().catch((cause: unknown) => {
        throw new SyncError('REQUEST_INVALID', 'The body broke off.', { cause })
      })
      return chunk?.value
    }
    const next = (): Promise<Uint8Array | undefined> => within(env, silence, read())
    try {
      for (let chunk = await next(); chunk; chunk = await next()) {
        if (this.count + chunk.byteLength > this.#limit) {
          // Many clients hear an answer only when they have sent everything.
          for (let left = unheardBytes; left > 0 && chunk; chunk = await next()) left -= chunk.byteLength
          throw tooMany(this.#limit)
        }
        this.count += chunk.byteLength
        yield chunk
      }
    } finally {
      // Not awaited: a sender that never ends must not hold the answer.
      reader?.cancel().catch(() => undefined)
    }
  }
}

/** Bytes of a body that are read and dropped after it was found to be too long: more than a part has as a rule. */
const unheardBytes = 8_388_608

function tooMany(limit: number): SyncError {
  return new SyncError('REQUEST_TOO_LARGE', `The upload has ${limit} bytes left to come.`)
}
