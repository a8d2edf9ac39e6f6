import type { ConflictQuery } from '../conflicts/conflicts-api.ts'
import type { SqlRow, StatementDescription } from '../drivers/sqlite-driver.ts'
import type { StoredQuery } from '../live/run-query.ts'
import type { Durability } from '../local/local-database.ts'
import type { Identity, SyncOptions } from '../sync-context.ts'
import type { EntryQuery } from '../outbox/outbox.ts'
import type { Conditions } from '../sync/sync-policy.ts'
import type { AuthRequest } from '../transport/auth.ts'
import type { WireError } from './wire-error.ts'

/** Messages of another number are not understood; the newer side leads. */
export const tabProtocol = 3

/** What a page tells its worker to open. Everything of it crosses by structured clone. */
export interface HostOptions {
  readonly name: string
  /** Of the page. */
  readonly tab: string
  readonly server: string | null
  readonly account: string | null
  readonly durability: Durability
  readonly sync: SyncOptions
  /** Whether tokens come from the page. */
  readonly hasAuth: boolean
  /** Whether the page gives tokens that may lie beside a sealed batch. */
  readonly hasSealedTokens: boolean
  /** Whether what waits is sealed for a service worker. */
  readonly seals: boolean
}

/** What a page knows of itself and of the machine. */
export interface PageFacts {
  readonly isVisible: boolean
  readonly conditions: Conditions
}

/** Between a page and its own worker, beside what passes between any tab and the leader. */
export type WorkerMessage =
  | { readonly kind: 'contend'; readonly options: HostOptions; readonly known: KnownStore | null }
  | { readonly kind: 'resign' }

/** What the worker tells its page. */
export type PageMessage =
  | { readonly kind: 'failed'; readonly error: WireError }
  | { readonly kind: 'resigned' }

/** On the channel that all tabs of a database share. */
export type Announcement =
  | { readonly kind: 'who'; readonly protocol: number }
  | LeadingMessage
  | { readonly kind: 'hello'; readonly leader: string; readonly tab: TabIntroduction }

/** Somebody leads. */
export interface LeadingMessage {
  readonly kind: 'leading'
  readonly leader: string
  /** Whose worker it is: that tab speaks to it directly, and nobody may hear both. */
  readonly tab: string
  readonly protocol: number
}

/** How a tab introduces itself to the leader. */
export interface TabIntroduction {
  readonly id: string
  readonly schemaVersion: number
  readonly account: string | null
  readonly server: string | null
  readonly hasAuth: boolean
  readonly hasSealedTokens: boolean
  readonly page: PageFacts
  /** When the tab last heard of it: a new leader goes on with that. */
  readonly pausedBy: KnownPause
}

/** Why syncing is paused, null when it is not; undefined for who has not heard anything of it. */
export type KnownPause = 'user' | 'policy' | null | undefined

/** What a page remembers of the database it saw last, where that outlives the database. Rules: BR-12. */
export interface KnownStore {
  /** Made with the database. */
  readonly store: string
  /** Mutations that were not settled when the page last heard. */
  readonly unsentCount: number
}

/** What a tab asks of the leader. */
export type TabMessage =
  | CallMessage
  | { readonly kind: 'watch'; readonly id: number; readonly query: StoredQuery }
  | { readonly kind: 'follow'; readonly id: number; readonly topic: Topic }
  | { readonly kind: 'stop'; readonly id: number }
  | { readonly kind: 'step'; readonly call: number; readonly step: number; readonly what: Step }
  | { readonly kind: 'finish'; readonly call: number; readonly isDone: boolean }
  | { readonly kind: 'page'; readonly page: PageFacts }
  | TokenMessage
  | { readonly kind: 'tokenFailed'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'bye' }

/** What a tab answers when it is asked for a token. */
export interface TokenMessage extends GivenToken {
  readonly kind: 'token'
  readonly id: number
}

/** What a page answers when it is asked for a token. */
export interface GivenToken {
  readonly token: string | null
  /** ms since 1970, of a token that is to be sealed. */
  readonly expiresAtMs?: number
}

/** What a token is for: a request of the leader, or to lie beside a sealed batch. */
export type TokenReason = AuthRequest['reason'] | 'sealing'

/** One call of the client's interface. */
export interface CallMessage {
  readonly kind: 'call'
  /** Numbers of a tab only grow. */
  readonly call: number
  /** Every call of a lower number has its answer, and the tab has taken it in. */
  readonly below: number
  /** It was offered to another leader, who may have performed it. */
  readonly isRepeat: boolean
  readonly path: readonly string[]
  readonly args: readonly unknown[]
  readonly trace: string | null
}

/** One write or read inside a transaction. */
export interface Step {
  readonly path: readonly string[]
  readonly args: readonly unknown[]
}

/** What can be followed beside queries. */
export type Topic =
  | { readonly of: 'status' }
  | { readonly of: 'conflicts'; readonly query: ConflictQuery | undefined }
  | { readonly of: 'outbox'; readonly query: EntryQuery | undefined }
  | { readonly of: 'deadLetters' }
  | { readonly of: 'uploads' }

/** What the leader tells a tab. */
export type LeaderMessage =
  | WelcomeMessage
  | { readonly kind: 'refused'; readonly error: WireError }
  | { readonly kind: 'result'; readonly call: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly call: number; readonly error: WireError }
  | { readonly kind: 'ready'; readonly call: number }
  | { readonly kind: 'stepResult'; readonly call: number; readonly step: number; readonly value: unknown }
  | { readonly kind: 'stepError'; readonly call: number; readonly step: number; readonly error: WireError }
  | RowsMessage
  | { readonly kind: 'told'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'watchError'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'ask'; readonly id: number; readonly reason: TokenReason }
  /** Something lies sealed: whoever can wake a service worker shall see to it. */
  | { readonly kind: 'sealed' }
  | { readonly kind: 'identity'; readonly identity: Identity }
  | { readonly kind: 'known'; readonly known: KnownStore }
  | { readonly kind: 'paused'; readonly by: 'user' | 'policy' | null }

/** The leader takes a tab in, and says how things stand. */
export interface WelcomeMessage {
  readonly kind: 'welcome'
  readonly identity: Identity
  /** Absent from a leader of an older app. */
  readonly pausedBy?: KnownPause
}

/** A new result of a live query. */
export interface RowsMessage {
  readonly kind: 'rows'
  readonly id: number
  readonly diff: RowsDiff
  /** With the first result. */
  readonly columns?: StatementDescription['columns']
}

/** A result as stretches of the one before, `[from, count]`, and rows that are new. */
export type RowsDiff = readonly (
  | readonly [from: number, count: number]
  | { readonly rows: readonly SqlRow[] }
)[]

/** What crosses a channel between a tab and the leader: the messages of one turn together. */
export interface Envelope<Message> {
  readonly leader: string
  readonly messages: readonly Message[]
}
