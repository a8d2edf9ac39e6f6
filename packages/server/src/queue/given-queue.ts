import { isObject, type Json, newUuid } from '@holdfast/core'
import type { RedisServer } from '@holdfast/testing/services'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { User } from '../engine.ts'
import { takeCopy } from '../given-copies.ts'
import { createServer, type HoldfastServer, type HttpServerOptions } from '../http/create-server.ts'
import { exampleSchema } from '../http/given-server.ts'
import { postgresStore } from '../store/postgres/postgres-store.ts'
import { sqliteStore } from '../store/sqlite/sqlite-store.ts'
import type { Store } from '../store/store.ts'
import { systemEnvironment } from '../system-environment.ts'
import type { IngestOptions } from './ingest-options.ts'
import { createWorker, type HoldfastWorker, type WorkerOptions } from './create-worker.ts'

const env = systemEnvironment()

/** A database that several servers and workers share. */
export interface SharedDatabase {
  /** Opens it again; closed by whoever was given it. */
  readonly store: () => Store
  /** Code that opens it, for a module of another process. */
  readonly storeCode: string
  readonly remove: () => Promise<void>
}

/** An empty database of one kind or the other. */
export async function givenDatabase(kind: 'SQLite' | 'PostgreSQL'): Promise<SharedDatabase> {
  if (kind === 'PostgreSQL') {
    const database = await takeCopy(exampleSchema)
    const options = { url: database.url, connections: 6, pollMs: 50 }
    return {
      store: () => postgresStore(options),
      storeCode: `postgresStore(${JSON.stringify(options)})`,
      remove: () => database.drop(),
    }
  }
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-queue-'))
  const options = { path: join(folder, 'server.db'), pollMs: 50 }
  return {
    store: () => sqliteStore(options),
    storeCode: `sqliteStore(${JSON.stringify(options)})`,
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** What came back. */
export interface Told {
  readonly status: number
  readonly body: Readonly<Record<string, Json>>
  readonly headers: Headers
}

/** A mutation as it travels. */
export type Raw = Readonly<Record<string, Json>>

/** A device of a user, as small as can be. */
export class QueueDevice {
  readonly id: string = newUuid(env)
  readonly user: string
  #seq = 0

  constructor(user = 'ann') {
    this.user = user
  }

  create(record: string, stock = 0, more: Raw = {}): Raw {
    const changes = { warehouseId: '1', name: 'Laptop', ...(stock > 0 && { stock }) }
    return { ...this.#mutation(record), op: 'create', changes, ...more }
  }

  add(record: string, stock: number): Raw {
    return { ...this.#mutation(record), op: 'update', increments: { stock } }
  }

  rename(record: string, base: string, name: string): Raw {
    return { ...this.#mutation(record), op: 'update', changes: { name }, base: { name: base } }
  }

  #mutation(record: string): Raw {
    const seq = ++this.#seq
    const at = new Date(env.now()).toISOString()
    return {
      id: newUuid(env),
      seq,
      covers: `${seq}`,
      collection: 'items',
      record,
      at: `${at}-0000-${this.id}`,
      schema: 1,
    }
  }
}

/** Servers and workers over one database and one queue. */
export class GivenQueue {
  readonly database: SharedDatabase
  readonly name: string = `holdfast-${newUuid(env)}`
  readonly redis: RedisServer
  readonly #closing: (() => Promise<void>)[] = []

  constructor(database: SharedDatabase, redis: RedisServer) {
    this.database = database
    this.redis = redis
  }

  /** Short waits, so that what dies is noticed within a test. */
  readonly limits: { readonly receiptSweepMs: number; readonly receiptLeaseMs: number } = {
    receiptSweepMs: 200,
    receiptLeaseMs: 2_000,
  }

  async server(options: Partial<HttpServerOptions> = {}): Promise<HoldfastServer> {
    const server = await createServer({ ...this.#options(), authenticate, ...options })
    this.#closing.push(() => server.close())
    return server
  }

  async worker(options: Partial<WorkerOptions> = {}): Promise<HoldfastWorker> {
    const worker = await createWorker({ ...this.#options(), ...options })
    this.#closing.push(() => worker.close())
    return worker
  }

  /** A server that only takes in. */
  frontServer(options: Partial<HttpServerOptions> = {}): Promise<HoldfastServer> {
    return this.server({ ingest: { ...this.ingest, works: false }, ...options })
  }

  get ingest(): IngestOptions {
    return { mode: 'queued', redis: this.redis.url, queue: this.name }
  }

  #options(): WorkerOptions {
    return {
      schema: exampleSchema,
      store: this.database.store(),
      scopes: () => ['warehouse:1'],
      limits: this.limits,
      ingest: this.ingest,
    }
  }

  async close(): Promise<void> {
    for (const close of this.#closing.reverse()) await close()
    await this.database.remove()
  }
}

function authenticate(request: Request): User | null {
  const name = /^Bearer ([^\s]+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
  return name === undefined ? null : { id: name, role: 'keeper' }
}

/** One request of a device. */
export async function ask(
  server: HoldfastServer,
  device: Pick<QueueDevice, 'id' | 'user'>,
  route: string,
  body?: unknown,
): Promise<Told> {
  const [method = '', path = ''] = route.split(' ')
  const headers = { authorization: `Bearer ${device.user}`, 'holdfast-device': device.id }
  const init = body === undefined ? {} : { body: JSON.stringify(body) }
  const response = await server.fetch(new Request(`http://localhost${path}`, { method, headers, ...init }))
  const text = await response.text()
  return { status: response.status, body: JSON.parse(text) as Told['body'], headers: response.headers }
}

/** Pushes mutations. */
export function push(
  server: HoldfastServer,
  device: QueueDevice,
  ...mutations: readonly Raw[]
): Promise<Told> {
  return ask(server, device, 'POST /sync/push', { mutations })
}

/** Waits until something is there; `undefined` and false are not. */
export async function until<Result>(
  look: () => Promise<Result | undefined | false>,
  what: string,
  ms = 30_000,
): Promise<Result> {
  const endMs = performance.now() + ms
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > endMs) throw new Error(`in ${ms} ms there was no ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** What a push that was queued was answered in the end. */
export async function decided(server: HoldfastServer, device: QueueDevice, queued: Told): Promise<Told> {
  const path = `GET /sync/receipts/${receiptOf(queued)}`
  return until(async () => {
    const told = await ask(server, device, path)
    return told.status !== 202 && told
  }, 'decision')
}

/** The receipt a push was answered with; '' when it was not. */
export function receiptOf({ body }: Pick<Told, 'body'>): string {
  const { receipt } = body
  return typeof receipt === 'string' ? receipt : ''
}

/** The status of every result of an answer. */
export function statuses({ body }: Told): readonly unknown[] {
  const results: unknown = body['results']
  if (!Array.isArray(results)) return [body]
  return results.map((result: unknown) => (isObject(result) ? result['status'] : undefined))
}

/** The stock of a record, as Ann sees it. */
export async function stockOf(server: HoldfastServer, record: string): Promise<unknown> {
  return (await ask(server, new QueueDevice(), `GET /records/items/${record}`)).body['stock']
}
