import { join } from 'node:path'

import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'

import { schema } from './schema.ts'

/** Cleo's app, started by the story that kills it: takes the catalogue, sells a disc, and pushes until it dies. */
interface Order {
  readonly url: string
  readonly folder: string
  readonly filmId: string
  readonly token: string
}

// The tour, its only caller, writes the argument in this shape.
const { url, folder, filmId, token } = JSON.parse(process.argv[2] ?? '') as Order

const db = await openClient({
  schema,
  storage: sqliteStorage(join(folder, 'cleo.sqlite')),
  server: url,
  auth: token,
  sync: { auto: false },
})
await db.sync.now()
await db.films.increment(filmId, { stock: -1 })
await db.sync.now()
