import { recordKey } from '../local/record-key.ts'

/** Records that must be brought in line with shadow and entries before the transaction ends. */
export class RecordsToRebase {
  readonly #records = new Map<string, { collection: string; record: string; hasLeft: boolean }>()

  /** `hasLeft` is only for whoever knows; otherwise what was known stays. */
  add(collection: string, record: string, hasLeft?: boolean): void {
    const key = recordKey({ collection, record })
    const known = this.#records.get(key)?.hasLeft ?? false
    this.#records.set(key, { collection, record, hasLeft: hasLeft ?? known })
  }

  all(): Iterable<{ readonly collection: string; readonly record: string; readonly hasLeft: boolean }> {
    return this.#records.values()
  }
}
