/**
 * `npm run bench:browser -- [--rounds 3] [--rows 100000]`: the client in a page of Chromium beside the same SQLite build
 * driven by hand in the same page: what a write, a block of writes, a live query and the first sync cost.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import { parseArgs } from 'node:util'

import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createServer, sqliteStore } from '@holdfast/server'
import { chromiumArguments, chromiumPath, ensureChromium } from '@holdfast/testing/services'
import { createAdaptorServer } from '@hono/node-server'
import { chromium, type Page } from 'playwright'
import { build } from 'vite'

import { makeItems } from '../inventory.ts'
import { percentile } from '../measurement.ts'
import { schema } from '../ours/schema.ts'
import type { BenchPage } from './page/main.ts'

declare global {
  // What the page puts there.
  var bench: BenchPage
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, rows: { type: 'string', default: '100000' } },
})
const rounds = Number(values.rounds)
const rows = Number(values.rows)

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
}

/** A server with all rows and the page, on one origin. */
async function serve(folder: string): Promise<{ readonly url: string; close(): Promise<void> }> {
  const outDir = join(folder, 'page')
  const root = join(import.meta.dirname, 'page')
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    build: { outDir, target: 'es2023' },
    worker: { format: 'es' },
  })
  const files = new Map(
    readdirSync(outDir, { recursive: true, withFileTypes: true })
      .filter((file) => file.isFile())
      .map((file) => {
        const path = join(file.parentPath, file.name)
        return [path.slice(outDir.length).replace('/index.html', '/'), path]
      }),
  )
  const sync = await createServer({
    schema,
    store: sqliteStore(join(folder, 'server.db')),
    authenticate: () => ({ id: 'bench' }),
    scopes: () => '*',
  })
  const http = createAdaptorServer({
    fetch: (request) => {
      const file = files.get(new URL(request.url).pathname)
      if (request.method !== 'GET' || file === undefined) return sync.fetch(request)
      return new Response(readFileSync(file), { headers: { 'content-type': types[extname(file)] ?? '' } })
    },
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  // A TCP server that listens has an address of this kind.
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const db = await openClient({
    schema,
    storage: sqliteStorage(':memory:'),
    server: url,
    auth: 'bench',
    sync: { auto: false },
  })
  await db.items.insertMany(makeItems(rows))
  const { status } = await db.sync.now()
  if (status !== 'done') throw new Error(`the server was not filled: ${status}`)
  await db.close()
  const close = async (): Promise<void> => {
    await sync.close()
    if ('closeAllConnections' in http) http.closeAllConnections()
    http.close()
  }
  return { url, close }
}

const results: Record<string, number[]> = {}
const note = (name: string, value: number): void => void (results[name] ??= []).push(value)

async function measure(page: Page): Promise<void> {
  const single = await page.evaluate(() => bench.single(1_000))
  note('single durable write, raw /s', single.raw)
  note('single durable write, ours /s', single.ours)
  note('single durable write, ratio (goal >= 0.5)', single.ours / single.raw)
  const bulk = await page.evaluate(() => bench.bulk(20_000))
  note('bulk, raw rows/s', bulk.raw)
  note('bulk, raw with an outbox entry for each row, rows/s', bulk.queued)
  note('bulk, ours rows/s', bulk.ours)
  note('bulk, ratio (goal >= 0.6)', bulk.ours / bulk.raw)
  note('bulk, ratio to raw with outbox entries', bulk.ours / bulk.queued)
  const live = await page.evaluate(() => bench.live(10_000, 100))
  note('live query over 10,000 rows, raw p95 ms', percentile(live.raw, 0.95))
  note('live query over 10,000 rows, ours p50 ms', percentile(live.ours, 0.5))
  note('live query over 10,000 rows, ours p95 ms (goal < 16)', percentile(live.ours, 0.95))
  const kept = await page.evaluate(() => bench.indexedDb(300, 20_000))
  note('in IndexedDB, single durable write /s', kept.single)
  note('in IndexedDB, bulk rows/s', kept.bulk)
  note('in IndexedDB, opening 20,000 rows that wait ms', kept.openMs)
  const first = await page.evaluate((count) => bench.firstSync(count), rows)
  note(`first sync, by hand rows/s`, first.raw)
  note(`first sync, ours rows/s`, first.ours)
  note(`first sync, ratio (goal >= 0.4)`, first.ours / first.raw)
  note('first sync, longest task of the page ms (goal < 50)', first.longestTaskMs)
}

if (!ensureChromium()) process.exit(0)
const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
const server = await serve(folder)
try {
  process.stdout.write(
    `${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, ${rounds} rounds, ${rows} rows\n`,
  )
  for (let round = 0; round < rounds; round++) {
    // A profile of its own: each round begins with nothing stored.
    const context = await chromium.launchPersistentContext(join(folder, `profile-${round}`), {
      executablePath: chromiumPath(),
      headless: true,
      args: [...chromiumArguments],
    })
    if (round === 0) process.stdout.write(`Chromium ${context.browser()?.version() ?? ''}\n`)
    const page = await context.newPage()
    await page.goto(server.url)
    await page.waitForFunction(() => 'bench' in globalThis)
    await measure(page)
    await context.close()
  }
} finally {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
}
for (const [name, found] of Object.entries(results)) {
  const shown = [percentile(found, 0.5), Math.min(...found), Math.max(...found)].map((n) =>
    n.toFixed(n < 10 ? 2 : 0),
  )
  process.stdout.write(`${name.padEnd(60)} ${shown[0]?.padStart(9)}  (${shown[1]}-${shown[2]})\n`)
}
process.stdout.write(`load at the end ${loadavg()[0]?.toFixed(1)}\n`)
