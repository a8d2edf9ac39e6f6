import { createHash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'

import { newUuid } from '@holdfast/core'

import type { CatalogueFilm } from './catalogue.ts'

const columns = [
  'title',
  'description',
  'director',
  'genre',
  'year',
  'price',
  'stock',
  'tags',
  'notes',
  'shelf',
  'branch',
] as const

/**
 * Puts the films into the server's table the way any import script would: plain INSERTs in one transaction, on a
 * connection of its own. Holdfast's triggers notice them like every other writer's.
 */
export function importCatalogue(storePath: string, films: readonly CatalogueFilm[]): void {
  const database = new DatabaseSync(storePath)
  try {
    const places = columns.map(() => '?').join(', ')
    const insert = database.prepare(`INSERT INTO films (id, ${columns.join(', ')}) VALUES (?, ${places})`)
    database.exec('BEGIN IMMEDIATE')
    for (const [index, film] of films.entries()) {
      const values = columns.map((column) => (column === 'tags' ? JSON.stringify(film.tags) : film[column]))
      insert.run(filmId(index), ...values)
    }
    database.exec('COMMIT')
  } finally {
    database.close()
  }
}

/** The id of the film at `index` of the catalogue: the same in every run, and in the catalogue's order. */
function filmId(index: number): string {
  const digest = createHash('sha256').update(`film ${index}`).digest()
  return newUuid({
    now: () => Date.UTC(2026, 0, 1) + index,
    randomBytes: (bytes) => {
      bytes.set(digest.subarray(0, bytes.length))
      return bytes
    },
  })
}
