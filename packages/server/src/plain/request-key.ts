import { canonicalJson, type Json, type Limits, SyncError } from '@holdfast/core'
import { createHash } from 'node:crypto'

import type { ApplyOptions } from '../engine.ts'

/**
 * The `Idempotency-Key` of a request with a hash of everything that decides what it does, so that the key with another
 * body is noticed; undefined when there is no key. Errors: REQUEST_INVALID. Rules: PH-37.
 */
export function requestKey(
  request: Request,
  body: Readonly<Record<string, unknown>>,
  limits: Limits,
): ApplyOptions['key'] {
  const key = request.headers.get('idempotency-key')
  if (key === null) return undefined
  if (key === '' || key.length > limits.idempotencyKeyLength) {
    throw new SyncError(
      'REQUEST_INVALID',
      `Idempotency-Key has 1 to ${limits.idempotencyKeyLength} characters.`,
    )
  }
  const { pathname } = new URL(request.url)
  // The body is JSON because it was read from JSON text.
  const told = [request.method, pathname, request.headers.get('if-match'), body as Json]
  return { key, hash: createHash('sha256').update(canonicalJson(told)).digest('hex') }
}
