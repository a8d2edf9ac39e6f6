import { type Schema, scopesOfRow } from '@holdfast/core'
import type { DatabaseSync } from 'node:sqlite'

import type { Values } from '../check/observation.ts'
import { readCursorShape } from './cursor-shape.ts'
import { quoted, tableNames, valuesOf } from './dump-rows.ts'

/** What a cursor gave up, and what it covers. */
export interface CoveredScopes {
  /** Covered before and not any more. */
  readonly left: readonly string[]
  readonly covered: readonly string[]
}

/**
 * What changed between two cursors of a device; nothing where one of them is none or covers everything, nor where nothing
 * had been read yet: there were no rows to give up.
 */
export function scopesLeft(before: string | null, after: string | null): CoveredScopes {
  const old = scopesIn(before)
  const covered = scopesIn(after)
  if (old === undefined || covered === undefined || readCursorShape(before ?? '').p === 0)
    return { left: [], covered: [] }
  return { left: old.filter((scope) => !covered.includes(scope)), covered }
}

function scopesIn(cursor: string | null): readonly string[] | undefined {
  if (cursor === null) return undefined
  const { s } = readCursorShape(cursor)
  return s === '*' ? undefined : s
}

/**
 * What a device's file holds of rows outside these scopes, as the rows themselves say where they lie: in tables, where
 * nothing of its own waits on them, in shadows, and in what is left of deleted rows. Never while a transaction is open.
 */
export function keptOutside(database: DatabaseSync, schema: Schema, covered: readonly string[]): string[] {
  const kept: string[] = []
  const tables = tableNames(database)
  for (const collection of schema.collections.values()) {
    const { name, scopes } = collection
    // An app of before has no table of what it does not know.
    if (scopes.length === 0 || !tables.includes(name)) continue
    const note = (where: string, id: unknown, values: Values): void => {
      if (!scopesOfRow(scopes, values).some((scope) => covered.includes(scope)))
        kept.push(`${where} ${name}/${id}`)
    }
    const rows = database.prepare(
      `SELECT * FROM ${quoted(name)} WHERE id NOT IN (SELECT record FROM _outbox WHERE collection = ?)`,
    )
    for (const row of rows.all(name)) note('row', row['id'], valuesOf(collection, row))
    // Of what was settled nothing is kept without its row but that something was deleted.
    const retained = database.prepare(
      `SELECT record FROM _retained WHERE collection = ? AND payload <> '{}' AND record NOT IN (SELECT id FROM ${quoted(name)})`,
    )
    for (const { record } of retained.all(name)) kept.push(`_retained ${name}/${String(record)}`)
    // What somebody deleted where nothing of it was sent yet is his own, as are his rows.
    const isSettled = 'record NOT IN (SELECT record FROM _outbox o WHERE o.collection = t.collection)'
    for (const [table, isLooked] of [
      ['_shadow', 'true'],
      ['_deleted', isSettled],
    ] as const) {
      const texts = database.prepare(
        `SELECT record, data FROM ${table} t WHERE collection = ? AND version > 0 AND data IS NOT NULL AND ${isLooked}`,
      )
      // The client keeps the values of a record there, by field.
      for (const { record, data } of texts.all(name)) note(table, record, JSON.parse(String(data)) as Values)
    }
  }
  return kept
}

/** The client could not rewrite the file, and will try again. */
export function isRewritingPutOff(database: DatabaseSync): boolean {
  const row = database.prepare("SELECT 1 FROM _meta WHERE key = 'sync.rewrite' AND value > 0").get()
  return row !== undefined
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g

/** Ids that can be read out of the bytes of a file and are in no row of it: what was erased, and is still there. */
export function ghostsIn(database: DatabaseSync): string[] {
  const known = new Set(textOfRows(database).match(uuid))
  return [...new Set(bytesOf(database).match(uuid))].filter((id) => !known.has(id))
}

/**
 * Edits that went to escrow and whose checksum, which stands beside their values, can still be read out of the bytes of the
 * file. Other edits that say the same have it too.
 */
export function escrowedIn(
  database: DatabaseSync,
  escrowed: readonly { readonly [column: string]: unknown }[],
): string[] {
  if (escrowed.length === 0) return []
  const living = textOfRows(database)
  const bytes = bytesOf(database)
  const isLeft = (hash: string): boolean => bytes.includes(hash) && !living.includes(hash)
  return escrowed.flatMap(({ id, hash }) => (isLeft(String(hash)) ? [`the escrowed edit ${String(id)}`] : []))
}

function textOfRows(database: DatabaseSync): string {
  return tableNames(database)
    .map((table) => JSON.stringify(database.prepare(`SELECT * FROM ${quoted(table)}`).all()))
    .join('')
}

function bytesOf(database: DatabaseSync): string {
  return Buffer.from(database.serialize()).toString('latin1')
}
