import type { CommitEvent, Logger } from '../engine.ts'
import type { Store, StoreReader } from '../store/store.ts'

/**
 * Tells who listens which scopes moved, after each commit: of this process at once, of others when the store notices.
 * A lost event costs time only, because devices also ask by themselves. Rules: FE-13.
 */
export class CommitFeed {
  readonly #listeners = new Set<(event: CommitEvent) => void>()
  /** Newest position that was told. */
  #told: number

  private constructor(told: number) {
    this.#told = told
  }

  static async open(store: Store, logger: Logger | undefined): Promise<CommitFeed> {
    const { head } = await store.read((tx) => tx.state())
    const feed = new CommitFeed(head)
    store.onForeignCommit(() => {
      feed
        .#tellForeign(store)
        .catch((error: unknown) =>
          logger?.warn({ error: String(error) }, 'commits of other processes could not be read'),
        )
    })
    return feed
  }

  subscribe(listener: (event: CommitEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Called last in a transaction: what it returns is to be called once it has committed. */
  async beforeCommit(
    tx: StoreReader,
    { user, device }: { readonly user: string | null; readonly device: string | null },
  ): Promise<() => void> {
    const before = this.#told
    const { head } = await tx.state()
    const scopes = head > before ? await tx.scopesSince(before) : []
    return () => {
      this.#told = Math.max(this.#told, head)
      this.#tell({ scopes, user, device })
    }
  }

  async #tellForeign(store: Store): Promise<void> {
    const tell = await store.read((tx) => this.beforeCommit(tx, { user: null, device: null }))
    tell()
  }

  #tell(event: CommitEvent): void {
    if (event.scopes.length === 0) return
    for (const listener of this.#listeners) listener(event)
  }
}
