import type { Schema } from '@holdfast/core'
import { createServer } from '@holdfast/server'
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'

import { createVirtualEnvironment } from '../virtual-environment.ts'
import { arrays, type Row } from './device-state.ts'
import { ServerBase } from './server-base.ts'
import { ServerDisk } from './server-disk.ts'

/** A table and what an installation leaves in it. */
interface FirstRows {
  readonly table: string
  readonly rows: readonly Row[]
}

const known = new WeakMap<Schema, Promise<InstalledServers>>()

/**
 * Databases in which a server has just been installed. To make the tables, and to compile the statements with their
 * triggers, takes longer than many a run: a base that comes back is emptied and lent again, and holds row for row what a
 * new one holds. Rules: SIM-9.
 */
export class InstalledServers {
  readonly #bytes: Uint8Array
  readonly #firstRows: readonly FirstRows[]
  readonly #free: ServerBase[] = []

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    const base = new ServerBase(bytes)
    this.#firstRows = firstRowsIn(base.database)
    this.#free.push(base)
  }

  /** Those of a schema; a server is installed for it once in a process. */
  static for(schema: Schema): Promise<InstalledServers> {
    let servers = known.get(schema)
    if (servers === undefined) {
      servers = install(schema).then((bytes) => new InstalledServers(bytes))
      known.set(schema, servers)
    }
    return servers
  }

  /** A base with nothing in it but a fresh installation. */
  lend(): ServerBase {
    return this.#free.pop() ?? new ServerBase(this.#bytes)
  }

  /** Empties a base that was lent, and keeps it for the next. */
  readonly giveBack = (base: ServerBase): void => {
    const { database } = base
    if (database.isTransaction) database.exec('ROLLBACK')
    database.exec('BEGIN')
    // The tables of the app first: a row that goes from them leaves traces in those of the server.
    for (const { table } of this.#firstRows.toReversed()) base.reader(`DELETE FROM "${table}"`).run()
    for (const { table, rows } of this.#firstRows) {
      for (const row of rows) {
        const holes = row.map(() => '?').join(', ')
        base.reader(`INSERT INTO "${table}" VALUES (${holes})`).run(...(row as SQLInputValue[]))
      }
    }
    database.exec('COMMIT')
    this.#free.push(base)
  }
}

async function install(schema: Schema): Promise<Uint8Array> {
  const env = createVirtualEnvironment()
  const nowIso = (): string => new Date(env.now()).toISOString()
  const ports = {
    observe: () => undefined,
    nowMs: () => 0,
    judge: () => 'run' as const,
    sleep: () => Promise.resolve(),
  }
  const disk = new ServerDisk({ schema, ports, nowIso })
  const server = await createServer({
    schema,
    store: disk.store(),
    authenticate: () => null,
    scopes: () => [],
    mayReview: () => false,
    env,
  })
  await server.close()
  const { bytes } = disk.image()
  disk.close()
  return bytes ?? new Uint8Array()
}

function firstRowsIn(database: DatabaseSync): readonly FirstRows[] {
  const names = arrays(database, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").all()
  return names.map(([name]) => {
    const table = String(name)
    return { table, rows: arrays(database, `SELECT * FROM "${table}"`).all() }
  })
}
