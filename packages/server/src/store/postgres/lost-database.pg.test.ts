import { hasPostgres } from '@holdfast/testing/services'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { type Copy, takeCopy } from '../../given-copies.ts'
import { exampleSchema } from '../../http/given-server.ts'
import { createEngine } from '../../index.ts'
import { doctor } from './maintenance.ts'
import { postgresStore } from './postgres-store.ts'

/** `ReadyForQuery` outside of a transaction, the last that a new session is told. Source: PostgreSQL, chapter 54.7. */
const ready = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])
const fields = 'SFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0'
const length = Buffer.alloc(4)
length.writeInt32BE(4 + fields.length)
const fatal = Buffer.concat([Buffer.from('E'), length, Buffer.from(fields)])

let database: Copy
let way: Server
beforeEach(async () => {
  if (!hasPostgres()) return
  database = await takeCopy(exampleSchema)
  // As a process that was stopped for a moment reads it: that it may ask, and at once that all is over.
  way = createServer((client) => {
    const server = connect(Number(new URL(database.url).port), '127.0.0.1')
    for (const socket of [client, server]) socket.on('error', () => undefined)
    client.pipe(server)
    server.on('data', (bytes) => {
      if (!bytes.subarray(-ready.length).equals(ready)) return client.write(bytes)
      client.end(Buffer.concat([bytes, fatal]))
      return server.destroy()
    })
  })
  way.listen(0, '127.0.0.1')
  await once(way, 'listening')
})
afterEach(async () => {
  if (!hasPostgres()) return
  await new Promise((resolve) => way.close(resolve))
  await database.drop()
})

function urlThrough(): string {
  const url = new URL(database.url)
  // A server that listens has an address of this kind.
  url.port = String((way.address() as AddressInfo).port)
  return url.href
}

describe.skipIf(!hasPostgres())('a database that goes away', () => {
  test('[FE-69] in the moment a session is opened fails what needs it, and ends no process', async () => {
    const store = postgresStore({ url: urlThrough(), pollMs: 0, listen: false })
    const opening = createEngine({ schema: exampleSchema, store, scopes: () => '*' })
    await expect(opening).rejects.toMatchObject({ code: 'STORE_BUSY' })
    const looking = doctor({ url: urlThrough(), schema: exampleSchema })
    await expect(looking).rejects.toMatchObject({ code: 'STORE_BUSY' })
  })
})
