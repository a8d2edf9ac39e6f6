/**
 * The least two nodes over one PostgreSQL must do for a change to come from one device to another: a row is written, NOTIFY
 * tells the other node after the commit, a stream tells the device, and a request reads what is new. `file` is the database's
 * address.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Client } from 'pg'
import { hostServer, serverArguments } from '../server-process.ts'

const [sql, listener] = [serverArguments().file, serverArguments().file].map(
  (connectionString) => new Client({ connectionString }),
) as [Client, Client]
await sql.connect()
await listener.connect()
await listener.query('LISTEN by_hand')
const readers = new Set<ServerResponse>()
listener.on('notification', () => {
  for (const reader of readers) reader.write('event: poke\ndata: {}\n\n')
})

const routes: Readonly<Record<string, (text: string, response: ServerResponse) => Promise<void>>> = {
  '/stream': async (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    readers.add(response)
    response.on('close', () => readers.delete(response))
  },
  '/push': async (text, response) => {
    const { id, stock } = JSON.parse(text) as { readonly id: string; readonly stock: number }
    const { rows } = await sql.query(
      `INSERT INTO by_hand (id, stock, version) VALUES ($1, $2, nextval('by_hand_versions'))
       ON CONFLICT (id) DO UPDATE SET stock = excluded.stock, version = excluded.version RETURNING version`,
      [id, stock],
    )
    response.end(JSON.stringify(rows))
    await sql.query('NOTIFY by_hand')
  },
  '/pull': async (text, response) => {
    const { rows } = await sql.query('SELECT * FROM by_hand WHERE version > $1', [JSON.parse(text)])
    response.end(JSON.stringify(rows))
  },
}

function handle(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => void routes[request.url ?? '']?.(Buffer.concat(chunks).toString(), response))
}

hostServer({
  server: createServer(handle),
  counts: { pushBytes: 0, pushBytesPlain: 0 },
  close: async () => {
    await sql.end()
    await listener.end()
  },
})
