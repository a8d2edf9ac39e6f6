import { type CancelTimer, limits, newUuid, type Schema, SyncError } from '@holdfast/core'

import type { SealedToken } from '../background/sealed-batch.ts'
import { indexedDbSealedStore } from '../background/sealed-store.ts'
import { Sealer, type SealerOptions } from '../background/sealer.ts'
import { type ClientParts, closeParts } from '../client-parts.ts'
import type { Touched } from '../local/local-database.ts'
import type { SyncStatus } from '../status/sync-status.ts'
import { systemEnvironment } from '../system-environment.ts'
import type { AuthRequest } from '../transport/auth.ts'
import type { RecordedCalls } from './recorded-calls.ts'
import type { StoreReport } from './store-report.ts'
import type {
  Announcement,
  Envelope,
  KnownPause,
  LeaderMessage,
  PageFacts,
  TabIntroduction,
  TabMessage,
  TokenMessage,
  TokenReason,
} from './tab-messages.ts'
import { tabProtocol } from './tab-messages.ts'
import { commonChannel, tabChannel, tabLock } from './tab-names.ts'
import { TabSession } from './tab-session.ts'
import { errorToWire } from './wire-error.ts'

/** What a host is made from. */
export interface TabHostOptions {
  /** Of the database. */
  readonly name: string
  /** Whose worker this is. */
  readonly tab: string
  readonly parts: ClientParts<Schema>
  readonly calls: RecordedCalls
  readonly storage: StoreReport
  /** What sealing needs beside; undefined when nothing is sealed. */
  readonly sealing: Pick<SealerOptions, 'env' | 'server' | 'onError'> | undefined
  /** To the page whose worker this is. */
  readonly postToPage: (message: Announcement | Envelope<LeaderMessage>) => void
  /** A tab of a newer app is there: it shall lead. */
  readonly onNewer: () => void
}

/** Time in which changes of what is unsent are noted once, ms: a note costs a query. */
const noteMs = 200

/** How long a tab has to answer for a token before another is asked, ms. */
const tokenMs = 30_000

/** Serves an open database to the tabs of this browser, as long as its worker leads. Rules: BR-4, BR-9 to BR-11. */
export class TabHost {
  readonly leader: string = newUuid(systemEnvironment)
  readonly #options: TabHostOptions
  readonly #common: BroadcastChannel
  readonly #sessions = new Map<string, { readonly session: TabSession; readonly close: () => void }>()
  readonly #stopListening: () => void
  readonly #sealer: Sealer | undefined
  #cancelNote: CancelTimer | undefined
  #isPersistent: boolean
  #pausedBy: KnownPause
  #isStarted = false
  #isOver = false

  constructor(options: TabHostOptions) {
    const { name, parts } = options
    this.#options = options
    this.#isPersistent = options.storage.isPersistent
    this.#common = new BroadcastChannel(commonChannel(name))
    this.#common.addEventListener('message', ({ data }: MessageEvent<Announcement>) => this.#hear(data))
    this.#stopListening = parts.database.onCommit((touched) => this.#onCommit(touched))
    this.#sealer = options.sealing && this.#makeSealer(options.sealing)
    this.#announce()
  }

