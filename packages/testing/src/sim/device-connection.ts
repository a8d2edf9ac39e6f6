import {
  type RunResult,
  type SqliteConnection,
  type SqlParam,
  type SqlRow,
  type StatementDescription,
  storeError,
} from '@holdfast/client'

import type { DeviceFile } from './device-file.ts'
import type { DiskPorts } from './disk-ports.ts'
import { needsRoom } from './statement-kind.ts'

/** A connection of one life of a process. */
export interface DeviceConnectionOptions {
  readonly ports: Pick<DiskPorts, 'judge' | 'sleep'>
  /** The file, as long as the life that opened this lasts; undefined after it. */
  readonly file: () => DeviceFile | undefined
  /** The life ends here. */
  readonly die: () => void
  /** A statement found the disk full. True: SQLite ends the transaction by itself. */
  readonly fill: () => boolean
  readonly onClose: () => void
}

/** A new one each time: whoever waits for it is kept as long as it is. */
function never(): Promise<never> {
  return new Promise<never>(() => undefined)
}

/** Primary result code of SQLite. Source: https://www.sqlite.org/rescode.html */
const full = 13

/**
 * What the client holds of a simulated disk. A statement that meets no fault is over in as many turns as with a real
 * driver; after the end of the life nothing is ever over. Rules: SIM-10, SIM-11.
 */
export class DeviceConnection implements SqliteConnection {
  readonly capabilities = { shared: false }
  readonly #options: DeviceConnectionOptions
  /** The slow statement, and those that wait behind it. */
  #line: Promise<void> | undefined
  #isClosed = false

  constructor(options: DeviceConnectionOptions) {
    this.#options = options
  }

  async all(sql: string, params: readonly SqlParam[] = []): Promise<readonly SqlRow[]> {
    const wait = this.#enter(sql)
    if (wait !== undefined) await wait
    return this.#perform((file) => file.all(sql, params))
  }

  async run(sql: string, params: readonly SqlParam[] = []): Promise<RunResult> {
    const wait = this.#enter(sql)
    if (wait !== undefined) await wait
    return this.#perform((file) => file.run(sql, params))
  }

  async exec(sql: string): Promise<void> {
    const wait = this.#enter(sql)
    if (wait !== undefined) await wait
    return this.#perform((file) => file.exec(sql))
  }

  async describe(sql: string): Promise<StatementDescription> {
    return this.#perform((file) => file.describe(sql))
  }

  async close(): Promise<void> {
    const file = this.#options.file()
    if (file === undefined) return never()
    if (this.#isClosed) return
    this.#isClosed = true
    file.rollback()
    this.#options.onClose()
  }

  /** Undefined: go on at once. */
  #enter(sql: string): Promise<void> | undefined {
    const line = this.#line
    return line === undefined ? this.#judge(sql) : this.#queue(line.then(() => this.#judge(sql)))
  }

  #judge(sql: string): Promise<void> | undefined {
    const file = this.#options.file()
    if (file === undefined) return never()
    if (this.#isClosed) throw storeError(new Error('database is not open'), undefined)
    const kind = file.kindOf(sql)
    if (kind === 'ask') return undefined
    const fate = this.#options.ports.judge(sql)
    if (fate === 'run') return undefined
    if (fate === 'kill') {
      this.#options.die()
      return never()
    }
    if (fate !== 'full')
      return this.#queue('until' in fate ? fate.until : this.#options.ports.sleep(fate.slowMs))
    if (!needsRoom(kind)) return undefined
    if (file.isInTransaction && this.#options.fill()) file.rollback()
    throw storeError(new Error('database or disk is full'), full)
  }

  /** Statements run in the order of the calls, also when one of them takes its time. */
  #queue(turn: Promise<void>): Promise<void> {
    const line = turn.catch(() => undefined)
    this.#line = line
    void line.then(() => {
      if (this.#line === line) this.#line = undefined
    })
    return turn
  }

  #perform<T>(work: (file: DeviceFile) => T): T | Promise<never> {
    const file = this.#options.file()
    if (file === undefined) return never()
    try {
      return work(file)
    } catch (error) {
      throw storeError(error, resultCodeOf(error))
    }
  }
}

function resultCodeOf(error: unknown): number | undefined {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return typeof code === 'number' ? code : undefined
}
