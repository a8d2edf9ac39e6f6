import type { RunResult, SqlParam, SqlRow, StatementDescription } from '@holdfast/client'
import { constants, DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'

import { CommitLog, type DatabaseBytes, type LoggedStatement, type Survivors } from './commit-log.ts'
import { type DeviceState, readState } from './device-state.ts'
import { DeviceWitness, type WitnessOptions } from './device-witness.ts'
import { needsRoom, type StatementKind, statementKind } from './statement-kind.ts'

interface Compiled {
  readonly statement: StatementSync
  readonly isReader: boolean
  readonly kind: StatementKind
}

/** Statements of commits kept to be run again after a power cut; then everything is synced, as by a checkpoint. */
const logMax = 4_000

/** Statements kept compiled: the engine's, and the queries of a screen. */
const compiledMax = 400

/** `PRAGMA synchronous` from which on a commit waits for the disk: FULL. */
const fullSync = 2

/**
 * A device's database as it lies on the disk, whoever has it open. Everything happens at once; failures are SQLite's.
 * Rules: SIM-10 to SIM-12.
 */
export class DeviceFile {
  readonly #database: DatabaseSync
  readonly #witness: DeviceWitness
  readonly #options: WitnessOptions
  readonly #compiled = new Map<string, Compiled>()
  readonly #kinds = new Map<string, StatementKind>()
  /** By version of the tables and text. */
  readonly #described = new Map<string, StatementDescription>()
  readonly #log = new CommitLog()
  #syncLevel = fullSync
  #hasWritten = false
  #hasDefined = false

  /** `known`: what whoever is told of this file has been told of what is in `bytes`. */
  constructor(bytes: DatabaseBytes, options: WitnessOptions) {
    this.#options = options
    this.#database = openBytes(bytes)
    this.#witness = new DeviceWitness(this.#database, options)
    this.#witness.know(this.state())
  }

  get isInTransaction(): boolean {
    return this.#database.isTransaction
  }

  /** Commits that a power cut may take. */
  get unsyncedCount(): number {
    return this.#log.unsyncedCount
  }

  /** For looks from outside. */
  get database(): DatabaseSync {
    return this.#database
  }

  kindOf(sql: string): StatementKind {
    let kind = this.#kinds.get(sql)
    if (kind === undefined) {
      kind = statementKind(sql)
      if (this.#kinds.size >= compiledMax) this.#kinds.clear()
      this.#kinds.set(sql, kind)
    }
    return kind
  }

  all(sql: string, params: readonly SqlParam[]): readonly SqlRow[] {
    const compiled = this.#compile(sql)
    // What the client binds is what SQLite takes: node:sqlite binds booleans as 1 and 0 although its types do not say so.
    const values = params as readonly SQLInputValue[]
    return this.#perform(compiled.kind, { sql, params }, () => {
      // Rows hold what SQLite stores, and no integer of the client's is a bigint.
      if (compiled.isReader) return compiled.statement.all(...values) as readonly SqlRow[]
      compiled.statement.run(...values)
      return []
    })
  }

  run(sql: string, params: readonly SqlParam[]): RunResult {
    const { statement, kind } = this.#compile(sql)
    return this.#perform(kind, { sql, params }, () => {
      // As in `all`.
      const { changes, lastInsertRowid } = statement.run(...(params as readonly SQLInputValue[]))
      return { changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) }
    })
  }

  exec(sql: string): void {
    this.#perform(this.kindOf(sql), { sql, params: [] }, () => {
      if (!this.#isSetAlready(sql)) this.#database.exec(sql)
    })
  }

  describe(sql: string): StatementDescription {
    const key = `${this.#settingNow('schema_version')} ${sql}`
    let description = this.#described.get(key)
    if (description === undefined) this.#described.set(key, (description = this.#describe(sql)))
    return description
  }

  /** Whoever is asked for leave has SQLite compile every statement of the connection again. */
  #describe(sql: string): StatementDescription {
    const tables = new Set<string>()
    this.#database.setAuthorizer((action, table) => {
      if (action === constants.SQLITE_READ && table !== null) tables.add(table)
      return constants.SQLITE_OK
    })
    try {
      return { columns: this.#database.prepare(sql).columns(), tables }
    } finally {
      this.#database.setAuthorizer(null)
    }
  }

  /** SQLite compiles every statement again for this one, also where nothing changes by it: at each start of an app. */
  #isSetAlready(sql: string): boolean {
    const wanted = /^PRAGMA foreign_keys = ([01])$/.exec(sql)?.[1]
    return wanted !== undefined && Number(wanted) === this.#settingNow('foreign_keys')
  }

  #settingNow(name: string): number {
    return Number(this.#compile(`PRAGMA ${name}`).statement.get()?.[name])
  }

  /** What was not committed is undone. */
  rollback(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
    this.#forgetOpen()
  }

  /** A process that has just opened it finds SQLite's own settings. */
  reset(): void {
    this.rollback()
    this.#database.exec('PRAGMA synchronous = FULL')
    this.#syncLevel = fullSync
  }

  /** What is left after a power cut that spares so many of the commits that were not synced. */
  survivors(spared: number): Survivors {
    return this.#log.survivors(spared)
  }

  /** The system has written everything out by itself: no power cut takes what is committed by now. */
  sync(): void {
    this.#log.clear()
  }

  /** Never while a transaction is open. */
  bytes(): DatabaseBytes {
    const bytes = this.#database.serialize()
    return bytes.length === 0 ? null : bytes
  }

  /** All is over: tells what can still be read out of it. */
  tellTraces(): void {
    this.#witness.tellTraces(true)
  }

  state(): DeviceState {
    const { name, ports } = this.#options
    return readState(this.#database, { disk: name, atMs: ports.nowMs() })
  }

  close(): void {
    this.#compiled.clear()
    this.#database.close()
  }

  #perform<T>(kind: StatementKind, statement: LoggedStatement, work: () => T): T {
    this.#before(kind)
    let result: T
    try {
      result = work()
    } catch (error) {
      // Some failures end the transaction; a statement that failed left nothing.
      if (!this.#database.isTransaction) this.#forgetOpen()
      throw error
    }
    this.#after(kind, statement)
    return result
  }

  /** What is committed without waiting for the disk is kept, from the last moment at which all was synced. */
  #before(kind: StatementKind): void {
    if (this.#syncLevel >= fullSync || this.#log.isKept || this.#database.isTransaction) return
    if (kind === 'begin' || kind === 'mark' || needsRoom(kind)) this.#log.start(this.bytes())
  }

  #after(kind: StatementKind, { sql, params }: LoggedStatement): void {
    switch (kind) {
      case 'define':
      case 'write':
        this.#hasWritten = true
        if (kind === 'define') this.#hasDefined = true
        this.#log.note(sql, params)
        if (!this.#database.isTransaction) this.#committed()
        if (sql === 'VACUUM') this.#witness.tellTraces(false)
        break
      case 'mark':
        this.#log.note(sql, params)
        // The end of an outermost savepoint is a commit too.
        if (this.#hasWritten && !this.#database.isTransaction) this.#committed()
        break
      case 'commit':
        if (this.#hasWritten) this.#committed()
        else this.#log.undo()
        break
      case 'rollback':
        this.#forgetOpen()
        break
      case 'sync':
        this.#log.clear()
        break
      case 'setting':
        this.#syncLevel = this.#settingNow('synchronous')
        break
      default:
    }
  }

  #committed(): void {
    const hasDefined = this.#hasDefined
    this.#hasWritten = false
    this.#hasDefined = false
    this.#log.commit(this.#syncLevel >= fullSync)
    if (this.#log.statementCount > logMax) this.#log.clear()
    this.#witness.tell()
    if (hasDefined) this.#witness.lookAgain()
  }

  #forgetOpen(): void {
    this.#hasWritten = false
    this.#hasDefined = false
    this.#log.undo()
  }

  #compile(sql: string): Compiled {
    let compiled = this.#compiled.get(sql)
    if (compiled === undefined) {
      const statement = this.#database.prepare(sql)
      compiled = { statement, isReader: statement.columns().length > 0, kind: this.kindOf(sql) }
      if (this.#compiled.size >= compiledMax) this.#compiled.clear()
      this.#compiled.set(sql, compiled)
    }
    return compiled
  }
}

/** The bytes that a power cut left. */
export function bytesOf({ base, commits }: Survivors): DatabaseBytes {
  const database = openBytes(base)
  const statements = new Map<string, StatementSync>()
  for (const commit of commits) {
    database.exec('BEGIN')
    for (const { sql, params } of commit) {
      // Only texts without parameters may hold several statements.
      if (params.length === 0) {
        database.exec(sql)
        continue
      }
      const statement = statements.get(sql) ?? database.prepare(sql)
      statements.set(sql, statement)
      // As in `DeviceFile.all`.
      statement.all(...(params as readonly SQLInputValue[]))
    }
    database.exec('COMMIT')
  }
  const bytes = database.serialize()
  database.close()
  return bytes.length === 0 ? null : bytes
}

function openBytes(bytes: DatabaseBytes): DatabaseSync {
  const database = new DatabaseSync(':memory:')
  if (bytes !== null) database.deserialize(bytes)
  return database
}
