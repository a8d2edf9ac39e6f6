import type { Environment } from '@holdfast/core'

/** Who is speaking; asked for every request, because a device may take a new identity. */
export interface Speaker {
  readonly device: string
  /** The account as the header spells it; null until the server has said which account the token is of. */
  readonly account: string | null
}

/** A request to a server, but for the token and the hour. It may be stored, and made later. */
export interface SyncRequest extends Speaker {
  /** Where the server is mounted; `path` is added to it. */
  readonly server: string
  readonly schemaVersion: number
  readonly method: 'GET' | 'POST'
  /** Below the base path, with its query. */
  readonly path: string
  /** The JSON text of the body. */
  readonly body?: string | undefined
  readonly traceparent: string
}

/** A request whose body, if it has one, is bytes. */
export interface BytesRequest extends Omit<SyncRequest, 'method' | 'body'> {
  readonly method: 'GET' | 'POST' | 'PATCH'
  readonly body?: Uint8Array | undefined
  /** Beside those that every request has. */
  readonly headers: Readonly<Record<string, string>>
}

/** Request bodies from this size on are compressed, when the platform can. */
const gzipFromBytes = 1_024

/** Makes the request as it travels now, and says how many bytes its body has. Rules: SY-20. */
export async function makeRequest(
  env: Pick<Environment, 'now' | 'gzip'>,
  said: SyncRequest | BytesRequest,
  { token, signal }: { readonly token: string; readonly signal: AbortSignal },
): Promise<{ readonly request: Request; readonly bodyBytes: number }> {
  const headers = new Headers({
    ...('headers' in said ? said.headers : {}),
    Authorization: `Bearer ${token}`,
    'Holdfast-Device': said.device,
    'Holdfast-Schema': String(said.schemaVersion),
    'Holdfast-Clock': new Date(env.now()).toISOString(),
    traceparent: said.traceparent,
  })
  if (said.account !== null) headers.set('Holdfast-Account', said.account)
  const body = said.body === undefined ? undefined : await encode(env, said.body, headers)
  const request = new Request(`${said.server.replace(/\/+$/, '')}${said.path}`, {
    method: said.method,
    headers,
    // The body is our own bytes; the platform's type only fears memory that is shared between threads.
    body: body as Uint8Array<ArrayBuffer> | undefined,
    redirect: 'manual',
    cache: 'no-store',
    signal,
  })
  return { request, bodyBytes: body?.byteLength ?? 0 }
}

async function encode(
  env: Pick<Environment, 'gzip'>,
  body: string | Uint8Array,
  headers: Headers,
): Promise<Uint8Array> {
  if (typeof body !== 'string') return body
  headers.set('Content-Type', 'application/json')
  const bytes = new TextEncoder().encode(body)
  if (env.gzip === undefined || bytes.byteLength < gzipFromBytes) return bytes
  headers.set('Content-Encoding', 'gzip')
  return env.gzip(bytes)
}
