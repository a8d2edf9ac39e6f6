import { isObject, type Limits, SyncError } from '@holdfast/core'
import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'

const inflaters = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
} as const

/** A push nests a mutation in a list in a body; the values below that have the limit to themselves. */
const envelopeDepth = 4

type BodyLimits = Pick<Limits, 'pushBytes' | 'jsonDepth'>

/** The members of a JSON object body; an empty body counts as `{}`. Errors: REQUEST_INVALID, REQUEST_TOO_LARGE. */
export async function readObjectBody(
  request: Request,
  limits: BodyLimits,
): Promise<Readonly<Record<string, unknown>>> {
  const body = (await readJsonBody(request, limits)) ?? {}
  if (isObject(body)) return body
  throw new SyncError('REQUEST_INVALID', 'The body is not a JSON object.')
}

/**
 * The JSON value in the body of a request; undefined when the body is empty. A body is counted by its announced
 * length, while it is read, and while it is inflated, so that nothing larger than the limit is ever held.
 * Errors: REQUEST_TOO_LARGE, REQUEST_INVALID. Rules: PH-8, PH-9, PH-10.
 */
export async function readJsonBody(request: Request, limits: BodyLimits): Promise<unknown> {
  return (await readJson(request, limits)).value
}

/** A body that was read: the value, and the text it was read from. */
interface JsonBody {
  readonly text: string
  readonly value: unknown
}

const reading = new WeakMap<Request, Promise<JsonBody>>()

/** The same, with the text that the value was read from. Who asks again is told the same. */
export function readJson(request: Request, limits: BodyLimits): Promise<JsonBody> {
  const body = reading.get(request) ?? read(request, limits)
  reading.set(request, body)
  return body
}

async function read(request: Request, limits: BodyLimits): Promise<JsonBody> {
  const { pushBytes, jsonDepth } = limits
  const bytes = await inflateBody(await readBytes(request, pushBytes), request, pushBytes)
  if (bytes.byteLength === 0) return { text: '', value: undefined }
  const text = decodeText(bytes)
  if (isDeeperThan(text, jsonDepth + envelopeDepth)) {
    throw new SyncError('REQUEST_INVALID', `The body nests deeper than ${jsonDepth} levels.`)
  }
  try {
    return { text, value: JSON.parse(text) }
  } catch (cause) {
    throw new SyncError('REQUEST_INVALID', 'The body is not JSON.', { cause })
  }
}

async function readBytes(request: Request, limitBytes: number): Promise<Uint8Array> {
  const announced = request.headers.get('content-length')
  if (announced !== null) {
    if (!/^\d{1,15}$/.test(announced))
      throw new SyncError('REQUEST_INVALID', 'Content-Length is not a number.')
    if (Number(announced) > limitBytes) throw tooLarge(limitBytes)
    // No HTTP/1.1 or HTTP/2 host hands over more than was announced, so this is bounded; reading at once is cheaper.
    const bytes = new Uint8Array(await readWhole(request))
    if (bytes.byteLength > limitBytes) throw tooLarge(limitBytes)
    return bytes
  }
  if (request.body === null) return new Uint8Array(0)
  return readChunks(request.body, limitBytes)
}

async function readWhole(request: Request): Promise<ArrayBuffer> {
  try {
    return await request.arrayBuffer()
  } catch (cause) {
    throw new SyncError('REQUEST_INVALID', 'The body broke off.', { cause })
  }
}

async function readChunks(body: ReadableStream<Uint8Array>, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytesRead = 0
  const reader = body.getReader()
  for (;;) {
    const chunk = await readChunk(reader)
    if (chunk === undefined) return Buffer.concat(chunks)
    bytesRead += chunk.byteLength
    if (bytesRead > limitBytes) {
      // Not awaited: a sender that never ends must not hold the answer.
      reader.cancel().catch(() => undefined)
      throw tooLarge(limitBytes)
    }
    chunks.push(chunk)
  }
}

async function readChunk(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    return (await reader.read()).value
  } catch (cause) {
    throw new SyncError('REQUEST_INVALID', 'The body broke off.', { cause })
  }
}

async function inflateBody(bytes: Uint8Array, request: Request, limitBytes: number): Promise<Uint8Array> {
  const encoding = request.headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity'
  if (encoding === 'identity' || encoding === '') return bytes
  if (encoding !== 'gzip' && encoding !== 'x-gzip' && encoding !== 'deflate') {
    throw new SyncError('REQUEST_INVALID', 'The body may be encoded with gzip or deflate, nothing else.')
  }
  try {
    return await inflaters[encoding](bytes, { maxOutputLength: limitBytes })
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE')
      throw tooLarge(limitBytes)
    throw new SyncError('REQUEST_INVALID', `The body is not ${encoding}.`, { cause })
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new SyncError('REQUEST_INVALID', 'The body is not UTF-8.', { cause })
  }
}

/** Counts brackets outside of strings, so that a bomb is refused before it becomes objects. */
function isDeeperThan(text: string, limit: number): boolean {
  let depth = 0
  let isInString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === quote) isInString = !isInString
    else if (isInString) index += code === backslash ? 1 : 0
    else if (code === openBracket || code === openBrace) depth++
    else if (code === closeBracket || code === closeBrace) depth--
    if (depth > limit) return true
  }
  return false
}

const quote = 0x22
const backslash = 0x5c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

function tooLarge(limitBytes: number): SyncError {
  return new SyncError('REQUEST_TOO_LARGE', `The body is over ${limitBytes} bytes.`)
}
