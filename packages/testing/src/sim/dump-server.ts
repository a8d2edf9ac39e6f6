import { type Schema, scopesOfRow } from '@holdfast/core'
import type { DatabaseSync } from 'node:sqlite'

import type { DumpedRow, ServerDump } from '../check/observation.ts'
import { readEscrow } from './server-witness.ts'
import { damageIn, dumpedConflict, dumpedRow, type NamedRow, quoted, tableNames } from './dump-rows.ts'

type Deleted = { readonly id: string; readonly version: number }
type Rows = readonly NamedRow[]

/** Rows of a server's tables, whatever database they are in. */
export interface ServerTables {
  readonly epoch: string
  /** By collection; without those that have no table. */
  readonly rows: ReadonlyMap<string, Rows>
  /** By collection: `id` and `version`. */
  readonly tombstones: ReadonlyMap<string, Rows>
  readonly conflicts: Rows
  /** `record` and `scope` of what the feed has of conflicts. */
  readonly conflictScopes: Rows
  readonly escrow: ServerDump['escrow']
  readonly damage: readonly string[]
}

/**
 * What the server's tables hold. Scopes of records follow from their fields by the schema; those of conflicts, which
 * have no template, are taken from the feed under `_conflicts/<id>`.
 */
export function dumpTables(schema: Schema, tables: ServerTables): ServerDump {
  const collections: Record<string, readonly DumpedRow[]> = {}
  const deleted: Record<string, readonly Deleted[]> = {}
  const scopes: Record<string, string[]> = {}
  for (const collection of schema.collections.values()) {
    const { name } = collection
    const rows = tables.rows.get(name)
    if (rows === undefined) continue
    const isLive = (row: NamedRow): boolean => (row['deleted_at'] ?? null) === null
    const live = rows.filter(isLive).map((row) => dumpedRow(collection, row, ''))
    collections[name] = live
    for (const { id, values } of live) scopes[`${name}/${id}`] = [...scopesOfRow(collection.scopes, values)]
    const gone = [...rows.filter((row) => !isLive(row)), ...(tables.tombstones.get(name) ?? [])]
    deleted[name] = gone.map(({ id, version }) => ({ id: String(id), version: Number(version) }))
  }
  for (const { record, scope } of tables.conflictScopes)
    (scopes[`_conflicts/${record}`] ??= []).push(String(scope))
  const { epoch, escrow, damage } = tables
  return {
    epoch,
    collections,
    deleted,
    scopes,
    conflicts: tables.conflicts.map(dumpedConflict),
    escrow,
    damage,
  }
}

/** What is in the server's file. */
export function dumpServer(database: DatabaseSync, schema: Schema): ServerDump {
  const tables = tableNames(database)
  const hasTables = tables.includes('holdfast_state')
  const ask = (sql: string): Rows => (hasTables ? database.prepare(sql).all() : [])
  const names = [...schema.collections.keys()].filter((name) => tables.includes(name))
  const tombstonesSql =
    'SELECT record AS id, version FROM holdfast_tombstones WHERE collection = ? ORDER BY record'
  return dumpTables(schema, {
    epoch: String(ask('SELECT epoch FROM holdfast_state')[0]?.['epoch'] ?? ''),
    rows: new Map(
      names.map((name) => [name, database.prepare(`SELECT * FROM ${quoted(name)} ORDER BY id`).all()]),
    ),
    tombstones: new Map(names.map((name) => [name, database.prepare(tombstonesSql).all(name)])),
    conflicts: ask('SELECT * FROM holdfast_conflicts ORDER BY id'),
    conflictScopes: ask(
      "SELECT record, scope FROM holdfast_feed WHERE collection = '_conflicts' AND op = 'put' AND scope <> '' ORDER BY record, scope",
    ),
    escrow: readEscrow(database),
    damage: damageIn(database),
  })
}
