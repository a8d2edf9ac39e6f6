import type { Schema } from '@holdfast/core'
import type { DatabaseSync } from 'node:sqlite'

import type { DeviceDump, DumpedRow } from '../check/observation.ts'
import { damageIn, dumpConflicts, dumpedRow, marksIn, quoted, tableNames } from './dump-rows.ts'

/** What the tables of a device hold, beside its outbox. */
export function dumpDevice(
  database: DatabaseSync,
  schema: Schema,
  markOf: (text: string) => readonly string[],
): Pick<
  DeviceDump,
  | 'collections'
  | 'conflicts'
  | 'retained'
  | 'shadowCount'
  | 'stagedCount'
  | 'quarantineCount'
  | 'scopesSeen'
  | 'damage'
> {
  const tables = tableNames(database)
  const count = (table: string): number =>
    tables.includes(table) ? Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']) : 0
  const collections: Record<string, readonly DumpedRow[]> = {}
  for (const collection of schema.collections.values()) {
    if (!tables.includes(collection.name) || collection.name.startsWith('_')) continue
    const rows = database.prepare(`SELECT * FROM ${quoted(collection.name)} ORDER BY id`).all()
    collections[collection.name] = rows.map((row) => dumpedRow(collection, row, '_'))
  }
  return {
    collections,
    conflicts: tables.includes('_conflicts') ? dumpConflicts(database, '_conflicts') : [],
    retained: tables.includes('_retained')
      ? database
          .prepare(
            "SELECT id FROM _retained WHERE hash <> '' OR device = (SELECT value FROM _meta WHERE key = 'device') ORDER BY n",
          )
          .all()
          .map(({ id }) => String(id))
      : [],
    shadowCount: count('_shadow'),
    stagedCount: count('_staging'),
    quarantineCount: count('_quarantine'),
    scopesSeen: marksIn(database, tables, markOf),
    damage: [
      ...damageIn(database),
      ...(tables.includes('_deleted') ? bothIn(database, Object.keys(collections)) : []),
    ],
  }
}

/** Records that a file has as a row and as a deleted one. */
function bothIn(database: DatabaseSync, collections: readonly string[]): readonly string[] {
  return collections.flatMap((name) =>
    database
      .prepare(
        `SELECT d.record FROM _deleted d JOIN ${quoted(name)} t ON t.id = d.record WHERE d.collection = ?`,
      )
      .all(name)
      .map(({ record }) => `${name}/${record} is there and deleted`),
  )
}
