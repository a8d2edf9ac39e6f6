import { SyncError } from '@holdfast/core'
import { BlockedError, ConstraintError } from '../store-errors.ts'

/** A row as our statements ask for it, by column name: int8 as number, JSON and times as text. */
export type PgRow = Readonly<Record<string, string | number | boolean | null>>

/** Another writer was faster; the whole transaction is decided again. Never leaves the store. */
export class RaceLost extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'RaceLost'
  }
}

/** What may be bound to a statement. */
export type PgValue = string | number | boolean | null | readonly (string | number | null)[]

/**
 * What is asked of a connection of the driver, said here: our declarations are read where the driver is not installed.
 */
export interface DriverClient {
  query(query: string | DriverQuery): Promise<{ readonly rows: Record<string, PgRow[string]>[] }>
}

interface DriverQuery {
  readonly text: string
  readonly name?: string
  readonly values?: unknown[]
}

/** One connection for the length of a transaction. Everything it throws is a SyncError, a ConstraintError or a RaceLost. */
export class Connection {
  readonly #client: DriverClient
  readonly #prepares: boolean
  readonly #sent: Promise<void>[] = []
  /** What went wrong first: whatever was sent behind it says only that the transaction is broken. */
  #failure: { readonly error: unknown } | undefined

  constructor(client: DriverClient, prepares: boolean) {
    this.#client = client
    this.#prepares = prepares
  }

  /** A statement that is kept prepared under its own text, where the way to the server allows it. */
  async all(text: string, ...values: readonly PgValue[]): Promise<readonly PgRow[]> {
    return this.#watch(this.#query(text, values))
  }

  /** The same, planned for what is there now, and not kept. */
  async allPlanned(text: string, ...values: readonly PgValue[]): Promise<readonly PgRow[]> {
    return this.#watch(this.#query(text, values, false))
  }

  /**
   * A statement whose rows nobody needs: it is on its way, and the next one does not wait for it. What goes wrong is told
   * by the next statement that is waited for.
   */
  send(text: string, ...values: readonly PgValue[]): void {
    this.#sendLater(this.#query(text, values))
  }

  async get(text: string, ...values: readonly PgValue[]): Promise<PgRow | undefined> {
    return (await this.all(text, ...values))[0]
  }

  /** Several statements without values. */
  async exec(text: string): Promise<void> {
    await this.#watch(this.#client.query(text))
  }

  /** One transaction, begun by `begin`. Rolled back when `work` throws, or anything that it sent has failed. */
  async transact<Result>(begin: string, work: () => Promise<Result>): Promise<Result> {
    this.#sendLater(this.#client.query(begin))
    try {
      const result = await work()
      await this.#commit()
      return result
    } catch (error) {
      await this.#rollBack()
      throw error
    }
  }

  /**
   * One transaction that only reads, begun by `beginRead`. Its end is on its way and not waited for: it has nothing to lose,
   * and whoever uses the connection next is answered after it.
   */
  async look<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#sendLater(this.#client.query(beginRead))
    try {
      const result = await work()
      if (this.#failure) throw this.#failure.error
      return result
    } finally {
      this.#sendLater(this.#client.query('COMMIT'))
    }
  }

  /** A transaction in which something failed is rolled back by its COMMIT, and what failed is thrown. */
  async #commit(): Promise<void> {
    const committing = this.exec('COMMIT')
    committing.catch(() => undefined)
    await Promise.all(this.#sent.splice(0))
    if (this.#failure) throw this.#failure.error
    await committing
  }

  /** Never throws: a connection that broke has nothing left to roll back. */
  async #rollBack(): Promise<void> {
    await this.exec('ROLLBACK').catch(() => undefined)
    await Promise.all(this.#sent.splice(0))
    this.#failure = undefined
  }

  #sendLater(work: Promise<unknown>): void {
    this.#sent.push(
      this.#watch(work).then(
        () => undefined,
        () => undefined,
      ),
    )
  }

  async #query(text: string, values: readonly PgValue[], keeps = this.#prepares): Promise<readonly PgRow[]> {
    const name = keeps && !values.some(isMany) ? nameOf(text) : undefined
    const query = { text, values: [...values], ...(name !== undefined && { name }) }
    return (await this.#client.query(query)).rows
  }

  async #watch<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work
    } catch (error) {
      this.#failure ??= { error: translate(error) }
      throw this.#failure.error
    }
  }
}

/** Begins a transaction that sees one moment and changes nothing. */
export const beginRead = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'

/** Begins a transaction that locks what it decides on, and waits so long for each lock. */
export function beginWrite(lockTimeoutMs: number): string {
  return `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = ${lockTimeoutMs}`
}

/** Above this many members a statement is planned anew: a plan of when a table was small would take for ever in a large one. */
const fewMembers = 100
/** As long as lists of about so many members are, in characters. */
const fewMembersLength = 4_000

function isMany(value: PgValue): boolean {
  if (typeof value === 'string') return value.length > fewMembersLength
  return Array.isArray(value) && value.length > fewMembers
}

const names = new Map<string, string>()

/** Short and the same for the same text; PostgreSQL cuts names at 63 bytes. */
function nameOf(text: string): string {
  let name = names.get(text)
  if (name === undefined) {
    name = `holdfast_${names.size}`
    names.set(text, name)
  }
  return name
}

/**
 * Classes of SQLSTATE that a constraint, a check or a trigger of the host answers with, or an index that cannot hold what it
 * is given (54): it will be the same each time. Source: PostgreSQL, appendix A.
 */
const refusals = new Set(['22', '23', '44', 'P0', '27', '0A', '54'])

/** An error of the driver or the server in the terms of the store. */
export function translate(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (code === '40001' || code === '40P01' || isCatalogRace(error)) return new RaceLost(error.message, error)
  if (code === '23505' && 'schema' in error && error.schema === 'holdfast')
    return new RaceLost(error.message, error)
  if (code === '53100')
    return new SyncError('STORE_FULL', 'the disk of the database is full', { cause: error })
  if (code === '55P03') return new BlockedError(error)
  if (/^[0-9A-Z]{5}$/.test(code) && refusals.has(code.slice(0, 2))) {
    const named = 'constraint' in error && typeof error.constraint === 'string' ? error.constraint : undefined
    return new ConstraintError(named ?? error.message, error)
  }
  if (isUnreachable(error, code))
    return new SyncError('STORE_BUSY', 'the database cannot be reached', { cause: error })
  return new SyncError('STORE_FAILED', 'the database refused an operation', { cause: error })
}

/** Two changed one row of the catalogs: PostgreSQL says so as an error of its own, in a text that is the same in every language. */
function isCatalogRace({ message }: Error): boolean {
  return /^tuple concurrently (?:updated|deleted)$/.test(message)
}

/** Connections that broke, servers that start, stop or have no room, and standbys (25006): later is another matter. */
function isUnreachable(error: Error, code: string): boolean {
  return (
    /^(?:08|53|57|25006)/.test(code) ||
    /^E[A-Z]+$/.test(code) ||
    /terminated|timeout|Connection|not queryable/.test(error.message)
  )
}
