import type { NewReceipt, Store } from '../store/store.ts'

/** Receipts stored in one transaction at most: what is written together must not hold the others up. */
const storedTogether = 200
/** And so many characters of what was pushed, if there are several: a statement holds all of them in one text. */
const charactersTogether = 8_388_608

interface Entry {
  readonly receipt: NewReceipt
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** Stores receipts: those that come while a transaction is under way share the next one. */
export class ReceiptInbox {
  readonly #store: Store
  readonly #onStored: (receipts: readonly NewReceipt[]) => void
  readonly #waiting: Entry[] = []
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
      await this.#storeTogether(this.#takeTogether())
    }
    this.#isStoring = false
  }

  /** The first that wait: at least one, and no more than go together. Rules: QU-19. */
  #takeTogether(): readonly Entry[] {
    let characters = 0
    const end = this.#waiting.findIndex(({ receipt: { body } }, index) => {
      characters += body.length
      return index === storedTogether || (index > 0 && characters > charactersTogether)
    })
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end)
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
