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
import { type DevicePair, openByHand } from './other-device-by-hand.ts'
import type { Samples } from './samples.ts'

/**
 * From the call of a write on one device until the other has it: push, commit, NOTIFY, stream, pull and apply, with the other
 * at the same node, at another node, and by hand at another node, in turns. Changes are further apart than
 * `limits.pokeIntervalMs`. Devices, nodes and PostgreSQL are durable.
 */
export async function measureOtherDevice(serverUrl: string, samples: Samples, count: number): Promise<void> {
  const items = await givenItems(serverUrl)
  await items.close()
  const folder = mkdtempSync(join(import.meta.dirname, 'devices-'))
  const start = (entry: string) => async () => {
    const port = await freePort()
    return startServer(new URL(entry, import.meta.url), { file: items.url, port, isCounting: false })
  }
  const node = start('./postgres-node.ts')
  const nodes = [await node(), await node(), await node()]
  const urls = nodes.map(({ url }) => url)
  const pairs = [
    { name: 'same node', pair: await openPair(folder, { writer: urls[0] ?? '', reader: urls[0] ?? '' }) },
    { name: 'other device', pair: await openPair(folder, { writer: urls[1] ?? '', reader: urls[2] ?? '' }) },
    { name: 'by hand', pair: await openByHand(folder, items.url, start('./hand-node.ts')) },
  ]
  for (let at = 1; at <= count; at++) {
    for (const { name, pair } of pairs) {
      await pause(150)
      const ms = await pair.write(at)
      // Until streams are open, devices hear of changes by their timers.
      if (at > 5) samples.note(name, ms)
    }
  }
  for (const { pair } of pairs) await pair.close()
  for (const each of nodes) await each.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function openPair(
  folder: string,
  { writer: writerUrl, reader: readerUrl }: { readonly writer: string; readonly reader: string },
): Promise<DevicePair> {
  const open = (server: string) =>
    openClient({
      schema,
      storage: sqliteStorage(join(mkdtempSync(join(folder, 'device-')), 'device.db')),
      server,
      auth: 'bench',
      durability: 'full',
      sync: { auto: true },
    })
  const [writer, reader] = [await open(writerUrl), await open(readerUrl)]
  const id = await writer.items.insert({ warehouse: 'w1', name: 'one', description: '', stock: 0 })
  await writer.sync.now()
  await reader.sync.now()
  const calls = new Calls<readonly { readonly stock: number }[]>()
  const first = calls.next()
  reader.watch((q) => q.selectFrom('items').select('stock').where('id', '=', id), calls.receive)
  await first
  return {
    write: async (stock) => {
      const call = calls.next()
      const startedMs = performance.now()
      await writer.items.update(id, { stock })
      const { value, atMs } = await call
      expectSame('stock at the reader', value[0]?.stock, stock)
      return atMs - startedMs
    },
    close: async () => {
      await writer.close()
      await reader.close()
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
