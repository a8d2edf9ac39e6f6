import { failureOf, retryDelayMs } from '../sync/retry-policy.ts'
import { quoteName } from '../local/tables.ts'
import type { Downloads, Wanted } from './downloads.ts'
import type { TransferContext } from './transfer-context.ts'
import { attachmentFields } from './upload-queue.ts'

/** Attachments that one look finds at most. */
const foundRows = 50

interface Failed {
  readonly failures: number
  /** Of `env.monotonicMs`; undefined once it is looked for again. */
  readonly dueMs: number | undefined
}

/** Fetches what rows name and is not on the device, as long as there is room, one after the other. Rules: AT-40. */
export class EagerDownloads {
  readonly #context: TransferContext
  readonly #downloads: Downloads
  /** By hash; forgotten with the process. */
  readonly #failed = new Map<string, Failed>()
  #found: Wanted[] = []
  /** Rows may name something that the last look has not seen. */
  #isStale = true

  constructor(context: TransferContext, downloads: Downloads) {
    this.#context = context
    this.#downloads = downloads
  }

  /** Rows of these tables have changed. */
  noteTables(tables: Iterable<string>): void {
    const fields = attachmentFields(this.#context.schema)
    for (const table of tables) if (fields.has(table)) this.#isStale = true
  }

  /** How long until one that failed is due, ms; infinite when none is. */
  dueInMs(): number {
    const due = [...this.#failed.values()].flatMap(({ dueMs }) => dueMs ?? [])
    return Math.max(0, Math.min(Number.POSITIVE_INFINITY, ...due) - this.#context.env.monotonicMs())
  }

  /** Fetches one, if there is one to fetch. Returns whether to go on, and what it failed with. Errors: STORE_… */
  async step(signal: AbortSignal): Promise<{ readonly more: boolean; readonly error?: unknown }> {
    const wanted = await this.#next()
    if (wanted === undefined) return { more: false }
    const { env, limits } = this.#context
    try {
      await this.#downloads.fetchAhead(wanted, signal)
      this.#failed.delete(wanted.hash)
      return { more: true }
    } catch (error) {
      if (signal.aborted) return { more: false }
      const failures = (this.#failed.get(wanted.hash)?.failures ?? 0) + 1
      const failure = failureOf(error)
      const retryAfterMs = 'retryAfterMs' in failure ? failure.retryAfterMs : undefined
      const delayMs = retryDelayMs({ failures, roll: env.random(), retryAfterMs }, limits)
      this.#failed.set(wanted.hash, { failures, dueMs: env.monotonicMs() + delayMs })
      return { more: true, error }
    }
  }

  async #next(): Promise<Wanted | undefined> {
    const isDue = this.dueInMs() === 0
    if (this.#found.length === 0 && (this.#isStale || isDue)) {
      this.#isStale = false
      const read = this.#downloads.hashes
      this.#found = await this.#look(read)
      // There may be more than one look finds, and what an app reads now may not come to its end.
      if (this.#found.length > 0 || read.length > 0) this.#isStale = true
    }
    const wanted = this.#found.shift()
    // What was fetched since the look has taken room.
    if (wanted !== undefined && wanted.size > (await this.#room())) return this.#next()
    return wanted
  }

  /** `read`: hashes that an app fetches now. */
  async #look(read: readonly string[]): Promise<Wanted[]> {
    const { database, env, schema } = this.#context
    const nowMs = env.monotonicMs()
    const waiting: string[] = [...read]
    for (const [hash, { failures, dueMs = 0 }] of this.#failed)
      if (dueMs > nowMs) waiting.push(hash)
      else this.#failed.set(hash, { failures, dueMs: undefined })
    const named = [...attachmentFields(schema)].flatMap(([name, fields]) =>
      fields.map((field) => {
        const column = quoteName(field)
        return `SELECT '${name}' AS collection, id AS record, ${column} ->> '$.hash' AS hash, ${column} ->> '$.size' AS size
          FROM ${quoteName(name)} WHERE ${column} IS NOT NULL AND _scopes <> ''`
      }),
    )
    const rows = await database.all(
      `SELECT collection, record, hash, size FROM (${named.join(' UNION ALL ')})
       WHERE hash NOT IN (SELECT hash FROM _attachments) AND hash NOT IN (SELECT value FROM json_each(?1))
       GROUP BY hash HAVING size <= ?2 LIMIT ?3`,
      [JSON.stringify(waiting), await this.#room(), foundRows],
    )
    return rows.map(({ collection, record, hash, size }) => ({
      collection: String(collection),
      record: String(record),
      hash: String(hash),
      size: Number(size),
    }))
  }

  /** Bytes that may still be kept without anything being dropped for them. */
  async #room(): Promise<number> {
    const { database, limits, options } = this.#context
    const [row] = await database.all('SELECT coalesce(sum(size), 0) AS kept FROM _attachments')
    return (options.cacheBytes ?? limits.attachmentCacheBytes) - Number(row?.['kept'])
  }
}
