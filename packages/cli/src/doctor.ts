import type { Schema } from '@holdfast/core'
import { doctor as examinePostgres, sqliteApplicationId, sqliteLayout } from '@holdfast/server'
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { checkStructure } from './check-structure.ts'
import { checkRows } from './check-rows.ts'
import { firstLine } from './command-error.ts'
import { hasSqliteHeader } from './find-databases.ts'
import type { Finding } from './finding.ts'
import { loadSchema } from './load-schema.ts'
import { loadTables } from './load-tables.ts'
import { told } from './migrate.ts'
import type { Output } from './output.ts'
import { checkUrl } from './postgres-options.ts'
import type { GivenOptions } from './given-options.ts'

const oldestNode = [22, 14] as const
/** `->>` with paths, STRICT tables and `json_group_object` inside triggers behave as we use them from here on. */
const oldestSqlite = [3, 45] as const

/** `holdfast doctor`: looks at this machine and at a server database, changes nothing. Rules: OP-26. */
export async function runDoctor(given: GivenOptions, output: Output): Promise<number> {
  const findings: Finding[] = [checkNode(), checkSqlite()]
  const schema = given.schema === undefined ? undefined : await checkSchema(given.schema, findings)
  if (given.data !== undefined) findings.push(...(await checkData(resolve(given.data), schema)))
  if (given.database !== undefined) findings.push(...(await checkPostgres(given, schema)))
  if (given.data === undefined && given.database === undefined)
    findings.push({
      kind: 'note',
      text: 'no database was looked at',
      remedy: 'Add --data DIR, or --database URL.',
    })
  for (const finding of findings) print(finding, output)
  const illCount = findings.filter(({ kind }) => kind === 'ill').length
  output.line(illCount === 0 ? 'all is well' : `${illCount} of ${findings.length} checks failed`)
  return illCount === 0 ? 0 : 1
}

function print({ kind, text, remedy }: Finding, { line, colors }: Output): void {
  const mark = { well: colors.green('✓'), ill: colors.red('✗'), note: colors.yellow('·') }[kind]
  line(`${mark} ${text}`)
  if (remedy !== undefined) line(`  ${colors.dim(remedy)}`)
}

function checkNode(): Finding {
  const { node } = process.versions
  if (isAtLeast(node, oldestNode)) return { kind: 'well', text: `Node ${node}` }
  return {
    kind: 'ill',
    text: `Node ${node} is too old`,
    remedy: `Install Node ${oldestNode.join('.')} or newer.`,
  }
}

function checkSqlite(): Finding {
  const database = new DatabaseSync(':memory:')
  const version = String(database.prepare('SELECT sqlite_version() AS version').get()?.['version'])
  database.close()
  if (isAtLeast(version, oldestSqlite)) return { kind: 'well', text: `SQLite ${version}` }
  return {
    kind: 'ill',
    text: `SQLite ${version} is too old`,
    remedy: 'Install a newer Node; SQLite comes with it.',
  }
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [itsMajor = 0, itsMinor = 0] = version.split('.').map(Number)
  return itsMajor > major || (itsMajor === major && itsMinor >= minor)
}

async function checkSchema(file: string, findings: Finding[]): Promise<Schema | undefined> {
  try {
    const schema = await loadSchema(file)
    const count = schema.collections.size
    findings.push({ kind: 'well', text: `schema version ${schema.version} with ${count} collections` })
    return schema
  } catch (error) {
    findings.push({ kind: 'ill', text: firstLine(error), remedy: 'Correct the schema file.' })
    return undefined
  }
}

async function checkPostgres(
  { database = '', tables }: GivenOptions,
  schema: Schema | undefined,
): Promise<readonly Finding[]> {
  if (schema === undefined)
    return [
      {
        kind: 'ill',
        text: 'a PostgreSQL database is compared with a schema',
        remedy: 'Add --schema FILE.',
      },
    ]
  checkUrl(database)
  const mappings = loadTables(tables)
  try {
    return await examinePostgres({ url: database, schema, tables: mappings })
  } catch (error) {
    const remedy = 'Correct the address, start the server, or use the version that made the database.'
    return [{ kind: 'ill', text: `the database cannot be looked at: ${told(error)}`, remedy }]
  }
}

async function checkData(folder: string, schema: Schema | undefined): Promise<readonly Finding[]> {
  const file = join(folder, 'holdfast.db')
  if (!existsSync(file)) {
    const remedy = 'Name the folder a server was started with: --data DIR.'
    return [{ kind: 'ill', text: `${file} does not exist`, remedy }]
  }
  const access = checkAccess(folder, file)
  if (access.some(({ kind }) => kind === 'ill')) return access
  if (!hasSqliteHeader(file)) {
    const remedy = 'Keep the file, put a backup in its place.'
    return [...access, { kind: 'ill', text: `${file} is no SQLite database`, remedy }]
  }
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    return [...access, ...(await checkDatabase(database, schema))]
  } catch (error) {
    return [...access, damaged(`${file} cannot be read: ${firstLine(error)}`)]
  } finally {
    database.close()
  }
}

function checkAccess(folder: string, file: string): readonly Finding[] {
  for (const path of [folder, file]) {
    try {
      accessSync(path, constants.R_OK | constants.W_OK)
    } catch {
      const remedy = 'Give it to the user that runs the server.'
      return [{ kind: 'ill', text: `${path} cannot be read and written by this user`, remedy }]
    }
  }
  const isShared = [folder, file].every((path) => (statSync(path).mode & 0o007) !== 0)
  if (!isShared) return [{ kind: 'well', text: 'only this user and its group reach the database' }]
  return [
    { kind: 'note', text: 'everybody on this machine can read the database', remedy: `chmod 700 ${folder}` },
  ]
}

async function checkDatabase(
  database: DatabaseSync,
  schema: Schema | undefined,
): Promise<readonly Finding[]> {
  const header = checkHeader(database)
  if (header.kind === 'ill') return [header]
  const integrity = checkIntegrity(database)
  if (integrity.kind === 'ill') return [header, integrity]
  const structure = schema === undefined ? [] : await checkStructure(database, schema)
  return [header, integrity, ...structure, ...checkRows(database)]
}

function checkHeader(database: DatabaseSync): Finding {
  const pragma = (name: string): number => Number(database.prepare(`PRAGMA ${name}`).get()?.[name])
  if (pragma('application_id') !== sqliteApplicationId) {
    return { kind: 'ill', text: 'the file is no server database of Holdfast', remedy: 'Name another folder.' }
  }
  const layout = pragma('user_version')
  if (layout <= sqliteLayout) return { kind: 'well', text: `a server database, layout ${layout}` }
  const remedy = 'Use the version of Holdfast that wrote it, or a newer one.'
  return {
    kind: 'ill',
    text: `the database has layout ${layout}, this version knows ${sqliteLayout}`,
    remedy,
  }
}

function checkIntegrity(database: DatabaseSync): Finding {
  const [first] = database.prepare('PRAGMA integrity_check(1)').all()
  const verdict = String(first?.['integrity_check'] ?? 'unreadable')
  return verdict === 'ok'
    ? { kind: 'well', text: 'the file is intact' }
    : damaged(`the file is damaged: ${verdict}`)
}

function damaged(text: string): Finding {
  return { kind: 'ill', text, remedy: 'Stop the server, keep the file, restore a backup.' }
}
