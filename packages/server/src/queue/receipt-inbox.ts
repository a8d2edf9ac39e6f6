import type { NewReceipt, Store } from '../store/store.ts'

/** Receipts stored in one transaction at most: what is written together must not hold the others up. */
const storedTogether = 200

interface Entry {
  readonly receipt: NewReceipt
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** Stores receipts: those that come while a transaction is under way share the next one. */
export class ReceiptInbox {
  readonly #store: Store
  readonly #onStored: (receipts: readonly NewReceipt[]) => void
  #waiting: Entry[] = []
  #isStoring = false

  /** `onStored` is told after the commit, and before whoever waits for it. */
  constructor(store: Store, onStored: (receipts: readonly NewReceipt[]) => void) {
    this.#store = store
    this.#onStored = onStored
  }

  /** Resolves when it is stored for good. Errors: those of `Store.write`. */
  put(receipt: NewReceipt): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ receipt, resolve, reject })
      if (!this.#isStoring) void this.#storeAll()
    })
  }

  async #storeAll(): Promise<void> {
    this.#isStoring = true
    while (this.#waiting.length > 0) {
      const together = this.#waiting.slice(0, storedTogether)
      this.#waiting = this.#waiting.slice(storedTogether)
      await this.#storeTogether(together)
    }
    this.#isStoring = false
  }

  async #storeTogether(entries: readonly Entry[]): Promise<void> {
    const receipts = entries.map(({ receipt }) => receipt)
    try {
      await this.#store.write((tx) => tx.saveReceipts(receipts))
    } catch (error) {
      for (const { reject } of entries) reject(error)
      return
    }
    this.#onStored(receipts)
    for (const { resolve } of entries) resolve()
  }
}
