import {
  attachment,
  collection,
  counter,
  decimal,
  defineSchema,
  integer,
  json,
  type Schema,
  set,
  text,
} from '@holdfast/core'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Grants, User } from '../engine.ts'
import { sqliteStore } from '../store/sqlite/sqlite-store.ts'
import { systemEnvironment } from '../system-environment.ts'
import { createServer, type HoldfastServer, type HttpServerOptions } from './create-server.ts'

/** The schema of the examples in docs/protocol.md and of the tests of this package's HTTP side. */
export const exampleSchema: Schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        warehouseId: text(),
        name: text(),
        location: text({ optional: true, merge: 'latest' }),
        price: decimal({ optional: true }),
        stock: counter(),
        tags: set(text()),
        rank: integer({ optional: true, owner: 'server' }),
        extra: json({ optional: true }),
      },
      scope: 'warehouse:{warehouseId}',
    }),
    notes: collection({
      fields: { body: text({ merge: 'paragraphs' }), photo: attachment() },
      deletes: 'hard',
    }),
  },
})

/** An answer, read. */
export interface Told {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The parsed body; undefined when it is no JSON. */
  readonly body: unknown
}

/** Options of one request. */
export interface AskOptions {
  /** Signs in with the token of that user; 'ann' unless said, null sends none. */
  readonly user?: string | null
  /** A text or bytes go out as they are, everything else as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** A server over a real file, with a clock and grants that a test holds in its hand. */
export interface GivenServer {
  readonly sync: HoldfastServer
  readonly path: string
  readonly logs: readonly LogLine[]
  readonly grants: Map<string, Grants>
  readonly ask: (route: string, options?: AskOptions) => Promise<Told>
  /** Moves the clock. */
  readonly advance: (ms: number) => void
  readonly close: () => Promise<void>
}

/** One call of the logger. */
export interface LogLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

/** The time at which every given server starts. */
export const startTime = '2026-11-20T10:00:00.000Z'

/** A server whose token `ann` is the user ann; everybody has the scope warehouse:1 unless the test says otherwise. */
export async function givenServer(options: Partial<HttpServerOptions> = {}): Promise<GivenServer> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-http-'))
  const path = join(folder, 'server.db')
  const grants = new Map<string, Grants>()
  const logs: LogLine[] = []
  const log = (level: LogLine['level']) => (fields: object, message: string) =>
    void logs.push({ level, fields: { ...fields }, message })
  let nowMs = Date.parse(startTime)
  const sync = await createServer({
    schema: exampleSchema,
    store: sqliteStore(path),
    authenticate: bearerUser,
    scopes: (user) => grants.get(user.id) ?? ['warehouse:1'],
    env: { ...systemEnvironment(), now: () => nowMs },
    logger: { info: log('info'), warn: log('warn'), error: log('error') },
    ...options,
  })
  return {
    sync,
    path,
    logs,
    grants,
    ask: (route, asked = {}) => ask(sync, route, asked),
    advance: (ms) => {
      nowMs += ms
    },
    close: async () => {
      await sync.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The token is the user's name. */
function bearerUser(request: Request): User | null {
  const name = /^Bearer ([^\s]+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
  return name === undefined ? null : { id: name }
}

async function ask(
  sync: HoldfastServer,
  route: string,
  { user = 'ann', body, headers }: AskOptions,
): Promise<Told> {
  const [method = '', path = ''] = route.split(' ')
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  const request = new Request(`http://localhost${path}`, {
    method,
    body: body === undefined ? undefined : isRaw ? (body as string) : JSON.stringify(body),
    headers: { ...(user === null ? {} : { authorization: `Bearer ${user}` }), ...headers },
  })
  const response = await sync.fetch(request)
  const answer = await response.text()
  return { status: response.status, headers: response.headers, text: answer, body: parseOrUndefined(answer) }
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
