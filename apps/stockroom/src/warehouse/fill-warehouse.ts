import { createHash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'

import { newUuid } from '@holdfast/core'

import { stockList } from './stock-list.ts'

const columns = ['name', 'sku', 'category', 'price', 'stock', 'minimum', 'tags', 'notes', 'location'] as const

/**
 * Puts the items into the server's table if it is empty, the way any import script would: plain INSERTs in one
 * transaction, on a connection of its own. Holdfast's triggers notice them like every other writer's.
 */
export function fillWarehouse(storePath: string): void {
  const database = new DatabaseSync(storePath)
  try {
    if (database.prepare('SELECT 1 FROM items LIMIT 1').get() !== undefined) return
    const places = columns.map(() => '?').join(', ')
    const insert = database.prepare(`INSERT INTO items (id, ${columns.join(', ')}) VALUES (?, ${places})`)
    database.exec('BEGIN IMMEDIATE')
    for (const [index, item] of stockList().entries()) {
      const values = columns.map((column) => (column === 'tags' ? JSON.stringify(item.tags) : item[column]))
      insert.run(itemId(index), ...values)
    }
    database.exec('COMMIT')
  } finally {
    database.close()
  }
}

/** The id of the item at `index` of the list: the same in every warehouse. */
function itemId(index: number): string {
  const digest = createHash('sha256').update(`item ${index}`).digest()
  return newUuid({
    now: () => Date.UTC(2026, 0, 1) + index,
    randomBytes: (bytes) => {
      bytes.set(digest.subarray(0, bytes.length))
      return bytes
    },
  })
}
