import type { Schema } from '@holdfast/core'

import type { SqlRow, StatementDescription } from '../drivers/sqlite-driver.ts'
import type { LocalDatabase, Touched } from '../local/local-database.ts'
import type { Logger } from '../sync-context.ts'
import { RowView } from './row-view.ts'
import {
  compileQuery,
  type PreparedQuery,
  prepareQuery,
  type QueryBuilder,
  type StoredQuery,
} from './run-query.ts'

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

/** Who wants to know the stored rows of a live query. */
export interface StoredWatcher {
  onRows(rows: readonly SqlRow[], columns: StatementDescription['columns']): void
  onError(error: unknown): void
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
    return this.#start(query)
  }

  /**
   * The same for somebody who decodes the rows themselves: rows that did not change are the same objects as before, and
   * the columns say where each value comes from.
   */
  watchStored(stored: StoredQuery, watcher: StoredWatcher): StopWatching {
    const { database } = this.#options
    let columns: StatementDescription['columns'] = []
    const query = new LiveQuery({
      database,
      prepare: async () => {
        const description = await database.describe(stored.sql)
        columns = description.columns
        return { ...stored, tables: description.tables, decode: (row) => row }
      },
      // What decodes nothing gives what is stored.
      onRows: (rows) => watcher.onRows(rows as readonly SqlRow[], columns),
      onError: (error) => watcher.onError(error),
    })
    return this.#start(query)
  }

  close(): void {
    this.#stopListening()
    for (const query of this.#watched) query.stop()
    this.#watched.clear()
  }

  #start(query: LiveQuery): StopWatching {
    this.#watched.add(query)
    query.refresh()
    return () => {
      query.stop()
      this.#watched.delete(query)
    }
  }
}

interface LiveQueryParts {
  readonly database: LocalDatabase
  readonly prepare: () => Promise<PreparedQuery>
  readonly onRows: (rows: readonly unknown[]) => void
  readonly onError: (error: unknown) => void
}

/** One query and its last result. */
class LiveQuery {
  readonly #parts: LiveQueryParts
  #prepared: PreparedQuery | undefined
  readonly #view = new RowView()
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
        const isNews = this.#view.take(stored, decode) || this.#hasFailed
        this.#hasFailed = false
        if (!this.#isStopped && isNews) this.#parts.onRows(this.#view.rows)
      } catch (error) {
        // Whoever was told of the failure wants to know when it is over, although the rows are those from before.
        this.#hasFailed = true
        if (!this.#isStopped) this.#parts.onError(error)
      }
    }
    this.#isRunning = false
  }
}
