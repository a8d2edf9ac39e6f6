import type { Environment, Limits, PushResult, Schema } from '@holdfast/core'
import type { AuthorizeRequest, User } from '../engine.ts'
import type { Store, StoreWriter } from '../store/store.ts'
import type { Offer } from './offer.ts'

/** What the engine decides batches with. */
export interface PushContext<U extends User = User> {
  readonly store: Store
  readonly schema: Schema
  readonly env: Environment
  readonly limits: Limits
  readonly authorize: ((request: AuthorizeRequest<U>) => boolean | string) | undefined
  readonly mayReview: ((user: U) => boolean) | undefined
  /** Called inside the transaction, last: returns what to tell once it has committed. */
  readonly beforeCommit: (
    tx: StoreWriter,
    author: { readonly user: string; readonly device: string | null },
  ) => Promise<() => void>
  readonly count: (results: readonly PushResult[], offers: readonly Offer[]) => void
}
