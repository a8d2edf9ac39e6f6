import type { Schema } from '@holdfast/core'

import type { SqlRow, StatementDescription } from '../drivers/sqlite-driver.ts'
import type { LocalDatabase, Touched } from '../local/local-database.ts'
import type { Logger } from '../sync-context.ts'
import { callListener } from './call-listener.ts'
import { patchPlan, patchRows } from './patch-rows.ts'
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
  #stopListening: () => void = () => undefined

  constructor(options: LiveQueriesOptions) {
    this.#options = options
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
        return {
          ...stored,
          tables: description.tables,
          patch: patchPlan(stored, description),
          decode: (row) => row,
        }
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
    if (this.#watched.size === 0) this.#listen()
    this.#watched.add(query)
    query.refresh()
    return () => {
      query.stop()
      if (this.#watched.delete(query) && this.#watched.size === 0) this.#stopListening()
    }
  }

  /** As long as there is somebody to tell. */
  #listen(): void {
    const consider = (touched: Touched): void => {
      for (const query of this.#watched) query.consider(touched)
    }
    this.#stopListening = this.#options.database.onCommit(consider, { others: true })
  }
}

interface LiveQueryParts {
  readonly database: LocalDatabase
  readonly prepare: () => Promise<PreparedQuery>
  readonly onRows: (rows: readonly unknown[]) => void
  readonly onError: (error: unknown) => void
}

/** Records of the one table a query reads, or whatever it reads. */
type Records = ReadonlySet<string> | 'all'

/** Records that are read again by themselves at most: beyond, reading all of them costs about as much. */
const patchMax = 200

/** One query and its last result. */
class LiveQuery {
  readonly #parts: LiveQueryParts
  #prepared: PreparedQuery | undefined
  readonly #view = new RowView()
  /** What commits have touched since the last result was read. */
  #outdated: Records | undefined
  /** What others had committed when the last result was read. */
  #othersMark: string | undefined
  #isRunning = false
  #isStopped = false
  #hasFailed = false

  constructor(parts: LiveQueryParts) {
    this.#parts = parts
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Runs again if the commit may concern it. */
  consider({ tables: touched }: Touched): void {
    const { tables, patch } = this.#prepared ?? {}
    // Before it is prepared nobody knows what it reads; its first run may have begun before this commit.
    if (tables !== undefined && ![...touched.keys()].some((table) => tables.has(table))) return
    this.#outdate(patch === undefined ? 'all' : (touched.get(patch.table) ?? 'all'))
  }

  /** Runs now, or once more after the run under way. */
  refresh(): void {
    this.#outdate('all')
  }

  #outdate(records: Records): void {
    this.#outdated = union(this.#outdated, records)
    if (!this.#isRunning) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#outdated !== undefined && !this.#isStopped) {
      const outdated = this.#outdated
      this.#outdated = undefined
      try {
        this.#prepared ??= await this.#parts.prepare()
        const stored = await this.#read(this.#prepared, outdated)
        const isNews = this.#view.take(stored, this.#prepared.decode) || this.#hasFailed
        this.#hasFailed = false
        if (!this.#isStopped && isNews) this.#parts.onRows(this.#view.rows)
      } catch (error) {
        // Whoever was told of the failure wants to know when it is over, although the rows are those from before.
        this.#hasFailed = true
        if (!this.#isStopped) callListener(this.#parts.onError, error)
      }
    }
    this.#isRunning = false
  }

  /** The newest result, of which no more is read than what may have changed. Rules: LQ-9. */
  async #read(prepared: PreparedQuery, outdated: Records): Promise<readonly SqlRow[]> {
    const { sql, params, patch } = prepared
    const { database } = this.#parts
    let ids: Records = 'all'
    const mark = patch && (await database.othersMark())
    const rows = await database.ask(() => {
      // All that was committed by now is in what is read, and must be: rows of two states do not belong together.
      ids = this.#hasFailed ? 'all' : union(this.#outdated, outdated)
      this.#outdated = undefined
      return patch === undefined || ids === 'all'
        ? { sql, params }
        : { sql: patch.sql, params: [...params, JSON.stringify([...ids])] }
    })
    if (patch === undefined || ids === 'all') {
      this.#othersMark = mark
      return rows
    }
    const patched = patchRows(this.#view.stored, { ids, rows }, patch.sortKeys)
    // Nobody says which records another process touched.
    const isAlone = (await database.othersMark()) === this.#othersMark
    return patched !== undefined && isAlone ? patched : this.#read(prepared, 'all')
  }
}

function union(some: Records | undefined, others: Records): Records {
  if (some === undefined) return others
  if (some === 'all' || others === 'all' || some.size + others.size > patchMax) return 'all'
  return new Set([...some, ...others])
}
