/** A node over the PostgreSQL of the run, in a process of its own, behind node:http. `file` is the database's address. */
import { createServer, postgresStore } from '@holdfast/server'
import { createAdaptorServer } from '@hono/node-server'
import { hostServer, serverArguments } from '../server-process.ts'
import { schema } from './given-items.ts'

const sync = await createServer({
  schema,
  store: postgresStore(serverArguments().file),
  authenticate: () => ({ id: 'ann' }),
  scopes: () => ['warehouse:w1'],
  // All of the devices are of one user.
  limits: { shareOfUser: 1 },
})
hostServer({
  server: createAdaptorServer({ fetch: sync.fetch }),
  counts: { pushBytes: 0, pushBytesPlain: 0 },
  close: sync.close,
})
