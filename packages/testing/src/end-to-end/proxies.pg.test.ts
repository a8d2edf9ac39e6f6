import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { systemEnvironment } from '@holdfast/client'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { startUnlessMissing } from '../services/missing-service.ts'
import { hasPostgres } from '../services/shared-servers.ts'
import { type Nginx, startNginx } from './nginx.ts'
import { openShop, type Shop } from './serve-shop.ts'
import { openDevice, type ShopClient } from './shop-device.ts'

/** A device's minute passes in three seconds, so that its bounds fit into a test; the network is as fast as it is. */
const hurry = 20
const hurried = {
  ...systemEnvironment,
  setTimer: (task: () => void, ms: number) => systemEnvironment.setTimer(task, ms / hurry),
}
const lamp = { site: 'north', name: 'Lamp', price: '10.00', stock: 10, note: '' }

let folder: string
let shop: Shop
let closing: (() => Promise<void>)[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-proxies-'))
  closing = []
  if (hasPostgres()) shop = await openShop({ path: join(folder, 'server.db') })
})
afterEach(async () => {
  for (const close of closing.reverse()) await close()
  if (hasPostgres()) await shop.close()
  rmSync(folder, { recursive: true, force: true })
})

async function givenProxy(...settings: string[]): Promise<Nginx> {
  const nginx = await startNginx(shop.url, settings)
  closing.push(() => nginx.stop())
  return nginx
}

/** A device behind the proxy that follows its stream, and one beside it that writes. */
async function givenDevices(url: string, env = systemEnvironment): Promise<[ShopClient, ShopClient]> {
  const writer = await openDevice({ path: join(folder, 'ann.db'), url: shop.url, auth: 'ann' })
  const reader = await openDevice({ path: join(folder, 'ben.db'), url, auth: 'ben', isLive: true, env })
  closing.push(
    () => writer.close(),
    () => reader.close(),
  )
  await vi.waitFor(() => expect(streams()).toBe(1), 30_000)
  // What the first poke asked for is over.
  await vi.waitFor(async () => expect(await namesOf(reader)).toEqual([]), 30_000)
  await new Promise((resolve) => setTimeout(resolve, 300))
  return [writer, reader]
}

const streams = (): number => shop.requests.filter((request) => request === 'GET /sync/stream').length
const namesOf = async (db: ShopClient): Promise<readonly string[]> =>
  (await db.query((q) => q.selectFrom('items').select('name'))).map(({ name }) => name)

/** How long it took from the end of one device's push until the other has the row, ms. */
async function delay([writer, reader]: readonly [ShopClient, ShopClient], name: string): Promise<number> {
  await writer.items.insert({ ...lamp, name })
  await writer.sync.now()
  const startMs = performance.now()
  await vi.waitFor(async () => expect(await namesOf(reader)).toContain(name), {
    timeout: 30_000,
    interval: 10,
  })
  return performance.now() - startMs
}

const nginx =
  hasPostgres() &&
  (await startUnlessMissing(async () => {
    await (await startNginx('http://127.0.0.1:1')).stop()
    return true
  }))

describe.skipIf(nginx !== true)('behind nginx', { timeout: 60_000 }, () => {
  test('[PH-29] with nothing but proxy_pass pokes come at once, also where it compresses', async () => {
    const { url } = await givenProxy('gzip on', 'gzip_types *', 'gzip_min_length 1', 'gzip_proxied any')
    const devices = await givenDevices(url)
    // Far below the minute of a device that is not poked.
    expect(await delay(devices, 'Lamp')).toBeLessThan(5_000)
    expect(await delay(devices, 'Rope')).toBeLessThan(5_000)
    expect(streams()).toBe(1)
  })

  test('[SY-19] where it holds streams back all the same, a device asks by itself within its minute', async () => {
    const { url } = await givenProxy('proxy_ignore_headers X-Accel-Buffering', 'proxy_buffers 8 64k')
    const devices = await givenDevices(url, hurried)
    const delays = []
    for (const name of ['Lamp', 'Rope', 'Saw']) delays.push(await delay(devices, name))
    expect(Math.max(...delays)).toBeLessThan(60_000 / hurry + 10_000)
    // It does hold them back.
    expect(Math.max(...delays)).toBeGreaterThan(500)
  })

  test('[SY-19] [PH-20] where it cuts what is silent for a second, the stream is opened again and nothing is missed', async () => {
    const { url } = await givenProxy('proxy_read_timeout 1s')
    const devices = await givenDevices(url)
    await vi.waitFor(() => expect(streams()).toBeGreaterThan(2), 30_000)
    expect(await delay(devices, 'Lamp')).toBeLessThan(10_000)
  })

  test('[SY-19] where it refuses streams, a device syncs without', async () => {
    const { url } = await givenProxy('if ($uri ~ stream) { return 502; }  #')
    const writer = await openDevice({ path: join(folder, 'ann.db'), url: shop.url, auth: 'ann' })
    const reader = await openDevice({
      path: join(folder, 'ben.db'),
      url,
      auth: 'ben',
      isLive: true,
      env: hurried,
    })
    closing.push(
      () => writer.close(),
      () => reader.close(),
    )
    expect(await delay([writer, reader], 'Lamp')).toBeLessThan(60_000 / hurry + 10_000)
    expect(await delay([writer, reader], 'Rope')).toBeLessThan(60_000 / hurry + 10_000)
    expect(streams()).toBe(0)
  })
})

describe.skipIf(!hasPostgres())('connections', () => {
  test('[SY-27] a device that is poked, pushes and pulls has two requests open at most', async () => {
    let open = 0
    let most = 0
    const counted = async (request: Request): Promise<Response> => {
      open += 1
      most = Math.max(most, open)
      const response = await fetch(request)
      const body = response.body?.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({ flush: () => void (open -= 1) }),
      )
      if (body === undefined) open -= 1
      return new Response(body, response)
    }
    const path = join(folder, 'ann.db')
    const db = await openDevice({ path, url: shop.url, auth: 'ann', isLive: true, fetch: counted })
    closing.push(() => db.close())
    await vi.waitFor(() => expect(streams()).toBe(1), 30_000)
    for (let n = 0; n < 10; n++) {
      await Promise.all([db.items.insert({ ...lamp, name: `Lamp ${n}` }), shop.sync.engine.stats()])
      await db.sync.now()
    }
    expect(most).toBe(2)
  })
})
