import { assert, type Schema } from '@holdfast/core'
import { type SqliteDatabase, sqliteStore, type Store } from '@holdfast/server'
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite'

import type { ServerDump } from '../check/observation.ts'
import type { DatabaseBytes } from './commit-log.ts'
import type { DiskPorts } from './disk-ports.ts'
import { dumpServer } from './dump-server.ts'
import { ServerBase } from './server-base.ts'
import { type HandleHost, ServerHandle } from './server-handle.ts'
import { readEscrow, readOutcomes, ServerWitness } from './server-witness.ts'
import type { HistoryPlace, ServerStorage } from './server-storage.ts'
import { needsRoom, type StatementKind } from './statement-kind.ts'

/** What the server's disk is made for. */
export interface ServerDiskOptions {
  readonly schema: Schema
  readonly ports: DiskPorts
  /** The server's wall clock: what SQL takes for 'now'. */
  readonly nowIso: () => string
  /** What it begins with; an empty database unless said. */
  readonly base?: ServerBase
  /** Takes `base` back when the disk is done with it. */
  readonly giveBack?: (base: ServerBase) => void
}

/** What the server's disk held at one moment. */
export interface ServerImage {
  readonly bytes: DatabaseBytes
}

/** Primary result code of SQLite. Source: https://www.sqlite.org/rescode.html */
const full = 13

/**
 * The storage of the simulated server: real SQLite in memory, which outlives the processes that open it. It tells what
 * the commits did by looking at the tables, and dies and fills up as it is told. SQLite on a server answers at once, so
 * no statement is ever slow. Rules: SIM-15 to SIM-17.
 */
export class ServerDisk implements ServerStorage {
  readonly #options: ServerDiskOptions
  #base: ServerBase
  #witness: ServerWitness
  #handle: ServerHandle | undefined
  #fillCount = 0
  #hasWritten = false
  #hasDefined = false
  readonly #host: HandleHost
  #backup: ServerImage | undefined

  constructor(options: ServerDiskOptions) {
    this.#options = options
    this.#base = this.#mount(options.base ?? new ServerBase(null))
    this.#witness = new ServerWitness(this.#database, options.ports)
    this.#witness.lookAgain(true)
    this.#host = this.#makeHost()
  }

  /** Whether the server is in the middle of a transaction: then nobody can look at it or take an image. */
  get isInTransaction(): boolean {
    return this.#database.isTransaction
  }

  store(): Store {
    return sqliteStore({ path: ':memory:', database: () => this.open() })
  }

  /** What the store opens; ends the handle before. */
  open(): SqliteDatabase {
    this.kill()
    this.#handle = new ServerHandle(this.#host)
    return this.#handle
  }

  /** The process died: what was not committed is undone, and every later call through its handle throws. */
  kill(): void {
    this.#handle?.die()
    this.#handle = undefined
    this.#rollback()
  }

  get hasBackup(): boolean {
    return this.#backup !== undefined
  }

  backUp(): void {
    this.#backup = this.image()
  }

