import type { SealedBatch } from './sealed-batch.ts'
import type { SealedStore } from './sealed-store.ts'

/** Sealed batches in memory, and everything that was ever put there. */
export class GivenSealedStore implements SealedStore {
  readonly everything: SealedBatch[] = []
  /** Something else that lies there, as another version might have left it. */
  readonly strange: unknown[] = []
  #batches: readonly SealedBatch[] = []

  get batches(): readonly SealedBatch[] {
    return this.#batches
  }

  list(): Promise<readonly unknown[]> {
    return Promise.resolve([...this.strange, ...this.#batches])
  }

  async put(batch: SealedBatch): Promise<void> {
    await this.erase(batch.name, batch.device)
    this.#batches = [...this.#batches, batch]
    this.everything.push(batch)
  }

  remove(batch: SealedBatch): Promise<void> {
    this.#batches = this.#batches.filter(({ id }) => id !== batch.id)
    return Promise.resolve()
  }

  erase(name: string, device?: string): Promise<void> {
    const isMeant = (batch: SealedBatch): boolean =>
      batch.name === name && (device === undefined || batch.device === device)
    this.#batches = this.#batches.filter((batch) => !isMeant(batch))
    return Promise.resolve()
  }
}
