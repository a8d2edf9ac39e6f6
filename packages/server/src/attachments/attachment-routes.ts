import { SyncError } from '@holdfast/core'

import type { User } from '../engine.ts'
import type { Answer } from '../http/answer.ts'
import { errorAnswer } from '../http/error-answer.ts'
import type { Route, UserCall } from '../http/http-call.ts'
import { attachmentMissing, parseAttachmentKey } from './attachment-key.ts'
import type { AttachmentParts } from './attachment-options.ts'
import { uploadRoutes } from './upload-routes.ts'

/** The bytes of attachments: tus 1.0.0 to send them, GET to fetch them. Rules: AT-1 to AT-12. */
export function attachmentRoutes<U extends User>(parts: AttachmentParts<U>): readonly Route<U>[] {
  return [
    ...uploadRoutes(parts),
    {
      method: 'GET',
      pattern: '/attachments/{collection}/{record}/{hash}',
      access: 'user',
      admitted: 'pull',
      handle: (call) => download(parts, call),
    },
  ]
}

async function download<U extends User>(
  { services: { engine, schema, metrics }, attachments: { store } }: AttachmentParts<U>,
  call: UserCall<U>,
): Promise<Answer> {
  const key = parseAttachmentKey(schema, call.params)
  const { isVisible } = await engine.attachment(call.caller, key)
  const size = isVisible ? await store.size(key) : null
  if (size === null) throw attachmentMissing()
  const etag = `"${key.hash}"`
  const range = rangeOf(call.request.headers, size, etag)
  if (range === 'beyond') return beyond(call, size)
  const headers = {
    'content-type': 'application/octet-stream',
    // Whatever it is, a browser that is led here must not run it.
    'content-disposition': 'attachment',
    'accept-ranges': 'bytes',
    etag,
    'content-length': String(range ? range.end - range.start + 1 : size),
    ...(range && { 'content-range': `bytes ${range.start}-${range.end}/${size}` }),
  }
  const status = range ? 206 : 200
  if (call.request.method === 'HEAD') return { status, headers, body: null }
  const body = await store.read(key, range)
  if (!body) throw attachmentMissing()
  metrics.attachmentBytes('sent', Number(headers['content-length']))
  return { status, headers, body }
}

interface ByteRange {
  readonly start: number
  /** Included. */
  readonly end: number
}

/** `bytes=n-` and `n-m`; other forms are ignored, as RFC 9110 (14.2) allows, and so is one of other bytes (13.1.5). */
function rangeOf(headers: Headers, size: number, etag: string): ByteRange | 'beyond' | undefined {
  const [, first, last] = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(headers.get('range')?.trim() ?? '') ?? []
  if (first === undefined || (headers.get('if-range') ?? etag) !== etag) return undefined
  const start = Number(first)
  const end = last ? Number(last) : size - 1
  if (last && end < start) return undefined
  return start < size ? { start, end: Math.min(end, size - 1) } : 'beyond'
}

function beyond<U extends User>(call: UserCall<U>, size: number): Answer {
  const error = new SyncError('REQUEST_INVALID', `The attachment has ${size} bytes.`)
  call.log['code'] = error.code
  const { headers, ...answer } = errorAnswer(error, { requestId: call.requestId, isPlain: false })
  return { ...answer, status: 416, headers: { ...headers, 'content-range': `bytes */${size}` } }
}
