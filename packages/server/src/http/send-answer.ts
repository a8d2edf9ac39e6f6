import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

import type { Answer } from './answer.ts'

const gzipAsync = promisify(gzip)

/** Below this many characters the frame of gzip costs more than it saves. */
const compressFromLength = 1_024

/**
 * The Response for an answer: JSON unless it says otherwise, never stored by a cache, compressed when that is accepted
 * and worth it. Rules: PH-11, PH-12.
 */
export async function sendAnswer(
  answer: Answer,
  request: Request,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const all: Record<string, string> = {
    ...(answer.body !== null && { 'content-type': 'application/json; charset=utf-8' }),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
    ...answer.headers,
  }
  const { status, body } = answer
  // A HEAD is answered like its GET, without the body.
  if (body === null || request.method === 'HEAD') return new Response(null, { status, headers: all })
  if (typeof body !== 'string' || body.length < compressFromLength)
    return new Response(body, { status, headers: all })
  all.vary = 'accept-encoding'
  if (!acceptsGzip(request.headers.get('accept-encoding')))
    return new Response(body, { status, headers: all })
  all['content-encoding'] = 'gzip'
  // Level 1: rows are repetitive, so higher levels cost several times the time for a few percent.
  return new Response(await gzipAsync(body, { level: 1 }), { status, headers: all })
}

/** `gzip`, `x-gzip` or `*` with a weight above 0. */
function acceptsGzip(accepted: string | null): boolean {
  if (accepted === null) return false
  return accepted.split(',').some((part) => {
    const [name = '', ...parameters] = part.trim().toLowerCase().split(';')
    if (!/^(x-)?gzip$|^\*$/.test(name.trim())) return false
    return !parameters.some((parameter) => /^\s*q\s*=\s*0(\.0{0,3})?\s*$/.test(parameter))
  })
}
