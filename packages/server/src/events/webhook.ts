import { createHmac } from 'node:crypto'
import type { Environment } from '@holdfast/core'

import type { Failure, RecordEvent } from './event-options.ts'

/** What one request is made of. */
export interface EventPost {
  readonly url: string
  readonly keys: readonly Buffer[]
  readonly event: RecordEvent
  readonly signal: AbortSignal
}

/**
 * Sends one event as https://www.standardwebhooks.com has it. A status from 200 to 299 is success; redirects are not
 * followed, since where they lead was never agreed on. Never rejects. Rules: EV-12, EV-13.
 */
export async function postEvent(
  { url, keys, event, signal }: EventPost,
  env: Pick<Environment, 'fetch' | 'now'>,
): Promise<Failure | null> {
  const body = JSON.stringify({
    type: `${event.collection}.${event.op}`,
    timestamp: event.receivedAt,
    data: event,
  })
  const request = new Request(url, {
    method: 'POST',
    body,
    redirect: 'manual',
    signal,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Holdfast',
      ...signatureHeaders({ id: event.id, body, keys, nowMs: env.now() }),
    },
  })
  try {
    const response = await env.fetch(request)
    // Nobody reads it; a body that is left alone would keep the connection.
    response.body?.cancel().catch(() => undefined)
    if (response.ok) return null
    const seconds = /^\d{1,6}$/.exec(response.headers.get('retry-after') ?? '')?.[0]
    return { reason: String(response.status), ...(seconds && { waitMs: Number(seconds) * 1_000 }) }
  } catch {
    return { reason: 'OFFLINE' }
  }
}

/** What is signed: id, time in seconds and body, with dots in between; one signature for each key. */
export function signatureHeaders(signed: {
  readonly id: string
  readonly body: string
  readonly keys: readonly Buffer[]
  readonly nowMs: number
}): Readonly<Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>> {
  const { id, body, keys, nowMs } = signed
  const seconds = Math.floor(nowMs / 1_000)
  const signatures = keys.map(
    (key) => `v1,${createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')}`,
  )
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatures.join(' '),
  }
}

/** The bytes of a secret; null when it is not spelled as one, or too short or too long. */
export function readSecret(secret: string): Buffer | null {
  const encoded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1]
  const key = encoded === undefined ? null : Buffer.from(encoded, 'base64')
  return key !== null && key.length >= 24 && key.length <= 64 ? key : null
}
