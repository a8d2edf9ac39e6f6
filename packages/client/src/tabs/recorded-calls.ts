import { SyncError } from '@holdfast/core'

import type { LocalDatabase, TransactionRunner } from '../local/local-database.ts'

/** One call of one tab. */
export interface RecordedCall {
  readonly tab: string
  readonly call: number
  /** It was offered before, to a leader that is gone: what it did then is looked for first. */
  readonly isRepeat: boolean
}

/** Answered calls of a tab that are kept before the next write takes them away. */
const keptCalls = 200

/**
 * What the writing calls of tabs came to, stored in the transaction of the write itself: a call that is offered again
 * after the death of a leader is answered from it, and so happens once. Rules: BR-5.
 */
export class RecordedCalls {
  readonly #database: LocalDatabase
  /** By tab, up to where its records were taken away. */
  readonly #cleared = new Map<string, number>()

  /** Makes the table. What tabs left that are not among the living goes, unless there is no room even for that. Rules: BR-2. */
  static async open(database: LocalDatabase, living: readonly string[]): Promise<RecordedCalls> {
    await database.write((tx) =>
      tx.run(
        'CREATE TABLE IF NOT EXISTS _calls (tab TEXT, call INTEGER, part INTEGER, result TEXT, PRIMARY KEY (tab, call, part)) WITHOUT ROWID',
      ),
    )
    const forgetting = database.write((tx) =>
      tx.run('DELETE FROM _calls WHERE tab NOT IN (SELECT value FROM json_each(?))', [
        JSON.stringify(living),
      ]),
    )
    await forgetting.catch((error: unknown) => {
      // It would keep a person from everything that is stored; the next opening does it.
      if (!(error instanceof SyncError) || error.code !== 'STORE_FULL') throw error
    })
    return new RecordedCalls(database)
  }

  private constructor(database: LocalDatabase) {
    this.#database = database
  }

  /**
   * The database for one call: each of its transactions happens once, however often the call is made. `below`: every
   * call of a lower number was answered, and needs no record any more.
   */
  runner(call: RecordedCall, below: number): TransactionRunner {
    const database = this.#database
    let parts = 0
    const write: LocalDatabase['write'] = (fn, options) => {
      const part = parts++
      return database.write(async (tx) => {
        const key = [call.tab, call.call, part]
        if (call.isRepeat) {
          const [known] = await tx.all(
            'SELECT result FROM _calls WHERE tab = ? AND call = ? AND part = ?',
            key,
          )
          // It is what the same function returned, through JSON.
          if (known !== undefined)
            return JSON.parse(String(known['result'])) as Awaited<ReturnType<typeof fn>>
        }
        const result = await fn(tx)
        await tx.run('INSERT INTO _calls VALUES (?, ?, ?, ?)', [...key, JSON.stringify(result ?? null)])
        const cleared = this.#cleared.get(call.tab) ?? 0
        if (below - cleared > keptCalls) {
          await tx.run('DELETE FROM _calls WHERE tab = ? AND call < ?', [call.tab, below])
          this.#cleared.set(call.tab, below)
        }
        return result
      }, options)
    }
    return {
      write,
      read: (fn) => database.read(fn),
      all: (sql, params) => database.all(sql, params),
      onCommit: (listener, options) => database.onCommit(listener, options),
    }
  }

  /** A tab that is gone repeats nothing. */
  async forget(tab: string): Promise<void> {
    this.#cleared.delete(tab)
    await this.#database.write((tx) => tx.run('DELETE FROM _calls WHERE tab = ?', [tab]))
  }
}
