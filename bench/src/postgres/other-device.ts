import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { Calls } from '../calls.ts'
import { expectSame } from '../measurement.ts'
import { startServer } from '../server-process.ts'
import { givenItems, schema } from './given-items.ts'
import type { Samples } from './samples.ts'

/**
 * From the call of a write on one device until the other, at another node, has it: push, commit, NOTIFY, stream, pull and
 * apply. Changes are further apart than `limits.pokeIntervalMs`. Devices, nodes and PostgreSQL are durable.
 */
export async function measureOtherDevice(serverUrl: string, samples: Samples, count: number): Promise<void> {
  const items = await givenItems(serverUrl)
  await items.close()
  const folder = mkdtempSync(join(import.meta.dirname, 'devices-'))
  const ports = [await freePort(), await freePort()]
  const entry = new URL('./postgres-node.ts', import.meta.url)
  const nodes = await Promise.all(
    ports.map((port) => startServer(entry, { file: items.url, port, isCounting: false })),
  )
  const open = (at: number) =>
    openClient({
      schema,
      storage: sqliteStorage(join(folder, `device-${at}.db`)),
      server: `http://127.0.0.1:${ports[at]}`,
      auth: 'bench',
      durability: 'full',
      sync: { auto: true },
    })
  const [writer, reader] = [await open(0), await open(1)]
  const id = await writer.items.insert({ warehouse: 'w1', name: 'one', description: '', stock: 0 })
  await writer.sync.now()
  await reader.sync.now()
  const calls = new Calls<readonly { readonly stock: number }[]>()
  const first = calls.next()
  reader.watch((q) => q.selectFrom('items').select('stock'), calls.receive)
  await first
  for (let at = 1; at <= count; at++) {
    await pause(150)
    const call = calls.next()
    const startedMs = performance.now()
    await writer.items.update(id, { stock: at })
    const { value, atMs } = await call
    expectSame('stock at the reader', value[0]?.stock, at)
    // Until streams are open, devices hear of changes by their timers.
    if (at > 5) samples.note('other device', atMs - startedMs)
  }
  await writer.close()
  await reader.close()
  for (const node of nodes) await node.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
