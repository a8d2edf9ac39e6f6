import type { LocalReader } from '../local/local-database.ts'
import { recordKey } from '../local/record-key.ts'
import type { Entry } from './entry.ts'
import { entriesOfRecord } from './outbox.ts'

/** The other entries of a record. */
export interface Around {
  readonly earlier: readonly Entry[]
  readonly later: readonly Entry[]
}

/** Entries of the records that lose some of them: those of a record are read once, however many go. Rules: OB-23. */
export class RecordEntries {
  readonly #tx: LocalReader
  readonly #entriesByRecord = new Map<string, Entry[]>()

  constructor(tx: LocalReader) {
    this.#tx = tx
  }

  /** Those of the record of `entry` that were written before it, and after it but for `gone`, in the order written. */
  async around(
    entry: Pick<Entry, 'collection' | 'record' | 'seq'>,
    gone: Readonly<Pick<ReadonlySet<number>, 'has'>>,
  ): Promise<Around> {
    const entries = await this.#read(entry)
    return {
      earlier: entries.filter(({ seq }) => seq < entry.seq),
      later: entries.filter(({ seq }) => seq > entry.seq && !gone.has(seq)),
    }
  }

  /** They were written anew. */
  replace(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const known = this.#entriesByRecord.get(recordKey(entry)) ?? []
      known.splice(
        known.findIndex(({ seq }) => seq === entry.seq),
        1,
        entry,
      )
    }
  }

  async #read({ collection, record }: Pick<Entry, 'collection' | 'record'>): Promise<readonly Entry[]> {
    const key = recordKey({ collection, record })
    const known = this.#entriesByRecord.get(key)
    if (known !== undefined) return known
    const entries = await entriesOfRecord(this.#tx, collection, record)
    this.#entriesByRecord.set(key, entries)
    return entries
  }
}
