import { type CollectionSchema, digestSql, type RangeSum, type Schema } from '@holdfast/core'
import type { LocalReader } from '../local/local-database.ts'
import { quoteName } from '../local/tables.ts'

/**
 * The server's copy of every live row of a collection as this device has it: what the person made of it since is not in
 * it. Columns: `record`, `version`, `scopes`, and `x`, the last digits of the id as a number; SQLite reads hexadecimal
 * numbers in JSON alone.
 */
export function heldRows(collection: CollectionSchema): string {
  const x = (column: string): string => `('0x' || substr(${column}, -7)) ->> '$' AS x`
  return (
    `SELECT t.id AS record, t._version AS version, t._scopes AS scopes, ${x('t.id')} FROM ${quoteName(collection.name)} t ` +
    `WHERE t._version > 0 AND NOT EXISTS (SELECT 1 FROM _shadow h WHERE h.collection = '${collection.name}' AND h.record = t.id) ` +
    `UNION ALL SELECT record, version, scopes, ${x('record')} FROM _shadow WHERE collection = '${collection.name}' AND deleted = 0`
  )
}

/** What this device holds, by collection and scope. */
export interface HeldSums {
  readonly collection: string
  readonly scope: string
  readonly sums: readonly RangeSum[]
}

/** Sums up what this device holds in each scope, in one scan of each table. Rules: CS-2. */
export async function readHeldSums(tx: LocalReader, schema: Schema): Promise<readonly HeldSums[]> {
  const names = new Map<string, string>()
  for (const { n, name } of await tx.all('SELECT n, name FROM _scopes')) names.set(String(n), String(name))
  const held = new Map<string, { collection: string; scope: string; sums: RangeSum[] }>()
  for (const collection of schema.collections.values()) {
    const rows = `SELECT scopes, x, version AS v FROM (${heldRows(collection)})`
    for (const row of await tx.all(`WITH ${digestSql(rows, ['scopes'])}`)) {
      const sum = { part: Number(row['part']), rows: Number(row['n']), sum: Number(row['total']) }
      for (const n of String(row['scopes']).split(',').filter(Boolean)) {
        const scope = names.get(n) ?? ''
        const key = `${collection.name}/${scope}`
        const sums = held.get(key) ?? { collection: collection.name, scope, sums: [] }
        held.set(key, sums)
        sums.sums.push(sum)
      }
    }
  }
  return [...held.values()]
}
