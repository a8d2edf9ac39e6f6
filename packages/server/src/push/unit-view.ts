import type { CurrentRecord, WorkingSet } from './working-set.ts'

/** What a member of the unit came to, for those that stand on it. */
export interface UnitResult {
  readonly version: number | null
  readonly exact: boolean
}

/** The working set as one unit sees it while it is decided: nothing is kept unless the unit is. */
export class UnitView {
  readonly #working: WorkingSet
  readonly #records = new Map<
    string,
    { readonly collection: string; readonly id: string; readonly record: CurrentRecord }
  >()
  readonly #results = new Map<string, UnitResult>()

  constructor(working: WorkingSet) {
    this.#working = working
  }

  async record(collection: string, id: string): Promise<CurrentRecord> {
    return this.#records.get(`${id} ${collection}`)?.record ?? (await this.#working.record(collection, id))
  }

  put(collection: string, id: string, record: CurrentRecord): void {
    this.#records.set(`${id} ${collection}`, { collection, id, record })
  }

  /** Records the unit changed, in the order first changed. */
  changed(): Iterable<{ readonly collection: string; readonly id: string; readonly record: CurrentRecord }> {
    return this.#records.values()
  }

  result(mutation: string): UnitResult | undefined {
    return this.#results.get(mutation)
  }

  setResult(mutation: string, result: UnitResult): void {
    this.#results.set(mutation, result)
  }

  keep(): void {
    for (const { collection, id, record } of this.#records.values()) this.#working.put(collection, id, record)
  }
}
