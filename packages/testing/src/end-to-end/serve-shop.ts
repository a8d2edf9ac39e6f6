import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

import { createAdaptorServer } from '@hono/node-server'
import { createServer, fileAttachments, postgresStore, sqliteStore, type Store } from '@holdfast/server'

import { preparedStore } from '../postgres/prepared-store.ts'
import { shopSchema } from './shop-schema.ts'

/** Looks at a request before the server does, or at its answer; what it returns goes to the client instead. */
export interface Tamper {
  /** Return a response to keep the request from the server. */
  before?(request: Request): Promise<Response | undefined> | Response | undefined
  /** What the client gets for an answer of the server. */
  after?(request: Request, response: Response): Promise<Response> | Response
}

/** A real server on loopback over a real file, or over a database of the PostgreSQL that the test run shares. */
export interface Shop {
  readonly url: string
  readonly sync: Awaited<ReturnType<typeof createServer>>
  /** Everything the server was asked, in order: `POST /sync/push`. */
  readonly requests: string[]
  tamper: Tamper
  close(): Promise<void>
}

/** How a shop is opened. */
export interface ShopOptions {
  /** Names the data: a shop that is opened with the same path later, or at the same time, has the same. */
  readonly path: string
  readonly port?: number
  /** Scopes by user; everything unless said. */
  readonly scopes?: (user: string) => readonly string[] | '*'
  /** Tokens are user names; returns false for those that are not valid now. */
  readonly isValid?: (token: string) => boolean
  /** Files that are served beside the server, such as those of a page. */
  readonly files?: (request: Request) => Response | undefined
}

const isOnPostgres = process.env['HOLDFAST_ENGINE_ON'] === 'postgres'
const databases = new Map<string, Promise<string>>()

/** The database of the shop of this path, if the tests run on PostgreSQL. */
export function databaseAt(path: string): Promise<string> {
  const url = databases.get(path) ?? preparedStore(shopSchema).then((database) => database.url)
  databases.set(path, url)
  return url
}

async function storeAt(path: string): Promise<Store> {
  if (!isOnPostgres) return sqliteStore(path)
  return postgresStore({ url: await databaseAt(path), connections: 5 })
}

/** Opens a shop. The bearer token is `name` or `name.anything`. */
export async function openShop(options: ShopOptions): Promise<Shop> {
  const sync = await createServer({
    schema: shopSchema,
    store: await storeAt(options.path),
    attachments: { store: fileAttachments(`${options.path}.attachments`) },
    authenticate: (request) => {
      const token = /^Bearer (.+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
      if (token === undefined || options.isValid?.(token) === false) return null
      return { id: token.split('.')[0] ?? '' }
    },
    scopes: (user) => options.scopes?.(user.id) ?? '*',
    mayReview: ({ id }) => id === 'boss',
  })
  const requests: string[] = []
  const shop = { tamper: {} as Tamper }
  const http = createAdaptorServer({
    fetch: async (request) => {
      const file = options.files?.(request)
      if (file !== undefined) return file
      requests.push(`${request.method} ${new URL(request.url).pathname}`)
      const instead = await shop.tamper.before?.(request)
      if (instead) return instead
      const response = await sync.fetch(request)
      return (await shop.tamper.after?.(request, response)) ?? response
    },
  })
  http.listen(options.port ?? 0, '127.0.0.1')
  await once(http, 'listening')
  // A TCP server that listens has an address of this kind; only pipes have a text.
  const address = http.address() as AddressInfo
  const close = async (): Promise<void> => {
    await sync.close()
    // Connections that a test cut or left open must not keep the port.
    if ('closeAllConnections' in http) http.closeAllConnections()
    await new Promise<void>((resolve) => http.close(() => resolve()))
  }
  return Object.assign(shop, {
    url: `http://127.0.0.1:${address.port}`,
    sync,
    requests,
    close,
  })
}
