/** The library's server as its users run it: on SQLite, in a process of its own, behind node:http. */
import { gunzipSync } from 'node:zlib'
import { createServer, sqliteStore } from '@holdfast/server'
import { createAdaptorServer } from '@hono/node-server'
import { hostServer, serverArguments } from '../server-process.ts'
import { schema } from './schema.ts'

const { file, isCounting } = serverArguments()
const counts = { pushBytes: 0, pushBytesPlain: 0 }
const sync = await createServer({
  schema,
  store: sqliteStore(file),
  authenticate: (request) =>
    request.headers.get('authorization') === 'Bearer bench' ? { id: 'bench' } : null,
  scopes: () => '*',
  // All of the devices are of one user.
  limits: { shareOfUser: 1 },
})

const fetch = isCounting ? countAndFetch : sync.fetch
hostServer({ server: createAdaptorServer({ fetch }), counts, close: sync.close })

/** Reading the body twice costs time, so a server only counts when nothing is timed. */
async function countAndFetch(request: Request): Promise<Response> {
  if (new URL(request.url).pathname === '/sync/push') {
    const body = await request.clone().arrayBuffer()
    const isPacked = request.headers.get('content-encoding') === 'gzip'
    counts.pushBytes += body.byteLength
    counts.pushBytesPlain += isPacked ? gunzipSync(body).length : body.byteLength
  }
  return sync.fetch(request)
}
