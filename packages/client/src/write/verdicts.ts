import { errorTable, SyncError } from '@holdfast/core'

import type { KnownVerdict, LocalDatabase, LocalReader } from '../local/local-database.ts'
import { type Entry, entryColumns, readEntry } from '../outbox/entry.ts'
import { entriesOfRecord } from '../outbox/outbox.ts'

/** What became of a write. `settled`: it left the outbox before anybody asked, so the device no longer knows how. */
export interface WriteVerdict extends Omit<KnownVerdict, 'status'> {
  readonly status: KnownVerdict['status'] | 'settled'
}

interface Waiter {
  readonly promise: Promise<WriteVerdict>
  readonly resolve: (verdict: WriteVerdict) => void
  readonly reject: (error: unknown) => void
}

/** Tells who wrote a mutation what came of it. Lives as long as its database is open. */
export class Verdicts {
  readonly #database: LocalDatabase
  readonly #waiters = new Map<string, Waiter>()
  readonly #stop: () => void

  constructor(database: LocalDatabase) {
    this.#database = database
    this.#stop = database.onCommit(({ verdicts }) => {
      for (const [mutation, verdict] of verdicts) this.#tell(mutation, verdict)
    })
  }

  /**
   * The verdict on a mutation, once there is one; `seq` spares a search if it is known. Errors: CLIENT_CLOSED when the
   * client is closed before. Rules: WR-11.
   */
  async of(mutation: string, seq?: number): Promise<WriteVerdict> {
    const waiting = this.#waiters.get(mutation)
    if (waiting !== undefined) return waiting.promise
    const { promise, resolve, reject } = Promise.withResolvers<WriteVerdict>()
    this.#waiters.set(mutation, { promise, resolve, reject })
    // Whoever waits sees the rejection; when nobody does any more, it is nobody's.
    promise.catch(() => undefined)
    const known = await this.#database.read((tx) => readVerdict(tx, mutation, seq))
    if (known !== undefined) this.#tell(mutation, known)
    return promise
  }

  /** The verdict on the last unsettled mutation of a record, once every one has its own. */
  async ofRecord(collection: string, record: string): Promise<WriteVerdict> {
    const entries = await this.#database.read((tx) => entriesOfRecord(tx, collection, record))
    const verdicts = await Promise.all(entries.map((entry) => this.of(entry.id, entry.seq)))
    return verdicts.at(-1) ?? { status: 'settled', version: null }
  }

  close(): void {
    this.#stop()
    for (const waiter of this.#waiters.values())
      waiter.reject(new SyncError('CLIENT_CLOSED', 'the client was closed'))
    this.#waiters.clear()
  }

  #tell(mutation: string, verdict: WriteVerdict): void {
    this.#waiters.get(mutation)?.resolve(verdict)
    this.#waiters.delete(mutation)
  }
}

async function readVerdict(
  tx: LocalReader,
  mutation: string,
  seq: number | undefined,
): Promise<WriteVerdict | undefined> {
  const where = seq === undefined ? 'id = ?' : 'id = ? AND seq = ?'
  const params = seq === undefined ? [mutation] : [mutation, seq]
  const [row] = await tx.all(`SELECT ${entryColumns} FROM _outbox WHERE ${where}`, params)
  const entry = row === undefined ? undefined : readEntry(row)
  if (entry !== undefined) return verdictOf(entry)
  const [escrowed] = await tx.all('SELECT 1 FROM _escrow WHERE id = ?', [mutation])
  if (escrowed === undefined) return { status: 'settled', version: null }
  const error = { code: 'ESCROWED', message: errorTable.ESCROWED.meaning }
  return { status: 'rejected', version: null, error }
}

/** The verdict an entry carries; undefined when there is none yet. */
function verdictOf(entry: Entry): WriteVerdict | undefined {
  if (entry.verdict === null) return undefined
  const error = entry.error === null ? {} : { error: entry.error }
  return { status: entry.verdict, version: entry.version, ...error }
}
