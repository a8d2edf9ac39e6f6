import type { CurrentRecord, WorkingSet } from './working-set.ts'

/** What a member of the unit came to, for those that stand on it. */
export interface UnitResult {
  readonly version: number | null
  /** As in a stored outcome. */
  readonly stoodOn: number | null
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

  /** The next version to give; the batch goes on from here once the unit is kept. */
  nextVersion: number

  constructor(working: WorkingSet, nextVersion: number) {
    this.#working = working
    this.nextVersion = nextVersion
  }

  record(collection: string, id: string): CurrentRecord {
    return this.#records.get(`${id} ${collection}`)?.record ?? this.#working.record(collection, id)
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
}
