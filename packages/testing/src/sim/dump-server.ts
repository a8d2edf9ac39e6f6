import { type Schema, scopesOfRow } from '@holdfast/core'
import type { DatabaseSync } from 'node:sqlite'

import type { DumpedRow, ServerDump } from '../check/observation.ts'
import { readEscrow } from './server-witness.ts'
import { damageIn, dumpConflicts, dumpedRow, quoted, tableNames } from './dump-rows.ts'

type Deleted = { readonly id: string; readonly version: number }

/**
 * What the server's tables hold. Scopes of records follow from their fields by the schema; those of conflicts, which
 * have no template, are taken from the feed under `_conflicts/<id>`.
 */
export function dumpServer(database: DatabaseSync, schema: Schema): ServerDump {
  const tables = tableNames(database)
  const collections: Record<string, readonly DumpedRow[]> = {}
  const deleted: Record<string, readonly Deleted[]> = {}
  const scopes: Record<string, readonly string[]> = {}
  const hasTables = tables.includes('holdfast_state')
  for (const collection of schema.collections.values()) {
    if (!tables.includes(collection.name)) continue
    const rows = database.prepare(`SELECT * FROM ${quoted(collection.name)} ORDER BY id`).all()
    const isLive = (row: (typeof rows)[number]): boolean => (row['deleted_at'] ?? null) === null
    const live = rows.filter(isLive).map((row) => dumpedRow(collection, row, ''))
    collections[collection.name] = live
    for (const { id, values } of live)
      scopes[`${collection.name}/${id}`] = scopesOfRow(collection.scopes, values)
    const tombstones = database
      .prepare('SELECT record AS id, version FROM holdfast_tombstones WHERE collection = ? ORDER BY record')
      .all(collection.name)
    deleted[collection.name] = [...rows.filter((row) => !isLive(row)), ...tombstones].map((row) => ({
      id: String(row['id']),
      version: Number(row['version']),
    }))
  }
  if (hasTables) Object.assign(scopes, scopesOfConflicts(database))
  return {
    epoch: hasTables ? String(database.prepare('SELECT epoch FROM holdfast_state').get()?.['epoch']) : '',
    collections,
    deleted,
    scopes,
    conflicts: hasTables ? dumpConflicts(database, 'holdfast_conflicts') : [],
    escrow: readEscrow(database),
    damage: damageIn(database),
  }
}

function scopesOfConflicts(database: DatabaseSync): Readonly<Record<string, readonly string[]>> {
  const scopes: Record<string, string[]> = {}
  const entries = database
    .prepare(
      "SELECT record, scope FROM holdfast_feed WHERE collection = '_conflicts' AND op = 'put' AND scope <> '' ORDER BY record, scope",
    )
    .all()
  for (const { record, scope } of entries) (scopes[`_conflicts/${record}`] ??= []).push(String(scope))
  return scopes
}
