import { type CancelTimer, type Environment, type Limits, newUuid, type Schema } from '@holdfast/core'

import type { LocalDatabase, LocalTransaction, Touched } from '../local/local-database.ts'
import { readMeta } from '../local/meta.ts'
import { sealBatch } from '../outbox/cut-batch.ts'
import type { SyncParts } from '../sync/create-sync.ts'
import { bodyBytes, pushBody, pushPath, readBatch } from '../sync/push-body.ts'
import { accountToHeader, newTraceparent } from '../sync/session.ts'
import type { SyncState } from '../sync/sync-state.ts'
import { parseSealedBatch, type SealedBatch, type SealedToken } from './sealed-batch.ts'
import type { SealedStore } from './sealed-store.ts'

/** What a sealer is made from. */
export interface SealerOptions {
  readonly env: Pick<Environment, 'now' | 'randomBytes' | 'setTimer'>
  /** With the system collections. */
  readonly schema: Schema
  readonly database: LocalDatabase
  readonly store: SealedStore
  readonly limits: Limits
  /** Of the database. */
  readonly name: string
  readonly server: string
  readonly sync: Pick<SyncParts, 'state' | 'onState'>
  /** Fresh entries of collections of a lower priority are not sealed. */
  readonly leastPriority: () => number
  /** A token to put beside the batch; null when there is none. */
  readonly token: () => Promise<SealedToken | null>
  /** Told whenever something lies sealed. */
  readonly onSealed: () => void
  /** Told what went wrong: without a sealed batch everything waits for a tab, and nothing else is lost. */
  readonly onError: (error: unknown) => void
}

/**
 * Keeps the next push of a database sealed for somebody who sends it when no tab is left: once the outbox has been quiet
 * for a while, and at once when no page is in front. What is sealed is gone as soon as one of its mutations is settled,
 * and while syncing is paused. Rules: BG-1 to BG-3, BG-8.
 */
export class Sealer {
  readonly #options: SealerOptions
  readonly #stopListening: readonly (() => void)[]
  #sealed: SealedBatch | undefined
  #isAttended = true
  #isPaused: boolean
  #isAsking = false
  #cancelQuiet: CancelTimer = () => undefined
  #work: Promise<void>
  #isClosed = false

  constructor(options: SealerOptions) {
    const { database, onError, sync } = options
    this.#options = options
    this.#isPaused = sync.state().kind === 'paused'
    this.#stopListening = [
      database.onCommit((touched) => this.#onCommit(touched)),
      sync.onState(({ kind }) => this.#onState(kind)),
    ]
    this.#work = this.#recall().catch(onError)
    this.#sealSoon()
  }

  /** Whether a page is in front of somebody. */
  setAttended(isAttended: boolean): void {
    if (isAttended === this.#isAttended) return
    this.#isAttended = isAttended
    this.#sealSoon()
    if (!isAttended) this.#then(() => this.#seal())
  }

  /** Resolves when nothing is under way. What is sealed stays. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelQuiet()
    for (const stop of this.#stopListening) stop()
    await this.#work
  }

  #onCommit({ tables }: Touched): void {
    if (!tables.has('_outbox')) return
    this.#then(() => this.#dropSettled())
    this.#sealSoon()
  }

  #onState(kind: SyncState['kind']): void {
    const isPaused = kind === 'paused'
    if (isPaused !== this.#isPaused) this.#then(() => this.#seal())
    this.#isPaused = isPaused
  }

  #sealSoon(): void {
    const { env, limits } = this.#options
    this.#cancelQuiet()
    const quietMs = this.#isAttended ? limits.sealQuietMs : limits.sealHiddenMs
    this.#cancelQuiet = env.setTimer(() => this.#then(() => this.#seal()), quietMs)
  }

  #then(step: () => Promise<void>): void {
    if (!this.#isClosed) this.#work = this.#work.then(step).catch(this.#options.onError)
  }

  /** Takes over what the tab that led before has sealed. */
  async #recall(): Promise<void> {
    const { database, name, store } = this.#options
    const device = await database.read((tx) => readMeta(tx, 'device'))
    const stored = (await store.list()).flatMap((each) => parseSealedBatch(each) ?? [])
    this.#sealed = stored.find((batch) => batch.name === name && batch.device === device)
  }

  /** A mutation that is settled, discarded or changed must not be sent from there. */
  async #dropSettled(): Promise<void> {
    const seqs = this.#sealed?.seqs
    if (seqs === undefined) return
    const [row] = await this.#options.database.all(
      `SELECT count(*) AS open FROM _outbox
       WHERE seq IN (SELECT value FROM json_each(?)) AND status IN ('pending', 'sending') AND offer IS NOT NULL`,
      [JSON.stringify(seqs)],
    )
    if (row?.['open'] !== seqs.length) await this.#erase()
  }

  async #seal(): Promise<void> {
    const { onSealed, store, sync } = this.#options
    const { kind } = sync.state()
    if (kind === 'stopped') return
    const batch = kind === 'paused' ? undefined : await this.#cut()
    if (batch === undefined) return this.#erase()
    const before = this.#sealed
    if (before?.request.body !== batch.request.body || before?.device !== batch.device) {
      const sealed = { ...batch, token: before?.token ?? null }
      await store.put(sealed)
      this.#sealed = sealed
    }
    onSealed()
    void this.#addToken()
  }

  async #cut(): Promise<SealedBatch | undefined> {
    const { database } = this.#options
    const [open] = await database.all("SELECT 1 FROM _outbox WHERE status IN ('pending', 'sending') LIMIT 1")
    if (open === undefined) return undefined
    // That it was offered is on the disk before anybody else can send it.
    return database.write((tx) => this.#cutIn(tx), { durable: true })
  }

  async #cutIn(tx: LocalTransaction): Promise<SealedBatch | undefined> {
    const { env, leastPriority, limits, name, schema, server } = this.#options
    // From this transaction: the device may be taking another identity.
    const [device, account] = [await readMeta(tx, 'device'), await readMeta(tx, 'account')]
    // Whose work it is must be certain: the token of whoever signs in next decides otherwise.
    if (typeof device !== 'string' || typeof account !== 'string') return undefined
    const offers = await sealBatch(tx, schema, {
      nowMs: env.now(),
      maxMutations: limits.pushBatchMax,
      maxBytes: bodyBytes(limits),
      leastPriority: leastPriority(),
    })
    if (offers.length === 0) return undefined
    return {
      format: 1,
      id: newUuid(env),
      name,
      device,
      account,
      request: {
        server,
        device,
        account: accountToHeader(account),
        schemaVersion: schema.version,
        method: 'POST',
        path: pushPath,
        body: pushBody(await readBatch(tx, offers, limits)),
        traceparent: newTraceparent(env),
      },
      seqs: offers.flatMap(({ seqs }) => seqs),
      sealedAt: new Date(env.now()).toISOString(),
      token: null,
    }
  }

  /** Beside everything else: nobody knows how long a token takes. */
  async #addToken(): Promise<void> {
    const { env, store, token } = this.#options
    const held = this.#sealed?.token
    if (this.#isAsking || (held && held.expiresAtMs > env.now())) return
    this.#isAsking = true
    const added = await token().catch(() => null)
    this.#isAsking = false
    this.#then(async () => {
      if (added === null || this.#sealed === undefined) return
      const sealed = { ...this.#sealed, token: added }
      await store.put(sealed)
      this.#sealed = sealed
    })
  }

  async #erase(): Promise<void> {
    const { name, store } = this.#options
    const sealed = this.#sealed
    this.#sealed = undefined
    if (sealed !== undefined) await store.erase(name, sealed.device)
  }
}
