import { type CancelTimer, limits } from '@holdfast/core'

import type { PullProgress } from '../apply/pull-progress.ts'
import { type AttachmentsApi, createAttachmentsApi } from '../attachments/attachments-api.ts'
import { Transfers } from '../attachments/transfers.ts'
import { retryQuarantine } from '../apply/retry-quarantine.ts'
import { type ConflictsApi, createConflictsApi } from '../conflicts/conflicts-api.ts'
import { Foretelling } from '../conflicts/foretold.ts'
import type { Touched, TransactionRunner } from '../local/local-database.ts'
import { type StatusApi, StatusFeed } from '../status/status-feed.ts'
import type { EngineFacts } from '../status/sync-status.ts'
import type { Identity, SyncContext } from '../sync-context.ts'
import { TokenSource } from '../transport/auth.ts'
import type { Speaker } from '../transport/make-request.ts'
import { type Answer, Transport } from '../transport/transport.ts'
import { Lease } from './lease.ts'
import { PokeStream } from './poke-stream.ts'
import { Pull } from './pull.ts'
import { Push } from './push.ts'
import { type RecordHistory, readHistory } from './record-history.ts'
import { accountToHeader, newTraceparent, Session } from './session.ts'
import { SyncEngine, type SyncSummary } from './sync-engine.ts'
import { type Conditions, type Saving, savingOf } from './sync-policy.ts'
import type { SyncState } from './sync-state.ts'
import { Verification } from './verification.ts'

/** What came of a comparison that somebody asked for. */
export interface VerifySummary extends SyncSummary {
  /** Ranges of rows that were compared; null when the cycle did not get so far, or the server knows no digests. */
  readonly compared: number | null
  /** Those of them that differed and were fetched again. */
  readonly repaired: number | null
}

/** `db.sync`: when to sync. */
export interface SyncApi {
  /** Resolves when a whole cycle that began after this call is over, however it ended. Cuts a wait short, and a pause for a token. */
  now(): Promise<SyncSummary>
  /**
   * Compares this device's copy with the server's, and has what differs fetched again. That it ever differs is a bug: it
   * is in the log as an error and in `status().repairCount`.
   */
  verify(): Promise<VerifySummary>
  /** Does nothing more until `resume`; what is under way is called off, and nothing of it is lost. */
  pause(cause?: 'user' | 'policy'): void
  /** Goes on after any pause, with a token asked for anew. */
  resume(): void
  /** The platform says whether there is a network: `true` cuts a wait short, `false` spares attempts. */
  setOnline(isOnline: boolean): void
  /** The platform says what is to be saved; all that was said before is forgotten. In a browser Holdfast says so itself. */
  setConditions(conditions: Conditions): void
  /** A good moment to look, such as the app coming to the foreground: cuts a wait short. */
  trigger(): void
}

/** The sync side of a client. */
export interface SyncParts {
  readonly sync: SyncApi
  readonly status: StatusApi
  readonly conflicts: ConflictsApi
  /** The same with its transactions run by somebody else. */
  conflictsOn(database: TransactionRunner): ConflictsApi
  readonly attachments: AttachmentsApi
  /** The same with its transactions run by somebody else. */
  attachmentsOn(database: TransactionRunner): AttachmentsApi
  /** Who this device is by now: it may learn its account and take a new identity. */
  identity(): Identity
  /** What the engine does. */
  state(): SyncState
  /** Calls `listener` after every change of that. Returns the way to stop. */
  onState(listener: (state: SyncState) => void): () => void
  /** What is held back now. */
  saving(): Saving
  /** What happened to a record, from the server. Errors: OFFLINE and the like, RECORD_NOT_FOUND. */
  history(collection: string, record: string): Promise<RecordHistory>
  /** Begins to sync, once what the app asks for right after opening has gone first. */
  start(): void
  /** Stops, and waits until nothing is under way. The database stays open. */
  close(): Promise<void>
}

/** Puts the sync side together. Nothing happens before `start`. A context without a server never syncs. */
export function createSync(context: SyncContext): SyncParts {
  return new SyncSide(context)
}

