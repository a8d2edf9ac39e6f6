import type { Schema } from '@holdfast/core'
import { createEngine, sqliteStore } from '@holdfast/server'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import type { Finding } from './finding.ts'
import { quoteName } from './quote-name.ts'

interface Structure {
  /** `table.column type` of every table. */
  readonly columns: ReadonlySet<string>
  /** SQL by name. */
  readonly triggers: ReadonlyMap<string, string>
  readonly indexes: ReadonlySet<string>
}

/**
 * Whether a database has the tables, indexes and triggers of a schema: compared with a new database that the server
 * itself makes for that schema, in a folder of its own. What the host added is none of our business. Reads only.
 */
export async function checkStructure(database: DatabaseSync, schema: Schema): Promise<readonly Finding[]> {
  const wanted = await structureOfSchema(schema)
  const found = readStructure(database)
  const remedy = 'Start the server once with this schema; it adds what is missing.'
  const findings = [
    ...missing(wanted.columns, found.columns).map((name) => `the column ${name} is missing`),
    ...missing(wanted.indexes, found.indexes).map((name) => `the index ${name} is missing`),
    ...missing(wanted.triggers.keys(), found.triggers).map((name) => `the trigger ${name} is missing`),
    ...[...wanted.triggers]
      .filter(([name, sql]) => found.triggers.has(name) && found.triggers.get(name) !== sql)
      .map(([name]) => `the trigger ${name} is not the one this schema makes`),
  ]
  if (findings.length > 0) return findings.map((text): Finding => ({ kind: 'ill', text, remedy }))
  return [{ kind: 'well', text: 'tables, indexes and triggers are those of the schema' }]
}

function missing(wanted: Iterable<string>, found: { has(name: string): boolean }): readonly string[] {
  return [...wanted].filter((name) => !found.has(name))
}

async function structureOfSchema(schema: Schema): Promise<Structure> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-doctor-'))
  try {
    const file = join(folder, 'holdfast.db')
    const engine = await createEngine({ schema, store: sqliteStore(file), scopes: () => '*' })
    await engine.close()
    const database = new DatabaseSync(file, { readOnly: true })
    const structure = readStructure(database)
    database.close()
    return structure
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readStructure(database: DatabaseSync): Structure {
  const objects = database.prepare('SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL').all()
  const named = (type: string): readonly (readonly [string, string])[] =>
    objects
      .filter((object) => object['type'] === type)
      .map((object): [string, string] => [String(object['name']), String(object['sql'])])
  const columns = named('table').flatMap(([table]) =>
    database
      .prepare(`PRAGMA table_info(${quoteName(table)})`)
      .all()
      .map((column) => `${table}.${String(column['name'])} ${String(column['type'])}`),
  )
  return {
    columns: new Set(columns),
    triggers: new Map(named('trigger')),
    indexes: new Set(named('index').map(([name]) => name)),
  }
}
