import type { Schema } from '@holdfast/core'

import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalDatabase, Touched } from '../local/local-database.ts'
import type { Logger } from '../sync-context.ts'
import { compileQuery, type PreparedQuery, prepareQuery, type QueryBuilder } from './run-query.ts'

/** Stops a live query: its callbacks are not called any more. Stopping twice is harmless. */
export type StopWatching = () => void

/** What live queries are made from. */
export interface LiveQueriesOptions {
  readonly database: LocalDatabase
  /** With the system collections. */
  readonly schema: Schema
  readonly logger: Logger
}

/** Who wants to know what of a live query. */
export interface Watcher<Row> {
  readonly onRows: (rows: readonly Row[]) => void
  readonly onError: ((error: unknown) => void) | undefined
}

/** Queries that are run again when a commit has touched a table they read. Rules: LQ-1 to LQ-7. */
export class LiveQueries {
  readonly #options: LiveQueriesOptions
  readonly #watched = new Set<LiveQuery>()
  readonly #stopListening: () => void

  constructor(options: LiveQueriesOptions) {
    this.#options = options
    this.#stopListening = options.database.onCommit((touched) => {
      for (const query of this.#watched) query.consider(touched)
    })
  }

  /** Runs a query once. */
  async run<Tables, Row>(build: QueryBuilder<Tables, Row>): Promise<readonly Row[]> {
    const { database, schema } = this.#options
    const query = await prepareQuery(schema, compileQuery(build), (sql) => database.describe(sql))
    const rows = await database.all(query.sql, query.params)
    // Kysely inferred Row from the query that gave these rows.
    return rows.map(query.decode) as Row[]
  }

  /** Keeps a query's rows up to date. */
  watch<Tables, Row>(build: QueryBuilder<Tables, Row>, watcher: Watcher<Row>): StopWatching {
    const { database, schema } = this.#options
    const query = new LiveQuery({
      database,
      prepare: async () => prepareQuery(schema, compileQuery(build), (sql) => database.describe(sql)),
      // Kysely inferred Row from the query that gives the rows.
      onRows: (rows) => watcher.onRows(rows as readonly Row[]),
      onError:
        watcher.onError ??
        ((error) => this.#options.logger.log('error', 'watch failed', { error: String(error) })),
    })
    this.#watched.add(query)
    query.refresh()
    return () => {
      query.stop()
      this.#watched.delete(query)
    }
  }

  close(): void {
    this.#stopListening()
    for (const query of this.#watched) query.stop()
    this.#watched.clear()
  }
}

interface LiveQueryParts {
  readonly database: LocalDatabase
  readonly prepare: () => Promise<PreparedQuery>
  readonly onRows: (rows: readonly unknown[]) => void
  readonly onError: (error: unknown) => void
}

/** One query and its last result, stored rows beside decoded ones: comparing stored values is cheap. */
class LiveQuery {
  readonly #parts: LiveQueryParts
  #prepared: PreparedQuery | undefined
  #stored: readonly SqlRow[] | undefined
  #rows: readonly unknown[] = []
  #isRunning = false
  #isStale = false
  #isStopped = false
  #hasFailed = false

  constructor(parts: LiveQueryParts) {
    this.#parts = parts
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Runs again if the commit may concern it. */
  consider(touched: Touched): void {
    const tables = this.#prepared?.tables
    // Before it is prepared nobody knows what it reads; its first run may have begun before this commit.
    if (tables === undefined || [...touched.tables.keys()].some((table) => tables.has(table))) this.refresh()
  }

  /** Runs now, or once more after the run under way. */
  refresh(): void {
    this.#isStale = true
    if (!this.#isRunning) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#isStale && !this.#isStopped) {
      this.#isStale = false
      try {
        this.#prepared ??= await this.#parts.prepare()
        const { sql, params, decode } = this.#prepared
        const stored = await this.#parts.database.all(sql, params)
        const isNews = this.#take(stored, decode) || this.#hasFailed
        this.#hasFailed = false
        if (!this.#isStopped && isNews) this.#parts.onRows(this.#rows)
      } catch (error) {
        // Whoever was told of the failure wants to know when it is over, although the rows are those from before.
        this.#hasFailed = true
        if (!this.#isStopped) this.#parts.onError(error)
      }
    }
    this.#isRunning = false
  }

  /** Takes over a result; true when it differs from the last one. Rows that did not change stay the same objects. */
  #take(stored: readonly SqlRow[], decode: PreparedQuery['decode']): boolean {
    const before = this.#stored
    const places = before === undefined || isInPlace(before, stored) ? undefined : placesById(before)
    let isSame = before?.length === stored.length
    const rows = stored.map((row, index) => {
      const place = places === undefined ? index : (places.get(row.id) ?? -1)
      const known = before?.[place]
      if (known !== undefined && rowsEqual(known, row)) {
        if (place !== index) isSame = false
        return this.#rows[place]
      }
      isSame = false
      return decode(row)
    })
    this.#stored = stored
    if (isSame) return false
    this.#rows = rows
    return true
  }
}

/** Whether the rows that both results have lie at the same places, as far as their ids tell. */
function isInPlace(before: readonly SqlRow[], after: readonly SqlRow[]): boolean {
  return before.length === after.length && after.every((row, index) => row.id === before[index]?.id)
}

function placesById(rows: readonly SqlRow[]): ReadonlyMap<unknown, number> {
  return new Map(rows.map((row, index) => [row.id, index]))
}

function rowsEqual(left: SqlRow, right: SqlRow): boolean {
  for (const name in right) {
    const [one, other] = [left[name], right[name]]
    if (
      one !== other &&
      !(one instanceof Uint8Array && other instanceof Uint8Array && bytesEqual(one, other))
    )
      return false
  }
  return true
}

function bytesEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index])
}
