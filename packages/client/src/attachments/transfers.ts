import type { CancelTimer } from '@holdfast/core'

import { failureOf } from '../sync/retry-policy.ts'
import type { SyncState } from '../sync/sync-state.ts'
import type { AttachmentsApi } from './attachments-api.ts'
import { Downloads } from './downloads.ts'
import { EagerDownloads } from './eager-downloads.ts'
import { UploadSender } from './send-upload.ts'
import { dropSpareBytes } from './spare-bytes.ts'
import type { TransferContext } from './transfer-context.ts'
import { attachmentFields, dropUnnamedUploads, nextUpload, nextUploadMs } from './upload-queue.ts'

/** What transfers need beside. */
export interface TransferOptions extends TransferContext {
  /** Goes on by itself when an attempt is due; otherwise after the next cycle. */
  readonly isAutomatic: boolean
  /** Whether the platform asks to save: then nothing is fetched that nobody asked for. */
  readonly isSaving: () => boolean
  /** A request failed for a reason that is not its own: a cycle finds out what it means for all of them. */
  readonly onTrouble: () => void
}

/** States in which nothing of ours may be under way. */
const isStopped = ({ kind }: SyncState): boolean =>
  kind === 'paused' || kind === 'offline' || kind === 'stopped'

/**
 * Carries bytes beside the sync engine: whenever that has nothing to do, first what is to be uploaded, then what is to be
 * fetched ahead. It decides nothing about records, and no cycle waits for it. Rules: AT-24 to AT-27.
 */
export class Transfers {
  readonly #options: TransferOptions
  readonly #uploads: UploadSender
  readonly #downloads: Downloads
  readonly #eager: EagerDownloads
  readonly #hasFields: boolean
  /** Not where the schema has no attachments, unless the app before had some and left uploads. */
  #isNeeded = true
  #controller = new AbortController()
  #isIdle = false
  /** The network was gone: what it failed for need not wait any longer once it is back. */
  #wasOffline = false
  /** What an earlier process was about is put back. */
  #isFresh = true
  #isRunning = false
  #again = false
  #work: Promise<void> = Promise.resolve()
  #sweptMs = Number.NEGATIVE_INFINITY
  #cancelTimer: CancelTimer = () => undefined

  constructor(options: TransferOptions) {
    this.#options = options
    this.#uploads = new UploadSender(options)
    this.#downloads = new Downloads(options)
    this.#eager = new EagerDownloads(options, this.#downloads)
    this.#hasFields = attachmentFields(options.schema).size > 0
  }

  /** As `AttachmentsApi.read`. */
  read: AttachmentsApi['read'] = (of, attachment) => this.#downloads.read(of, attachment)