  #makeSealer(sealing: NonNullable<TabHostOptions['sealing']>): Sealer {
    const { name, parts } = this.#options
    const { database, schema, syncParts } = parts
    return new Sealer({
      ...sealing,
      name,
      database,
      schema,
      limits,
      store: indexedDbSealedStore(),
      sync: syncParts,
      leastPriority: () => syncParts.saving().leastPriority,
      token: () => this.#sealedToken(),
      onSealed: () => this.#tellAll({ kind: 'sealed' }),
    })
  }

  /** A message of the page whose worker this is. */
  takeOwn(message: Announcement | Envelope<TabMessage>): void {
    if ('messages' in message) return this.#take(this.#options.tab, message)
    if (message.kind !== 'hello' || message.leader !== this.leader) return
    this.#admit(message.tab, (messages) => this.#options.postToPage({ leader: this.leader, messages }))
  }

  /** Asks the tabs for a token, the own one first; one that does not answer is left out. Errors: AUTH_REQUIRED, OFFLINE. */
  async token({ reason }: AuthRequest): Promise<string | null> {
    return (await this.#askTabs(reason, ({ tab }) => tab.hasAuth)).token
  }

  async #sealedToken(): Promise<SealedToken | null> {
    const { token, expiresAtMs } = await this.#askTabs('sealing', ({ tab }) => tab.hasSealedTokens)
    return token === null || expiresAtMs === undefined ? null : { token, expiresAtMs }
  }

  async #askTabs(reason: TokenReason, isAble: (session: TabSession) => boolean): Promise<TokenMessage> {
    const able = [...this.#sessions.values()].map(({ session }) => session).filter(isAble)
    const isOwn = ({ tab }: TabSession): boolean => tab.id === this.#options.tab
    able.sort((left, right) => Number(isOwn(right)) - Number(isOwn(left)))
    let failure: unknown = new SyncError('OFFLINE', 'there is no tab to ask for a token')
    for (const session of able) {
      try {
        return await withinTime(session.ask(reason))
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** Serves nobody any more and closes the database; what is unanswered is for the next leader. */
  async close(): Promise<void> {
    this.#isOver = true
    this.#cancelNote?.()
    this.#stopListening()
    this.#common.close()
    await this.#sealer?.close()
    for (const { session, close } of this.#sessions.values()) {
      session.end()
      close()
    }
    this.#sessions.clear()
    await closeParts(this.#options.parts)
  }

  /** The browser says whether there is a network. */
  setOnline(isOnline: boolean): void {
    this.#options.parts.syncParts.sync.setOnline(isOnline)
  }

  /** The device learnt its account, or took another identity. */
  onIdentity(): void {
    for (const { session } of this.#sessions.values())
      session.tell({ kind: 'identity', identity: this.#options.parts.syncParts.identity() })
  }

  #announce(): void {
    const { tab } = this.#options
    const message: Announcement = { kind: 'leading', leader: this.leader, tab, protocol: tabProtocol }
    this.#common.postMessage(message)
    this.#options.postToPage(message)
  }

  #hear(message: Announcement): void {
    if (this.#isOver) return
    if (message.kind === 'who') {
      if (message.protocol > tabProtocol) return this.#options.onNewer()
      this.#announce()
    }
    if (message.kind !== 'hello' || message.leader !== this.leader) return
    const channel = new BroadcastChannel(tabChannel(this.#options.name, message.tab.id))
    const { leader } = this
    const post = (messages: readonly LeaderMessage[]): void => channel.postMessage({ leader, messages })
    channel.addEventListener('message', ({ data }: MessageEvent<Envelope<TabMessage>>) =>
      this.#take(message.tab.id, data),
    )
    this.#admit(message.tab, post, () => channel.close())
  }

  #admit(
    tab: TabIntroduction,
    post: (messages: readonly LeaderMessage[]) => void,
    close: () => void = () => undefined,
  ): void {
    const { parts, calls } = this.#options
    if (tab.schemaVersion > parts.declared.version) return this.#options.onNewer()
    const refusal = this.#refusalOf(tab)
    if (refusal !== undefined) {
      post([{ kind: 'refused', error: errorToWire(refusal) }])
      return close()
    }
    const onPause = (by: 'user' | 'policy' | null): void => {
      this.#pausedBy = by
      this.#tellAll({ kind: 'paused', by })
    }
    const withStorage = (status: SyncStatus): SyncStatus => this.#withStorage(status)
    // A tab that turns to this leader anew begins from nothing.
    const former = this.#sessions.get(tab.id)
    former?.session.end()
    former?.close()
    const onPage = (page: PageFacts): void => this.#onPage(page)
    const session = new TabSession({ tab, parts, calls, post, withStorage, onPause, onPage })
    this.#sessions.set(tab.id, { session, close })
    this.#onPage(tab.page)
    this.#start(tab)
    session.tell({ kind: 'welcome', identity: parts.syncParts.identity(), pausedBy: this.#pausedBy })
    void this.#lookAtStorage()
    this.#noteSoon()
    void this.#awaitEnd(tab.id)
  }

  /** Syncing begins once there is a tab, which can give a token; the first that has heard of a pause says so. */
  #start({ pausedBy }: TabIntroduction): void {
    const { syncParts } = this.#options.parts
    if (!this.#isStarted) syncParts.start()
    this.#isStarted = true
    if (this.#pausedBy !== undefined || pausedBy === undefined) return
    this.#pausedBy = pausedBy
    if (pausedBy !== null) syncParts.sync.pause(pausedBy)
  }

  #refusalOf({ account, server }: TabIntroduction): SyncError | undefined {
    const identity = this.#options.parts.syncParts.identity()
    for (const [at, said, known] of [
      ['account', account, identity.account],
      ['server', server, identity.server],
    ] as const) {
      if (said === null || said === known) continue
      // A database that was opened without one takes the first that is said; that is for its next opening.
      const text = `the database is open for the ${at} "${known ?? ''}", not for "${said}"`
      return new SyncError('ACCOUNT_MISMATCH', text, { at })
    }
    return undefined
  }

  #take(tab: string, { leader, messages }: Envelope<TabMessage>): void {
    if (leader !== this.leader) return
    const admitted = this.#sessions.get(tab)
    for (const message of messages) {
      if (message.kind === 'bye') this.#dismiss(tab)
      else admitted?.session.take(message)
    }
  }

  /** The machine is the same for all of them. */
  #onPage({ conditions }: PageFacts): void {
    this.#options.parts.syncParts.sync.setConditions(conditions)
    this.#lookWhoIsThere()
  }

  #lookWhoIsThere(): void {
    this.#sealer?.setAttended([...this.#sessions.values()].some(({ session }) => session.page.isVisible))
  }

  /** A tab holds a lock for as long as it lives: having that means that the tab is gone. */
  async #awaitEnd(tab: string): Promise<void> {
    await navigator.locks.request(tabLock(this.#options.name, tab), () => undefined)
    this.#dismiss(tab)
  }

  #dismiss(tab: string): void {
    const admitted = this.#sessions.get(tab)
    if (this.#isOver || admitted === undefined) return
    this.#sessions.delete(tab)
    admitted.session.end()
    admitted.close()
    this.#lookWhoIsThere()
    // What is left of it is cleared at the next opening otherwise.
    this.#options.calls.forget(tab).catch(() => undefined)
  }

  /** Each page asks the browser to keep what is stored, and may have been promised it by now. */
  async #lookAtStorage(): Promise<void> {
    this.#isPersistent = await navigator.storage.persisted().catch(() => false)
  }

  #withStorage(status: SyncStatus): SyncStatus {
    return { ...status, storage: { isPersistent: this.#isPersistent, loss: this.#options.storage.loss } }
  }

  #onCommit({ tables }: Touched): void {
    if (tables.has('_outbox')) this.#noteSoon()
  }

  /** Pages note how much is unsent where it outlives this database. */
  #noteSoon(): void {
    this.#cancelNote ??= systemEnvironment.setTimer(() => {
      this.#cancelNote = undefined
      void this.#note()
    }, noteMs)
  }

  async #note(): Promise<void> {
    const { parts, storage } = this.#options
    const rows = await parts.database
      .all("SELECT count(*) AS count FROM _outbox WHERE status <> 'answered'")
      .catch(() => undefined)
    if (rows === undefined || this.#isOver) return
    const unsentCount = Number(rows[0]?.['count'] ?? 0)
    this.#tellAll({ kind: 'known', known: { store: storage.store, unsentCount } })
  }

  #tellAll(message: LeaderMessage): void {
    for (const { session } of this.#sessions.values()) session.tell(message)
  }
}

async function withinTime<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const cancel = systemEnvironment.setTimer(
    () => late.reject(new SyncError('OFFLINE', 'the tab gave no token in time')),
    tokenMs,
  )
  try {
    return await Promise.race([work, late.promise])
  } finally {
    cancel()
  }
}
