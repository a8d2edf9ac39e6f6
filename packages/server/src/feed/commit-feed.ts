import type { CommitEvent, Logger } from '../engine.ts'
import type { Store, StoreWriter } from '../store/store.ts'

/**
 * Tells who listens which scopes moved, after each commit: of this process at once, of others when the store notices.
 * A lost event costs time only, because devices also ask by themselves; a listener that fails costs nobody else anything.
 * Rules: FE-13.
 */
export class CommitFeed {
  readonly #listeners = new Set<(event: CommitEvent) => void>()
  readonly #logger: Logger | undefined

  constructor(store: Store, logger: Logger | undefined) {
    this.#logger = logger
    store.onForeignCommit((scopes) => this.#tell({ scopes, user: null, device: null }))
  }

  subscribe(listener: (event: CommitEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Called last in a transaction: what it returns is to be called once it has committed. */
  async beforeCommit(
    tx: StoreWriter,
    { user, device }: { readonly user: string | null; readonly device: string | null },
  ): Promise<() => void> {
    const scopes = await tx.movedScopes()
    return () => this.#tell({ scopes, user, device })
  }

  #tell(event: CommitEvent): void {
    if (event.scopes.length === 0) return
    for (const listener of this.#listeners) {
      const tell = async (): Promise<void> => listener(event)
      tell().catch((err: unknown) => this.#logger?.error({ err }, 'a listener to commits failed'))
    }
  }
}
