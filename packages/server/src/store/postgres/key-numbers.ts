import { canonicalJson, type Schema, SyncError, type UniqueKey } from '@holdfast/core'
import type { Connection } from './connection.ts'

/** The numbers of the unique keys of collections, in the order of the schema. */
export type KeyNumbers = ReadonlyMap<string, readonly number[]>

/**
 * What decides which records a key holds apart. A key that says the same in a later schema has the same number, wherever it
 * stands there, and one that says something else another: servers of both schemas may run side by side.
 */
export function keySays({ fields, ignoreCase }: Pick<UniqueKey, 'fields' | 'ignoreCase'>): string {
  return canonicalJson({ fields, ignoreCase })
}

/** Reads the numbers of a schema's keys. Errors: STORE_FOREIGN where one has none. */
export async function readKeyNumbers(db: Connection, schema: Schema): Promise<KeyNumbers> {
  const rows = await db.all('SELECT collection, says, key FROM holdfast.key_numbers')
  const known = new Map(
    rows.map((row) => [`${String(row['collection'])} ${String(row['says'])}`, Number(row['key'])]),
  )
  return new Map(
    [...schema.collections.values()].map(({ name, unique }) => [
      name,
      unique.map((key) => {
        const number = known.get(`${name} ${keySays(key)}`)
        if (number === undefined)
          throw new SyncError('STORE_FOREIGN', `the database does not keep the unique keys of ${name}`)
        return number
      }),
    ]),
  )
}
