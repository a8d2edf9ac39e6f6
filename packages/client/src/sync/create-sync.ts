import { limits } from '@holdfast/core'
import { applyPages, numberScopes, RecordsToRebase } from '../apply/apply-pages.ts'
import type { Flipped } from '../apply/flip.ts'
import { stageReadable } from '../apply/quarantine.ts'
import type { PullProgress } from '../apply/pull-progress.ts'
import { rebaseRecord } from '../apply/rebase-record.ts'
import { type ConflictsApi, createConflictsApi } from '../conflicts/conflicts-api.ts'
import { foretellConflicts } from '../conflicts/foretold.ts'
import { readMeta } from '../local/meta.ts'
import { type StatusApi, StatusFeed } from '../status/status-feed.ts'
import type { Identity, SyncContext } from '../sync-context.ts'
import { TokenSource } from '../transport/auth.ts'
import { Transport } from '../transport/transport.ts'
import { Lease } from './lease.ts'
import { PokeStream } from './poke-stream.ts'
import { Pull } from './pull.ts'
import { Push } from './push.ts'
import { type RecordHistory, readHistory } from './record-history.ts'
import { accountToHeader, newTraceparent, Session } from './session.ts'
import { SyncEngine, type SyncSummary } from './sync-engine.ts'
import type { SyncState } from './sync-state.ts'

/** `db.sync`: when to sync. */
export interface SyncApi {
  /** Resolves when a whole cycle that began after this call is over, however it ended. Cuts a wait short. */
  now(): Promise<SyncSummary>
  /** Does nothing more until `resume`; what is under way is called off, and nothing of it is lost. */
  pause(cause?: 'user' | 'policy'): void
  /** Goes on after any pause, with a token asked for anew. */
  resume(): void
  /** The platform says whether there is a network: `true` cuts a wait short, `false` spares attempts. */
  setOnline(isOnline: boolean): void
  /** A good moment to look, such as the app coming to the foreground: cuts a wait short. */
  trigger(): void
}

/** The sync side of a client. */
export interface SyncParts {
  readonly sync: SyncApi
  readonly status: StatusApi
  readonly conflicts: ConflictsApi
  /** Who this device is by now: it may learn its account and take a new identity. */
  readonly identity: () => Identity
  /** What happened to a record, from the server. Errors: OFFLINE and the like, RECORD_NOT_FOUND. */
  history(collection: string, record: string): Promise<RecordHistory>
  /** Begins to sync. */
  start(): void
  /** Stops, and waits until nothing is under way. The database stays open. */
  close(): Promise<void>
}

/** Puts the sync side together. Nothing happens before `start`. A context without a server never syncs. */
export function createSync(context: SyncContext): SyncParts {
  const { database, env, options, schema } = context
  const isAutomatic = options.auto !== false && context.identity.server !== null
  const tokens = new TokenSource(context.auth ?? '')
  let progress: PullProgress | undefined
  let foretoldCount = 0

  const transport: Transport = new Transport({
    env,
    server: context.identity.server ?? '',
    tokens,
    speaker: () => ({ device: session.identity.device, account: headerOf(session.identity) }),
    schemaVersion: schema.version,
    limits,
  })
  const session = new Session({
    ...context,
    transport,
    onIdentity: (identity) => context.onIdentity?.(identity),
  })
  const onProgress = (next: PullProgress | undefined): void => {
    progress = next
    status.refresh()
  }
  const onFlip = ({ rows }: Flipped): void => {
    if (rows > 0) void foretell()
  }
  const engine = new SyncEngine({
    env,
    session,
    lease: new Lease({ env, database, leaseMs: limits.leaseMs, processes: context.processes }),
    push: new Push({ env, schema, session, limits }),
    pull: new Pull({ env, schema, database, session, limits, scopes: options.scopes, onProgress, onFlip }),
    intervals: { ...limits, standbyMs: limits.leaseMs / 2 },
    isAutomatic,
    onState: (state) => onState(state),
  })
  const stream = new PokeStream({ env, transport, limits, onEvent: (event) => onPoke(event) })
  const status = new StatusFeed(database, () => {
    return { state: engine.state, lastCode: engine.lastCode, progress, foretoldCount, nowMs: env.now() }
  })

  function onState(state: SyncState): void {
    status.refresh()
    if (!isAutomatic) return
    // While requests fail the stream would only be one more of them.
    const isRunning = state.kind === 'pushing' || state.kind === 'pulling'
    if (state.kind === 'idle' || (isRunning && state.failures === 0)) stream.start()
    else if (!isRunning) stream.stop()
  }

  function onPoke(event: string): void {
    // A stream that opens before the pull begins cannot have missed what that pull will see.
    if (event !== 'open' || engine.state.kind !== 'pushing')
      engine.dispatch({ kind: 'trigger', urgent: false })
  }

  const stopListening = database.onCommit(({ tables }) => {
    const isOwn = tables.has('_sync')
    if (isAutomatic && !isOwn && tables.has('_outbox')) engine.dispatch({ kind: 'trigger', urgent: false })
    status.refresh()
    if (foretoldCount > 0 && tables.has('_outbox')) void foretell()
  })

  let isForetelling = false
  async function foretell(): Promise<void> {
    if (isForetelling) return
    isForetelling = true
    const found = await database.read((tx) => foretellConflicts(tx, schema)).catch(() => [])
    isForetelling = false
    if (found.length === foretoldCount) return
    foretoldCount = found.length
    status.refresh()
  }

  return {
    sync: {
      now: () => engine.now(),
      pause: (cause = 'user') => engine.dispatch({ kind: 'pause', cause }),
      resume: () => {
        tokens.forget()
        engine.dispatch({ kind: 'resume' })
      },
      setOnline: (isOnline) =>
        engine.dispatch(
          isOnline ? { kind: 'trigger', urgent: true } : { kind: 'disconnected', nowMs: env.now() },
        ),
      trigger: () => engine.dispatch({ kind: 'trigger', urgent: true }),
    },
    status,
    conflicts: createConflictsApi(database, { schema, env, device: () => session.identity.device }),
    identity: () => session.identity,
    history: (collection, record) => {
      const signal = new AbortController().signal
      return readHistory(
        (path) => transport.ask({ method: 'GET', path, traceparent: newTraceparent(env), signal }),
        collection,
        record,
      )
    },
    start: () => {
      void retryQuarantine(context).finally(() => {
        if (isAutomatic) engine.dispatch({ kind: 'start' })
      })
    },
    close: async () => {
      stopListening()
      stream.stop()
      await engine.close()
    },
  }
}

function headerOf({ account }: Identity): string | null {
  return account === null ? null : accountToHeader(account)
}

/** After an update of the app, rows it could not read before may fit. Rules: AP-5. */
async function retryQuarantine({ database, schema }: SyncContext): Promise<void> {
  await database.write(async (tx) => {
    if ((await readMeta(tx, 'sync.quarantine')) === schema.version) return
    const note = await stageReadable(tx, schema)
    if (!note) return
    const toRebase = new RecordsToRebase()
    await numberScopes(tx, [note])
    await applyPages(tx, {
      schema,
      notes: [note],
      toRebase,
      promoted: new Map(),
      checkpoint: () => undefined,
    })
    await tx.run('DELETE FROM _staging WHERE n = ?', [note.page])
    for (const { collection: name, record, hasLeft } of toRebase.all()) {
      const collection = schema.collections.get(name)
      if (collection) await rebaseRecord(tx, { collection, record, hasLeft })
    }
  })
}
