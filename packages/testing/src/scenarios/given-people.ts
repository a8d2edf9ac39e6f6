import { type Client, type ClientOptions, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import type { Schema } from '@holdfast/core'
import { createServer, type HoldfastServer, sqliteStore } from '@holdfast/server'

import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'

/** People with an app on devices of their own and a real server between them, all on one virtual clock. */
export interface People<App extends Schema> {
  readonly env: VirtualEnvironment
  readonly server: HoldfastServer
  /** Opens the app for a user, in memory unless said; it syncs when told to. */
  open(user: string, options?: Pick<ClientOptions<App>, 'storage' | 'durability'>): Promise<Client<App>>
  /** One cycle of each, one after the other. */
  sync(...all: readonly Client<App>[]): Promise<void>
  close(): Promise<void>
}

/** For tests: nobody has opened the app yet, and everybody is granted these scopes. */
export async function givenPeople<App extends Schema>(
  schema: App,
  scopes: readonly string[],
): Promise<People<App>> {
  const env = createVirtualEnvironment({ seed: 1 })
  const clients: Client<App>[] = []
  const server = await createServer({
    schema,
    store: sqliteStore(':memory:'),
    env,
    authenticate: (request) => ({ id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '' }),
    scopes: () => scopes,
  })
  env.connect((request) => server.fetch(request))
  return {
    env,
    server,
    open: async (user, options) => {
      const db = await openClient({
        schema,
        storage: sqliteStorage(':memory:'),
        server: 'https://shop.example',
        auth: user,
        env,
        sync: { auto: false },
        ...options,
      })
      clients.push(db)
      return db
    },
    sync: async (...all) => {
      for (const db of all) await env.complete(db.sync.now())
    },
    close: async () => {
      for (const db of clients) await db.close()
      await server.close()
    },
  }
}
