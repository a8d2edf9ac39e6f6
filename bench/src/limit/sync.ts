import { gzipSync } from 'node:zlib'
import type { Item } from '../inventory.ts'
import type { Entry, LocalStore, VersionedItem } from './local-store.ts'

/** Entries per request. */
const batchEntries = 500

/** A page as it travels. */
interface Page {
  readonly rows: readonly VersionedItem[]
  readonly cursor: number
  readonly more: boolean
}

/** Sends every entry in batches, one after the other, and settles each batch when the server has it. */
export async function pushAll(store: LocalStore, url: string, device: string): Promise<void> {
  for (let entries = store.entries(batchEntries); entries.length > 0; entries = store.entries(batchEntries)) {
    store.settle(await sendPush(url, JSON.stringify({ device, entries })))
  }
}

/** Sends one entry per record with what all its entries come to, in one compressed request. */
export async function pushFolded(store: LocalStore, url: string, device: string): Promise<number> {
  const folded = new Map<string, Entry>()
  for (const entry of store.entries(1_000_000)) {
    const changes: Partial<Item> = { ...folded.get(entry.record)?.changes, ...entry.changes }
    folded.set(entry.record, { ...entry, changes })
  }
  const entries = [...folded.values()].sort((left, right) => left.seq - right.seq)
  store.settle(await sendPush(url, gzipSync(JSON.stringify({ device, entries }))))
  return entries.length
}

async function sendPush(url: string, body: string | Uint8Array<ArrayBuffer>): Promise<number> {
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (typeof body !== 'string') headers['content-encoding'] = 'gzip'
  const response = await fetch(`${url}/push`, { method: 'POST', headers, body })
  // The server is server.ts beside this file.
  return ((await response.json()) as { seq: number }).seq
}

/** Every row in key order, a transaction per page; the next page is on its way while one is stored. */
export async function pullSnapshot(store: LocalStore, url: string): Promise<void> {
  let first: number | undefined
  let next: Promise<Page> | undefined = readPage(`${url}/snapshot?after=`)
  while (next !== undefined) {
    const page: Page = await next
    first ??= page.cursor
    next = page.more ? readPage(`${url}/snapshot?after=${page.rows.at(-1)?.id ?? ''}`) : undefined
    // The request leaves in the next turn of the event loop, and storing would hold that up.
    await new Promise(setImmediate)
    store.apply(page.rows, first)
  }
}

/** What has changed since the last pull. */
export async function pullChanges(store: LocalStore, url: string): Promise<void> {
  for (let more = true; more; ) {
    const page = await readPage(`${url}/changes?since=${store.cursor()}`)
    store.apply(page.rows, page.rows.at(-1)?.version ?? store.cursor())
    more = page.more
  }
}

async function readPage(url: string): Promise<Page> {
  // The server is server.ts beside this file.
  return (await (await fetch(url)).json()) as Page
}

/** Calls `onPoke` whenever the server has something new; resolves when it listens. */
export async function followPokes(url: string, onPoke: () => void): Promise<void> {
  const response = await fetch(`${url}/stream`)
  const reader = response.body?.getReader()
  const read = async (): Promise<void> => {
    while (reader !== undefined && !(await reader.read()).done) onPoke()
  }
  // Ends with an error when the server is stopped, which is how this benchmark ends.
  read().catch(() => undefined)
}