/** The engine and what it listens to: commits, pokes, the app. */
class SyncSide implements SyncParts {
  readonly sync: SyncApi
  readonly status: StatusFeed
  readonly conflicts: ConflictsApi
  readonly attachments: AttachmentsApi
  readonly #context: SyncContext
  readonly #isAutomatic: boolean
  readonly #tokens: TokenSource
  readonly #transport: Transport
  readonly #session: Session
  readonly #verification: Verification
  readonly #engine: SyncEngine
  readonly #stream: PokeStream
  readonly #transfers: Transfers
  readonly #stopListening: () => void
  #device: string
  readonly #foretelling: Foretelling
  #progress: PullProgress | undefined
  readonly #stateListeners = new Set<(state: SyncState) => void>()
  #conditions: Conditions = {}
  #isClosed = false
  #cancelStart: CancelTimer = () => undefined

  constructor(context: SyncContext) {
    const { database, env, identity, options, schema } = context
    this.#context = context
    this.#device = identity.device
    this.#isAutomatic = options.auto !== false && identity.server !== null
    this.#tokens = new TokenSource(context.auth ?? '')
    this.#transport = new Transport({
      env,
      server: identity.server ?? '',
      tokens: this.#tokens,
      speaker: () => speakerOf(this.#session.identity),
      schemaVersion: schema.version,
      limits,
    })
    const onIdentity = (renewed: Identity): void => this.#onIdentity(renewed)
    this.#session = new Session({ ...context, transport: this.#transport, onIdentity })
    this.#verification = new Verification({
      env,
      schema,
      session: this.#session,
      limits,
      everyMs: options.verifyIntervalMs ?? limits.verifyIntervalMs,
    })
    this.#engine = this.#makeEngine()
    this.#stream = new PokeStream({
      env,
      transport: this.#transport,
      limits,
      onEvent: (event) => this.#onPoke(event),
    })
    this.#transfers = this.#makeTransfers()
    this.#foretelling = new Foretelling(schema)
    this.status = new StatusFeed(database, this.#foretelling, () => this.#facts(), env)
    this.conflicts = this.conflictsOn(database)
    this.attachments = this.attachmentsOn(database)
    this.sync = this.#makeApi()
    this.#stopListening = database.onCommit((touched) => this.#onCommit(touched))
  }

  conflictsOn(database: TransactionRunner): ConflictsApi {
    const { env, schema } = this.#context
    const device = (): string => this.identity().device
    return createConflictsApi(database, { schema, env, device, foretelling: this.#foretelling })
  }

  attachmentsOn(database: TransactionRunner): AttachmentsApi {
    const { env } = this.#context
    return createAttachmentsApi(database, { env, read: this.#transfers.read })
  }

  identity(): Identity {
    return this.#session.identity
  }

  state(): SyncState {
    return this.#engine.state
  }

  onState(listener: (state: SyncState) => void): () => void {
    this.#stateListeners.add(listener)
    return () => void this.#stateListeners.delete(listener)
  }

  saving(): Saving {
    return savingOf(this.#context.options.policy ?? {}, this.#conditions)
  }

  history(collection: string, record: string): Promise<RecordHistory> {
    const traceparent = newTraceparent(this.#context.env)
    const { signal } = new AbortController()
    const ask = (path: string): Promise<Answer> =>
      this.#transport.ask({ method: 'GET', path, traceparent, signal })
    return readHistory(ask, this.#context.schema, { collection, record })
  }

  start(): void {
    const { database, env, schema } = this.#context
    // Rows that stay in quarantine are no reason not to sync.
    const ready = database.write((tx) => retryQuarantine(tx, schema)).catch(() => undefined)
    this.#cancelStart = env.setTimer(() => void ready.then(() => this.#begin()), 0)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelStart()
    this.#stopListening()
    this.#stream.stop()
    await this.#engine.close()
    await this.#transfers.close()
  }

  /** Starts the engine, unless it has been started. */
  #begin(): void {
    if (this.#isAutomatic && !this.#isClosed) this.#engine.dispatch({ kind: 'start' })
  }

  #makeEngine(): SyncEngine {
    const { database, env, options, processes, schema } = this.#context
    const common = { env, schema, database, session: this.#session, limits }
    return new SyncEngine({
      env,
      session: this.#session,
      lease: new Lease({
        env,
        database,
        leaseMs: limits.leaseMs,
        schemaVersion: schema.version,
        processes,
      }),
      push: new Push({ ...common, leastPriority: () => this.#leastPriority() }),
      pull: new Pull({
        ...common,
        verification: this.#verification,
        scopes: options.scopes,
        onProgress: (progress) => this.#onProgress(progress),
      }),
      intervals: { ...limits, standbyMs: limits.leaseMs / 2 },
      isAutomatic: this.#isAutomatic,
      onState: (state) => this.#onState(state),
    })
  }

  #makeTransfers(): Transfers {
    const { database, env, options, schema } = this.#context
    return new Transfers({
      env,
      schema,
      database,
      limits,
      options: options.attachments ?? {},
      isAutomatic: this.#isAutomatic,
      isSaving: () => this.saving().cause !== null,
      ask: (ask) => this.#transport.askForBytes({ ...ask, traceparent: newTraceparent(env) }),
      log: (level, event, details) => this.#session.log(level, event, details ?? {}),
      // While it runs by itself only: who syncs when told to is told of it by the next cycle.
      onTrouble: () => {
        if (this.#isAutomatic) this.#engine.dispatch({ kind: 'trigger', urgent: false })
      },
    })
  }

  #makeApi(): SyncApi {
    const engine = this.#engine
    const nowMs = (): number => this.#context.env.now()
    const urge = (): void => {
      this.#transport.hurry()
      engine.dispatch({ kind: 'trigger', urgent: true })
    }
    return {
      now: () => this.#now(),
      verify: () => this.#verify(),
      pause: (cause = 'user') => {
        // An engine that has not started yet knows no pause, and would start in spite of it.
        this.#begin()
        engine.dispatch({ kind: 'pause', cause })
      },
      resume: () => this.#resume(),
      setOnline: (isOnline) =>
        isOnline ? urge() : engine.dispatch({ kind: 'disconnected', nowMs: nowMs() }),
      setConditions: (conditions) => this.#setConditions(conditions),
      trigger: urge,
    }
  }

  #setConditions(conditions: Conditions): void {
    const before = this.saving().leastPriority
    this.#conditions = conditions
    if (this.#isAutomatic && this.saving().leastPriority < before)
      this.#engine.dispatch({ kind: 'trigger', urgent: false })
    this.status.refresh()
  }

  /** Whoever asks for a sync means everything. */
  #leastPriority(): number {
    return this.#engine.isAwaited ? Number.NEGATIVE_INFINITY : this.saving().leastPriority
  }

  #now(): Promise<SyncSummary> {
    // Whoever asks for a sync after signing in means it: the token is asked for anew.
    if (this.#engine.state.kind === 'paused' && this.#engine.state.cause === 'auth') this.#resume()
    this.#transport.hurry()
    return this.#engine.now()
  }

  async #verify(): Promise<VerifySummary> {
    const { database } = this.#context
    const verification = this.#verification
    await database.write((tx) => verification.demand(tx))
    const summary = await this.#now()
    const { latest } = verification
    return { ...summary, compared: latest?.ranges ?? null, repaired: latest?.differing.length ?? null }
  }

  #resume(): void {
    this.#tokens.forget()
    this.#engine.dispatch({ kind: 'resume' })
  }

  #facts(): EngineFacts {
    const { state, lastCode } = this.#engine
    const nowMs = this.#context.env.now()
    return { state, lastCode, progress: this.#progress, saving: this.saving().cause, nowMs }
  }

  #onProgress(progress: PullProgress | undefined): void {
    this.#progress = progress
    this.status.refresh()
  }

  #onState(state: SyncState): void {
    this.status.refresh()
    this.#transfers.onState(state)
    for (const listener of this.#stateListeners) listener(state)
    if (!this.#isAutomatic) return
    // While requests fail the stream would only be one more of them.
    const isRunning = state.kind === 'pushing' || state.kind === 'pulling'
    if (state.kind === 'idle' || (isRunning && state.failures === 0)) this.#stream.start()
    else if (!isRunning) this.#stream.stop()
  }

  #onIdentity(renewed: Identity): void {
    // Nobody is poked for their own push: under the old name, not for those of the device that goes on with it.
    if (renewed.device !== this.#device) this.#stream.stop()
    this.#device = renewed.device
    this.#context.onIdentity?.(renewed)
  }

  #onPoke(event: string): void {
    // A stream that opens before the pull begins cannot have missed what that pull will see.
    if (event === 'open' && this.#engine.state.kind === 'pushing') return
    this.#engine.dispatch({ kind: 'trigger', urgent: false })
  }

  #onCommit({ tables }: Touched): void {
    const isOwn = tables.has('_sync')
    if (this.#isAutomatic && !isOwn && tables.has('_outbox')) {
      this.#engine.dispatch({ kind: 'trigger', urgent: false })
    }
    this.#transfers.onCommit(tables)
    this.status.refresh()
  }
}

function speakerOf({ device, account }: Identity): Speaker {
  return { device, account: account === null ? null : accountToHeader(account) }
}
