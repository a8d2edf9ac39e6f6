import type { GivenToken, HostOptions, KnownStore, TokenReason } from './tab-messages.ts'

/** What a link is made from. */
export interface LeaderLinkOptions {
  readonly host: Omit<HostOptions, 'tab'>
  readonly schemaVersion: number
  readonly makeWorker: () => Worker
  /** What the page knows of the database, and where it notes that. */
  readonly known: () => KnownStore | null
  readonly onKnown: (known: KnownStore) => void
  /** Gives a token when the leader asks for one. */
  readonly token: (reason: TokenReason) => Promise<GivenToken>
  /** Told when something lies sealed. */
  readonly onSealed: () => void
}
