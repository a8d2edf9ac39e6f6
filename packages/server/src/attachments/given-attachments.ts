import { createAdaptorServer } from '@hono/node-server'
import { type Limits, newUuid, type Values } from '@holdfast/core'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Grants } from '../engine.ts'
import { type GivenDatabase, newDatabase } from '../given-database.ts'
import { createServer, type HoldfastServer } from '../http/create-server.ts'
import { systemEnvironment } from '../system-environment.ts'
import type { AttachmentOptions } from './attachment-options.ts'
import { fileAttachments } from './file-attachments.ts'
import { type GivenFile, photoSchema, reports } from './given-photos.ts'

/** An answer, read. */
export interface Heard {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Buffer
  /** Code of an error. */
  readonly code: string | undefined
}

/** What a request may have. */
export interface Asked {
  readonly user?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | ReadableStream<Uint8Array>
}

/** A server on a socket of loopback, over a database and a folder that outlive it. */
export interface GivenAttachments {
  readonly url: string
  readonly port: number
  readonly folder: string
  readonly sync: HoldfastServer
  readonly grants: Map<string, Grants>
  ask(route: string, asked?: Asked): Promise<Heard>
  /** Ann makes a report with these values over plain HTTP. */
  report(values?: Values): Promise<string>
  /** Sets values of a report, as Ann. */
  set(record: string, values: Values): Promise<void>
  /** The upload route of a file of a record. */
  at(record: string, file: { readonly hash: string }): string
  /** Offers an upload; the offset. */
  create(record: string, file: GivenFile, asked?: Asked): Promise<Heard>
  /** Sends bytes at an offset. */
  patch(
    record: string,
    file: GivenFile,
    part: { readonly from: number; readonly to?: number } & Asked,
  ): Promise<Heard>
  advance(ms: number): void
  /** Ends the server and opens another over the same database and folder. */
  reopen(): Promise<void>
  close(): Promise<void>
}

/** How it is opened. */
export interface GivenAttachmentsOptions extends Partial<Omit<AttachmentOptions, 'store'>> {
  /** Nothing is stored without. */
  readonly isOn?: boolean
  readonly basePath?: string
  readonly limits?: Partial<Limits>
}

/** Opens one. The token is the name; everybody has the scope site:1 unless the test says otherwise. */
export async function givenAttachments(options: GivenAttachmentsOptions = {}): Promise<GivenAttachments> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-attachments-'))
  const database = await newDatabase(photoSchema)
  const grants = new Map<string, Grants>()
  const clock = { ms: Date.parse('2026-11-20T10:00:00.000Z') }
  let running = await serve({ database, folder, grants, clock, options })
  const base = options.basePath ?? ''
  const ask = async (route: string, { user = 'ann', headers, body }: Asked = {}): Promise<Heard> => {
    const [method = '', path = ''] = route.split(' ')
    const response = await fetch(`${running.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${user}`, ...headers },
      ...(body && { body, duplex: 'half' }),
    })
    return heard(response)
  }
  const at = (record: string, { hash }: { readonly hash: string }): string =>
    `${base}/attachments/${reports}/${record}/${hash}/upload`
  let titles = 0
  return {
    get url() {
      return running.url
    },
    get port() {
      return running.port
    },
    get sync() {
      return running.sync
    },
    folder,
    grants,
    ask,
    at,
    report: async (values = {}) => {
      const id = newUuid(systemEnvironment())
      const body = Buffer.from(JSON.stringify({ id, site: '1', title: `report ${++titles}`, ...values }))
      const { status, bytes } = await ask(`POST ${base}/records/${reports}`, { user: 'root', body })
      if (status !== 201) throw new Error(`no report was made: ${bytes.toString()}`)
      return id
    },
    set: async (record, values) => {
      const body = Buffer.from(JSON.stringify(values))
      const { status, bytes } = await ask(`PATCH ${base}/records/${reports}/${record}`, {
        user: 'root',
        body,
      })
      if (status !== 200) throw new Error(`nothing was set: ${bytes.toString()}`)
    },
    create: (record, file, asked = {}) =>
      ask(`POST ${base}/attachments`, {
        ...asked,
        headers: { ...tus, 'upload-length': String(file.size), ...metadata(record, file), ...asked.headers },
      }),
    patch: (record, file, { from, to, headers, ...asked }) =>
      ask(`PATCH ${at(record, file)}`, {
        body: file.bytes.subarray(from, to),
        ...asked,
        headers: { ...tus, ...part, 'upload-offset': String(from), ...headers },
      }),
    advance: (ms) => {
      clock.ms += ms
    },
    reopen: async () => {
      await running.close()
      running = await serve({ database, folder, grants, clock, options })
    },
    close: async () => {
      await running.close()
      await database.remove()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The header of each request of an upload. */
export const tus: Readonly<Record<string, string>> = { 'tus-resumable': '1.0.0' }
/** The media type of a part. */
export const part: Readonly<Record<string, string>> = { 'content-type': 'application/offset+octet-stream' }

/** What `POST /attachments` is told. */
export function metadata(
  record: string,
  { hash }: { readonly hash: string },
  name: string = reports,
): Record<string, string> {
  const pairs = Object.entries({ collection: name, record, hash })
  const spelled = pairs.map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
  return { 'upload-metadata': spelled.join(',') }
}

async function heard(response: Response): Promise<Heard> {
  const bytes = Buffer.from(await response.arrayBuffer())
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
  const body =
    isJson && bytes.byteLength > 0 ? (JSON.parse(bytes.toString()) as { error?: { code: string } }) : {}
  return { status: response.status, headers: response.headers, bytes, code: body.error?.code }
}

interface Served {
  readonly database: GivenDatabase
  readonly folder: string
  readonly grants: Map<string, Grants>
  readonly clock: { readonly ms: number }
  readonly options: GivenAttachmentsOptions
}

async function serve({ database, folder, grants, clock, options }: Served): Promise<{
  readonly sync: HoldfastServer
  readonly port: number
  readonly url: string
  readonly close: () => Promise<void>
}> {
  const { isOn = true, basePath, limits, ...more } = options
  const sync = await createServer({
    schema: photoSchema,
    store: database.store(),
    authenticate: (request) => {
      const id = /^Bearer (\S+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
      return id === undefined ? null : { id }
    },
    scopes: ({ id }) => grants.get(id) ?? (id === 'root' ? '*' : ['site:1']),
    env: { ...systemEnvironment(), now: () => clock.ms },
    ...(basePath !== undefined && { basePath }),
    ...(limits && { limits }),
    ...(isOn && { attachments: { store: fileAttachments(folder), ...more } }),
  })
  const http = createAdaptorServer({ fetch: sync.fetch })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  // A TCP server that listens has an address of this kind; only pipes have a text.
  const { port } = http.address() as AddressInfo
  return {
    sync,
    port,
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      if ('closeAllConnections' in http) http.closeAllConnections()
      await new Promise<void>((resolve) => http.close(() => resolve()))
      await sync.close()
    },
  }
}

/** A request by hand, to be cut where the test likes: its head has left when this resolves. */
export async function openRequest(
  port: number,
  first: string,
  headers: Readonly<Record<string, string>>,
): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  const lines = Object.entries({ host: 'localhost', ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  socket.write(`${first} HTTP/1.1\r\n${lines.join('')}\r\n`)
  return socket
}