  restore(): void {
    assert(this.#backup !== undefined, 'there is no backup to put back')
    this.putBack(this.#backup)
  }

  /** What the disk holds now; cheap to keep. Never while a transaction is open. */
  image(): ServerImage {
    this.#assertQuiet()
    return { bytes: this.#base.bytes() }
  }

  /** The disk holds again what it held then; only while no process has it open. */
  putBack(image: ServerImage): void {
    assert(this.#handle === undefined, 'the disk was exchanged under a running server')
    const { ports } = this.#options
    const before = readOutcomes(this.#database, ports.nowMs())
    const ruled = readEscrow(this.#database).filter(({ status }) => status !== 'waiting')
    this.#leave()
    this.#base = this.#mount(new ServerBase(image.bytes))
    this.#witness = new ServerWitness(this.#database, ports)
    this.#witness.lookAgain(true)
    const after = new Set(readOutcomes(this.#database, 0).map(keyOf))
    const forgotten = before.filter((outcome) => !after.has(keyOf(outcome)))
    const waiting = new Set(
      readEscrow(this.#database).flatMap(({ status, id }) => (status === 'waiting' ? [id] : [])),
    )
    const unruled = ruled.filter(({ id }) => waiting.has(id))
    const { auditN } = this.#witness
    ports.observe({ kind: 'server-restored', atMs: ports.nowMs(), auditN, forgotten, unruled })
  }

  placeOf(position: number): HistoryPlace {
    const sql =
      'SELECT counter, (SELECT tag FROM holdfast_openings WHERE position < ? ORDER BY position DESC LIMIT 1) AS tag FROM holdfast_state'
    const [state] = this.read(sql, position)
    return { newest: Number(state?.['counter']), tag: String(state?.['tag'] ?? '') }
  }

  newestIn(scope: string): number {
    const [row] = this.read('SELECT max(position) AS newest FROM holdfast_feed WHERE scope = ?', scope)
    return Number(row?.['newest'] ?? 0)
  }

  openFor(operator: string): number {
    const [row] = this.read(
      `SELECT (SELECT count(*) FROM holdfast_escrow WHERE status = 'waiting')
       + (SELECT count(*) FROM holdfast_conflicts WHERE status = 'open' AND author = ?) AS open`,
      operator,
    )
    return Number(row?.['open'] ?? 0)
  }

  /** A raw look from outside; never while a transaction is open. */
  read(sql: string, ...params: SQLInputValue[]): readonly Readonly<Record<string, SQLOutputValue>>[] {
    this.#assertQuiet()
    return this.#base.reader(sql).all(...params)
  }

  /** Another program writes to the same file, in a transaction of its own. Never while a transaction is open. */
  write(sql: string, ...params: SQLInputValue[]): void {
    this.#assertQuiet()
    this.#database.prepare(sql).run(...params)
    this.#witness.tell()
  }

  /** Everything it holds. Never while a transaction is open. */
  dump(): ServerDump {
    this.#assertQuiet()
    return dumpServer(this.#database, this.#options.schema)
  }

  /** Frees what it holds; nothing works afterwards. */
  close(): void {
    this.#handle?.die()
    this.#handle = undefined
    this.#leave()
  }

  get #database(): DatabaseSync {
    return this.#base.database
  }

  /** Done with the base: whoever lent it gets it back. */
  #leave(): void {
    const { base, giveBack } = this.#options
    if (this.#base === base && giveBack) giveBack(base)
    else this.#base.close()
  }

  #mount(base: ServerBase): ServerBase {
    base.nowIso = this.#options.nowIso
    return base
  }

  #makeHost(): HandleHost {
    const isInTransaction = (): boolean => this.#database.isTransaction
    return {
      get isTransaction() {
        return isInTransaction()
      },
      compile: (sql) => this.#base.compile(sql),
      kindOf: (sql) => this.#base.kindOf(sql),
      before: (handle, sql, kind) => this.#before(handle, sql, kind),
      after: (kind) => this.#after(kind),
      exec: (sql) => this.#database.exec(sql),
      release: (handle) => {
        if (this.#handle === handle) this.kill()
      },
    }
  }

  #before(handle: ServerHandle, sql: string, kind: StatementKind): void {
    if (this.#handle !== handle) throw new Error('the process that opened this database is gone')
    if (kind === 'ask') return
    const fate = this.#options.ports.judge(sql)
    if (fate === 'kill') {
      this.kill()
      throw new Error('the process that opened this database is gone')
    }
    if (fate !== 'full' || !needsRoom(kind)) return
    // SQLite may or may not end the transaction by itself.
    this.#fillCount += 1
    if (this.#fillCount % 2 === 0) this.#rollback()
    throw Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: full })
  }

  #after(kind: StatementKind): void {
    if (kind === 'rollback') this.#hasWritten = this.#hasDefined = false
    if (kind === 'define') this.#hasDefined = true
    if (kind === 'define' || kind === 'write') this.#hasWritten = true
    else if (kind !== 'commit') return
    if (!this.#hasWritten || this.#database.isTransaction) return
    if (this.#hasDefined) this.#witness.lookAgain(false)
    this.#hasWritten = this.#hasDefined = false
    this.#witness.tell()
  }

  #rollback(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
    this.#hasWritten = this.#hasDefined = false
  }

  #assertQuiet(): void {
    assert(!this.isInTransaction, 'the server was looked at in the middle of a transaction')
  }
}

function keyOf({ user, device, seq, id }: { user: string; device: string; seq: number; id: string }): string {
  return `${user} ${device} ${seq} ${id}`
}
