import { type Client, openClient, systemEnvironment } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { serve, type ServerType } from '@hono/node-server'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createFakeServer, type FakeServer } from '../fake-server/fake-server.ts'
import { type ShopSchema, shopSchema } from './shop-world.ts'

let server: FakeServer
let host: ServerType
let url: string
let clients: Client<ShopSchema>[]
const seen: { path: string; length: number; encoding: string | null; bytes: number }[] = []

beforeEach(async () => {
  seen.length = 0
  clients = []
  server = createFakeServer({
    schema: shopSchema,
    env: systemEnvironment,
    scopes: { ann: ['w:w1'], bob: ['w:w1'] },
  })
  const fetch = async (request: Request): Promise<Response> => {
    const bytes = request.method === 'POST' ? (await request.clone().arrayBuffer()).byteLength : 0
    seen.push({
      path: new URL(request.url).pathname,
      length: request.url.length,
      encoding: request.headers.get('Content-Encoding'),
      bytes,
    })
    return server.fetch(request)
  }
  await new Promise<void>((resolve) => {
    host = serve({ fetch, port: 0, hostname: '127.0.0.1' }, () => resolve())
  })
  url = `http://127.0.0.1:${(host.address() as AddressInfo).port}`
})
afterEach(async () => {
  for (const db of clients) await db.close()
  if ('closeAllConnections' in host) host.closeAllConnections()
  await new Promise((resolve) => host.close(resolve))
})

async function open(user: string, auto: boolean, scopes?: readonly string[]): Promise<Client<ShopSchema>> {
  const db = await openClient({
    schema: shopSchema,
    storage: sqliteStorage(':memory:'),
    server: `${url}/api/`,
    auth: user,
    sync: { auto, ...(scopes && { scopes }) },
  })
  clients.push(db)
  return db
}

/** Waits until `check` holds; a real clock and real sockets are at work here. */
async function until(check: () => Promise<boolean> | boolean): Promise<void> {
  await expect.poll(check, { interval: 10 }).toBe(true)
}

test('[SY-29] a device that syncs hundreds of scopes asks for them in bodies: no address is long', async () => {
  const scopes = ['w:w1', ...Array.from({ length: 400 }, (_, n) => `project:0197b2f0-aaaa-7000-8000-${n}`)]
  server.write('items', '0197b2f0-aaaa-7000-8000-000000000001', { name: 'Rope', wh: 'w1' })
  const db = await open('ann', false, scopes)
  expect(await db.sync.now()).toMatchObject({ status: 'done' })
  expect(await db.query((q) => q.selectFrom('items').select('name'))).toEqual([{ name: 'Rope' }])
  expect(seen.map(({ path }) => path)).toContain('/api/sync/snapshot')
  expect(Math.max(...seen.map(({ length }) => length))).toBeLessThan(200)
})

test('[SY-20] a body of more than a kilobyte travels packed, a small one as it is', async () => {
  const db = await open('ann', false)
  await db.items.insert({ name: 'Rope' })
  await db.sync.now()
  for (let n = 0; n < 40; n++)
    await db.items.insert({ name: `item ${n}`, note: 'much the same text every time' })
  expect(await db.sync.now()).toEqual({ status: 'done', code: null })
  expect(server.rows('items').size).toBe(41)
  const pushes = seen.filter(({ path }) => path === '/api/sync/push')
  expect(pushes.map(({ encoding }) => encoding)).toEqual([null, 'gzip'])
  expect(pushes[1]?.bytes).toBeLessThan(4_000)
})

test('[SY-19] a poke over the stream brings what is new, without waiting for a timer', async () => {
  const db = await open('ann', true)
  await until(() => seen.some(({ path }) => path === '/api/sync/stream'))
  await until(async () => (await db.status.get()).phase === 'idle')
  server.write('items', '00000000-0000-7000-8000-000000000001', {
    name: 'by another',
    stock: 0,
    tags: [],
    wh: 'w1',
  })
  server.poke()
  await until(async () => (await db.query((q) => q.selectFrom('items').select('name'))).length === 1)
})

test('[SY-3] a server that is gone is noticed, and found again when it is asked for', async () => {
  const db = await open('ann', false)
  await db.sync.now()
  const { port } = host.address() as AddressInfo
  if ('closeAllConnections' in host) host.closeAllConnections()
  await new Promise((resolve) => host.close(resolve))
  const id = await db.items.insert({ name: 'Rope' })
  expect(await db.sync.now()).toEqual({ status: 'offline', code: 'OFFLINE' })
  await new Promise<void>((resolve) => {
    host = serve({ fetch: server.fetch, port, hostname: '127.0.0.1' }, () => resolve())
  })
  expect(await db.sync.now()).toEqual({ status: 'done', code: null })
  expect(server.record('items', id)).toMatchObject({ name: 'Rope' })
})

test('[SY-5] a connection that breaks in the middle of a body is a failure, not half a page', async () => {
  for (let n = 0; n < 500; n++) {
    const id = `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`
    server.write('items', id, { name: `item ${n}`, stock: 0, tags: [], wh: 'w1' })
  }
  server.script({ on: 'snapshot', times: 1, fault: { kind: 'truncate', bytes: 20_000 } })
  const db = await open('ann', false)
  expect((await db.sync.now()).status).not.toBe('done')
  expect(await db.query((q) => q.selectFrom('items').select('id'))).toEqual([])
  expect(await db.sync.now()).toEqual({ status: 'done', code: null })
  expect(await db.query((q) => q.selectFrom('items').select('id'))).toHaveLength(500)
})
