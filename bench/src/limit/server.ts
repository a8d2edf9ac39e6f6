/**
 * The least a server must do: node:http, node:sqlite, JSON rows. It keeps rows with a version, refuses to apply an
 * entry twice, answers pages by key and changes by version, and tells waiting devices that there is something new.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { gunzipSync } from 'node:zlib'
import type { Item } from '../inventory.ts'
import { hostServer, serverArguments } from '../server-process.ts'
import { columnsOf, type Entry, type VersionedItem } from './local-store.ts'

type StoredItem = Omit<VersionedItem, 'tags'> & { readonly tags: string }

/** A push as it travels. */
interface Push {
  readonly device: string
  readonly entries: readonly Entry[]
}

const pageRows = 1_000

// The same pragmas as the library's server.
const database = new DatabaseSync(serverArguments().file)
database.exec(`
  PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -65536;
  CREATE TABLE IF NOT EXISTS items (
    id TEXT PRIMARY KEY, sku TEXT, name TEXT, description TEXT, stock INTEGER, price TEXT, tags TEXT, warehouse TEXT,
    counted TEXT, version INTEGER);
  CREATE INDEX IF NOT EXISTS items_by_name ON items (warehouse, name);
  CREATE UNIQUE INDEX IF NOT EXISTS items_by_version ON items (version);
  CREATE TABLE IF NOT EXISTS devices (device TEXT PRIMARY KEY, seq INTEGER)`)

const begin = database.prepare('BEGIN IMMEDIATE')
const commit = database.prepare('COMMIT')
const head = database.prepare('SELECT coalesce(max(version), 0) AS n FROM items')
const lastSeq = database.prepare('SELECT seq FROM devices WHERE device = ?')
const setSeq = database.prepare('INSERT OR REPLACE INTO devices VALUES (?, ?)')
const insert = database.prepare('INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
const update = database.prepare(
  'UPDATE items SET stock = coalesce(?, stock), price = coalesce(?, price), version = ? WHERE id = ?',
)
const pageByKey = database.prepare('SELECT * FROM items WHERE id > ? ORDER BY id LIMIT ?')
const pageByVersion = database.prepare('SELECT * FROM items WHERE version > ? ORDER BY version LIMIT ?')

const counts = { pushBytes: 0, pushBytesPlain: 0 }
const waiting = new Set<ServerResponse>()

hostServer({ server: createServer(handle), counts, close: () => database.close() })

function handle(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://localhost')
  if (url.pathname === '/push') receivePush(request, response)
  else if (url.pathname === '/snapshot') {
    const cursor = versionHead()
    sendPage(response, pageByKey.all(url.searchParams.get('after') ?? '', pageRows), cursor)
  } else if (url.pathname === '/changes') {
    sendPage(response, pageByVersion.all(Number(url.searchParams.get('since')), pageRows), versionHead())
  } else {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    waiting.add(response)
    response.on('close', () => waiting.delete(response))
  }
}

function versionHead(): number {
  return Number(head.get()?.['n'])
}

function sendPage(response: ServerResponse, rows: readonly unknown[], cursor: number): void {
  // Only this file writes the table.
  const parsed = (rows as StoredItem[]).map((row) => ({ ...row, tags: JSON.parse(row.tags) as string[] }))
  sendJson(response, { rows: parsed, cursor, more: rows.length === pageRows })
}

function sendJson(response: ServerResponse, answer: unknown): void {
  const body = Buffer.from(JSON.stringify(answer))
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
}

function receivePush(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks)
    const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
    counts.pushBytes += body.length
    counts.pushBytesPlain += plain.length
    // Only devices of this benchmark talk to it.
    const push = JSON.parse(plain.toString()) as Push
    sendJson(response, { seq: applyPush(push), count: push.entries.length })
    for (const device of waiting) device.write('data: poke\n\n')
  })
}

/** All entries in one transaction; those it has seen are passed over. Returns the newest number it has. */
function applyPush({ device, entries }: Push): number {
  begin.run()
  let seq = Number(lastSeq.get(device)?.['seq'] ?? 0)
  let version = versionHead()
  for (const entry of entries) {
    if (entry.seq <= seq) continue
    seq = entry.seq
    version += 1
    const { changes } = entry
    // A create carries the whole row.
    if (entry.op === 'create') insert.run(...columnsOf(changes as Item, version))
    else update.run(changes.stock ?? null, changes.price ?? null, version, entry.record)
  }
  setSeq.run(device, seq)
  commit.run()
  return seq
}
