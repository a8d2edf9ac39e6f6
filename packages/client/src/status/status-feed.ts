import { type Environment, SyncError } from '@holdfast/core'

import type { Foretelling } from '../conflicts/foretold.ts'
import { callListener } from '../live/call-listener.ts'
import type { LocalDatabase } from '../local/local-database.ts'
import {
  type EngineFacts,
  readMetrics,
  readStatus,
  type SyncMetrics,
  type SyncStatus,
} from './sync-status.ts'

/** `db.status`: how things stand, now and whenever it changes. */
export interface StatusApi {
  /** Read from the facts of this moment. */
  get(): Promise<SyncStatus>
  /**
   * Calls `listener` with the status at once and after every change; changes that follow each other closely are told
   * once. Returns the way to stop.
   */
  subscribe(listener: (status: SyncStatus) => void): () => void
  /** Counts that survive restarts, under the names the documentation gives them. */
  metrics(): Promise<SyncMetrics>
}

/** How long after a look that failed there is another one, ms. */
const againMs = 1_000

/** Tells listeners when the status has changed. Rules: ST-2, ST-3. */
export class StatusFeed implements StatusApi {
  readonly #database: LocalDatabase
  readonly #foretelling: Foretelling
  readonly #facts: () => EngineFacts
  readonly #env: Pick<Environment, 'setTimer'>
  readonly #listeners = new Set<(status: SyncStatus) => void>()
  #told = ''
  #isReading = false
  #isStale = false

  constructor(
    database: LocalDatabase,
    foretelling: Foretelling,
    facts: () => EngineFacts,
    env: Pick<Environment, 'setTimer'>,
  ) {
    this.#database = database
    this.#foretelling = foretelling
    this.#facts = facts
    this.#env = env
  }

  get(): Promise<SyncStatus> {
    return this.#database.read((tx) => readStatus(tx, this.#facts(), this.#foretelling))
  }

  metrics(): Promise<SyncMetrics> {
    return this.#database.read((tx) => readMetrics(tx, this.#facts().nowMs))
  }

  subscribe(listener: (status: SyncStatus) => void): () => void {
    this.#listeners.add(listener)
    this.#told = ''
    this.refresh()
    return () => void this.#listeners.delete(listener)
  }

  /** Something may have changed. While a look is under way the next one waits for it. */
  refresh(): void {
    this.#isStale = true
    if (!this.#isReading && this.#listeners.size > 0) void this.#tell()
  }

  async #tell(): Promise<void> {
    this.#isReading = true
    while (this.#isStale && this.#listeners.size > 0) {
      this.#isStale = false
      const status = await this.get().catch((error: unknown) => this.#lookAgain(error))
      if (!status) break
      // Ages change with every look and are no news by themselves.
      const told = JSON.stringify({ ...status, oldestPendingAgeMs: status.oldestPendingAgeMs === null })
      if (told === this.#told) continue
      this.#told = told
      for (const listener of this.#listeners) callListener(listener, status)
    }
    this.#isReading = false
  }

  /** What was told last may not be so any more, and nothing else may happen for long. */
  #lookAgain(error: unknown): undefined {
    // A database that was closed meanwhile has nothing more to say.
    if (error instanceof SyncError && error.code === 'CLIENT_CLOSED') return
    this.#env.setTimer(() => this.refresh(), againMs)
  }
}
