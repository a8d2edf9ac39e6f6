import { type CollectionSchema, isObject, type Schema, type UniqueKey } from '@holdfast/core'
import { quoteText } from '../columns.ts'
import type { Connection } from '../connection.ts'
import { keySays } from '../key-numbers.ts'
import type { describedCollections } from './schema-change.ts'
import type { MigrationStep } from './steps.ts'

/** A unique key that the database keeps. */
interface KeptKey {
  readonly collection: string
  readonly says: string
  /** Whether every row was read for it. */
  readonly isRead: boolean
}

/** What the database keeps of unique keys. */
export interface KeptKeys {
  readonly keys: readonly KeptKey[]
  /** What brings the keys of an older layout, which had their places for numbers, to this one. */
  readonly steps: readonly MigrationStep[]
}

/** Reads which keys are kept; before a layout with numbers those of the schema that the database was made for. */
export async function keptKeys(
  db: Connection,
  before: ReturnType<typeof describedCollections>,
): Promise<KeptKeys> {
  const there = await db.get(`SELECT to_regclass('holdfast.key_numbers') IS NOT NULL AS there`)
  if (there?.['there'] === true) {
    const rows = await db.all('SELECT collection, says, is_read FROM holdfast.key_numbers')
    const keys = rows.map((row) => ({
      collection: String(row['collection']),
      says: String(row['says']),
      isRead: row['is_read'] === true,
    }))
    return { keys, steps: [] }
  }
  const keys = [...before].flatMap(([collection, { unique }]) =>
    (Array.isArray(unique) ? unique : [])
      .filter((key): key is UniqueKey => isObject(key))
      .map((key, place) => ({ collection, says: keySays(key), isRead: true, place })),
  )
  if (keys.length === 0) return { keys, steps: [] }
  const values = keys.map(
    ({ collection, says, place }) => `(${quoteText(collection)}, ${quoteText(says)}, ${place}, true)`,
  )
  const sql = `INSERT INTO holdfast.key_numbers (collection, says, key, is_read) VALUES ${values.join(', ')} ON CONFLICT DO NOTHING`
  return { keys, steps: [{ kind: 'structure', says: 'number the unique keys that there are', sql }] }
}

/** Which of a collection's keys are new, and which rows are still to be read for. */
export function missingKeys(
  { name, unique }: CollectionSchema,
  { keys }: KeptKeys,
): { readonly steps: readonly MigrationStep[]; readonly isUnread: boolean } {
  const wanted = unique.map(keySays)
  const known = new Map(keys.flatMap((key) => (key.collection === name ? [[key.says, key.isRead]] : [])))
  const added = wanted.filter((says) => !known.has(says))
  const values = added.map((says) => `(${quoteText(name)}, ${quoteText(says)})`)
  const sql = `INSERT INTO holdfast.key_numbers (collection, says) VALUES ${values.join(', ')} ON CONFLICT DO NOTHING`
  return {
    steps:
      added.length === 0
        ? []
        : [{ kind: 'structure', says: `keep the unique keys of ${name} that are new`, sql }],
    isUnread: wanted.some((says) => known.get(says) !== true),
  }
}

/**
 * At the end all rows were read for the schema's keys, and what else was kept of its collections is given up. A collection
 * that it does not have is left as it is.
 */
export function settleKeysSql({ collections }: Schema): string {
  const all = [...collections.values()]
  const wanted = all.flatMap(({ name, unique }) =>
    unique.map((key) => `(${quoteText(name)}, ${quoteText(keySays(key))})`),
  )
  const names = all.map(({ name }) => quoteText(name)).join(', ')
  const isWanted = wanted.length === 0 ? 'false' : `(k.collection, k.says) IN (${wanted.join(', ')})`
  return `UPDATE holdfast.key_numbers k SET is_read = true WHERE ${isWanted} AND NOT k.is_read;
DELETE FROM holdfast.key_numbers k WHERE k.collection IN (${names}) AND NOT (${isWanted});
DELETE FROM holdfast.unique_keys u WHERE u.collection IN (${names})
  AND NOT EXISTS (SELECT 1 FROM holdfast.key_numbers k WHERE k.collection = u.collection AND k.key = u.key);
DELETE FROM holdfast.foreign_writes w WHERE w.collection IN (${names})
  AND NOT EXISTS (SELECT 1 FROM holdfast.key_numbers k WHERE k.collection = w.collection AND (w.keys IS NULL OR k.key = ANY (w.keys)))`
}
