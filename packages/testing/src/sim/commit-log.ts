import type { SqlParam } from '@holdfast/client'
import { assert } from '@holdfast/core'

/** The bytes of a database; null: an empty one. */
export type DatabaseBytes = Uint8Array | null

/** A statement that ran. */
export interface LoggedStatement {
  readonly sql: string
  readonly params: readonly SqlParam[]
}

/** What a power cut leaves behind. */
export interface Survivors {
  readonly base: DatabaseBytes
  readonly commits: readonly (readonly LoggedStatement[])[]
}

/**
 * The commits since an image of the database was taken, and which of them are synced: a power cut leaves the image, what
 * is synced, and as much of the rest as was already on its way, in order. Nothing is kept until `start`.
 */
export class CommitLog {
  #base: DatabaseBytes | undefined
  #commits: (readonly LoggedStatement[])[] = []
  #open: LoggedStatement[] = []
  #syncedCount = 0
  #statementCount = 0

  get isKept(): boolean {
    return this.#base !== undefined
  }

  /** Statements of the commits it holds. */
  get statementCount(): number {
    return this.#statementCount
  }

  /** Commits a power cut may take. */
  get unsyncedCount(): number {
    return this.#commits.length - this.#syncedCount
  }

  /** Everything in `base` is synced; what is committed from now on is kept. */
  start(base: DatabaseBytes): void {
    this.clear()
    this.#base = base
  }

  /** Everything there is is synced; nothing is kept until `start`. */
  clear(): void {
    this.#base = undefined
    this.#commits = []
    this.#open = []
    this.#syncedCount = 0
    this.#statementCount = 0
  }

  note(sql: string, params: readonly SqlParam[]): void {
    if (this.#base !== undefined) this.#open.push({ sql, params })
  }

  /** What was noted since the last commit is committed. A sync is one of all commits before it too. */
  commit(isSynced: boolean): void {
    if (this.#base === undefined) return
    this.#commits.push(this.#open)
    this.#statementCount += this.#open.length
    this.#open = []
    if (isSynced) this.#syncedCount = this.#commits.length
  }

  /** What was noted since the last commit is undone. */
  undo(): void {
    if (this.#open.length > 0) this.#open = []
  }

  /** What is left after a power cut that spares so many commits that were not synced. */
  survivors(spared: number): Survivors {
    assert(this.#base !== undefined, 'a log that holds nothing was asked')
    return { base: this.#base, commits: this.#commits.slice(0, this.#syncedCount + spared) }
  }
}