  /** The engine is in another state. */
  onState(state: SyncState): void {
    this.#isIdle = state.kind === 'idle'
    if (state.kind === 'offline') this.#wasOffline = true
    if (isStopped(state)) this.#callOff()
    if (this.#isIdle) this.wake()
    else this.#cancelTimer()
  }

  /** These tables were touched. */
  onCommit(tables: ReadonlyMap<string, unknown>): void {
    if (!this.#isNeeded) return
    this.#eager.noteTables(tables.keys())
    if (tables.has('_uploads')) this.wake()
  }

  /** There may be something to do. */
  wake(): void {
    if (!this.#isIdle || !this.#isNeeded) return
    this.#again = true
    if (this.#isRunning) return
    this.#isRunning = true
    this.#work = this.#run()
  }

  /** Calls off what is under way, and waits for it. The engine is stopped by now. */
  async close(): Promise<void> {
    this.#isIdle = false
    this.#callOff()
    this.#cancelTimer()
    await this.#downloads.close()
    await this.#work
  }

  #callOff(): void {
    this.#controller.abort(new Error('transfers were called off'))
    this.#controller = new AbortController()
  }

  async #run(): Promise<void> {
    this.#cancelTimer()
    try {
      while (this.#isIdle && this.#again) {
        this.#again = false
        await this.#carry()
      }
    } catch (error) {
      // The store is in trouble, or closed: after the next cycle it is tried again.
      this.#options.log('warn', 'transfers-failed', { code: failureOf(error).code })
    } finally {
      this.#isRunning = false
    }
  }

  /** Does what there is to do now, and sets the timer for what is to be done later. */
  async #carry(): Promise<void> {
    const { database, env, isAutomatic, limits } = this.#options
    const hasUploads = await this.#prepare()
    this.#isNeeded = this.#hasFields || hasUploads
    if (!this.#isNeeded) return
    while (this.#isIdle && (await this.#step(hasUploads)));
    if (this.#isIdle) await this.#sweep()
    const uploadMs = hasUploads ? await nextUploadMs(database, env.now()) : Number.POSITIVE_INFINITY
    const dueMs = Math.min(uploadMs, this.#isEager() ? this.#eager.dueInMs() : Number.POSITIVE_INFINITY)
    if (this.#isIdle && isAutomatic && Number.isFinite(dueMs))
      this.#cancelTimer = env.setTimer(() => this.wake(), Math.min(dueMs, limits.retryCapMs))
  }

  /** Returns whether there are uploads. */
  async #prepare(): Promise<boolean> {
    const { database, schema } = this.#options
    const { isFresh, wasOffline } = { isFresh: this.#isFresh, wasOffline: this.#wasOffline }
    this.#isFresh = false
    this.#wasOffline = false
    const [row] = await database.all('SELECT 1 FROM _uploads LIMIT 1')
    if (row === undefined) return false
    await database.write(
      async (tx) => {
        if (isFresh) await tx.run("UPDATE _uploads SET status = 'waiting' WHERE status <> 'waiting'")
        if (wasOffline)
          await tx.run(
            "UPDATE _uploads SET next_attempt_at = NULL WHERE code IN ('OFFLINE', 'CAPTIVE_PORTAL', 'TIMEOUT')",
          )
        await dropUnnamedUploads(tx, schema)
      },
      { durable: false },
    )
    return true
  }

  /** One upload, or one download. Returns whether there may be more to do. */
  async #step(hasUploads: boolean): Promise<boolean> {
    const { database, env, limits, onTrouble } = this.#options
    const { signal } = this.#controller
    const at = { nowMs: env.now(), capMs: limits.retryCapMs }
    // One that was written since goes before what is still to be fetched.
    const upload = hasUploads || this.#again ? await nextUpload(database, at) : undefined
    if (upload !== undefined) {
      const isMine = (): boolean => this.#isIdle && !signal.aborted
      const error = await this.#uploads.send(upload, { signal, isMine })
      if (isCommon(error)) onTrouble()
      return true
    }
    if (!this.#isEager()) return false
    const { more, error } = await this.#eager.step(signal)
    if (isCommon(error)) onTrouble()
    return more
  }

  #isEager(): boolean {
    return this.#options.options.download === 'eager' && !this.#options.isSaving()
  }

  async #sweep(): Promise<void> {
    const { database, env, limits, schema } = this.#options
    if (env.monotonicMs() - this.#sweptMs < limits.attachmentSweepMs) return
    this.#sweptMs = env.monotonicMs()
    const storedBeforeMs = env.now() - limits.attachmentSpareMs
    const fetching = this.#downloads.hashes
    const [spare] = await database.all(
      'SELECT 1 FROM _attachments WHERE stored_at < ? UNION ALL SELECT 1 FROM _attachment_parts p WHERE p.n = 0 AND p.hash NOT IN (SELECT hash FROM _attachments) LIMIT 1',
      [storedBeforeMs],
    )
    if (spare !== undefined)
      await database.write((tx) => dropSpareBytes(tx, schema, { storedBeforeMs, fetching }), {
        durable: false,
      })
  }
}

/** Whether what failed says something of every request: no network, no valid token, another account, an app too old. */
function isCommon(error: unknown): boolean {
  if (error === undefined) return false
  const { kind } = failureOf(error)
  return kind === 'offline' || kind === 'pause'
}
