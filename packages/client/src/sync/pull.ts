import {
  type Environment,
  formatRanges,
  type Limits,
  type PullResponse,
  type Schema,
  SyncError,
} from '@holdfast/core'
import { readMeta, writeMeta } from '../local/meta.ts'
import type { LocalDatabase, LocalReader, LocalTransaction } from '../local/local-database.ts'
import { type FlipInput, type Flipped, flip } from '../apply/flip.ts'
import { doubtfulHaves, isBuildable } from '../apply/own-version.ts'
import type { PageNote } from '../apply/page-note.ts'
import {
  advancePull,
  hasOtherGrants,
  lookAgain,
  type PullProgress,
  startPull,
} from '../apply/pull-progress.ts'
import { rewriteFile } from '../apply/rewrite-file.ts'
import { readAck } from '../apply/settle-outcomes.ts'
import {
  beginAgain,
  beginReset,
  beginWhole,
  dropStaging,
  hasLostHistory,
  keepProgress,
  noteLostHistory,
  type PageToStage,
  readPage,
  readPull,
  stagedNotes,
  stagePage,
} from '../apply/staging.ts'
import { countOne, updateTally, withSuccess } from '../status/tally.ts'
import { type DecidedBefore, readDecided } from './read-decided.ts'
import { readyForIdentity } from './renew-identity.ts'
import { failureOf } from './retry-policy.ts'
import { readWaitingEscrow } from '../outbox/escrow-api.ts'
import { hasLostAnswer } from '../outbox/outbox.ts'
import { readSettled, type Settled } from '../outbox/retained.ts'
import type { Run, Session } from './session.ts'
import type { AnsweredWishes, Verification, Wishes } from './verification.ts'

/** What pulling needs. */
export interface PullContext {
  readonly env: Environment
  readonly schema: Schema
  readonly database: LocalDatabase
  readonly session: Session
  readonly verification: Verification
  readonly limits: Limits
  /** Scopes to sync; all that are granted unless said. */
  readonly scopes: readonly string[] | undefined
  /** Told after every page, and with undefined when the pull is over. */
  readonly onProgress: (progress: PullProgress | undefined) => void
}

/** What a page is asked with beside where it begins. */
interface Asked {
  readonly ack: string
  readonly answered: DecidedBefore
  readonly settled: Settled
  readonly escrow: readonly string[]
  readonly wishes: Wishes
  /** What the device made itself is to come whole. */
  readonly whole: boolean
}

/** What came of a page. */
type Taken = { readonly progress: PullProgress } | { readonly flipped: Flipped }

/** How often one pull begins again because the grants changed: a server that says so for ever is waited for like a failing one. */
const regrantsMost = 5

/** Rows of a page are asked for down to this number when the way is bad. */
const pageRowsLeast = 100

/**
 * Fetches everything the server has beyond the cursor, page by page into the staging, then makes it visible in one
 * flip. Stopped anywhere, it goes on where it was. Rules: SY-15, SY-16, AP-3.
 */
export class Pull {
  readonly #context: PullContext
  /** What the link bears: halved when a page fails, doubled when one arrives. */
  #share = 1
  /** How often this pull began again because the grants were others. */
  #regrants = 0

  constructor(context: PullContext) {
    this.#context = context
  }

  /** Errors: those of the transport, RESPONSE_INVALID, LEASE_LOST, STORE_…; 410 only when a reset does not help. */
  async all(run: Run): Promise<Flipped> {
    try {
      return await this.#fetchAndFlip(run)
    } catch (error) {
      if (failureOf(error).kind !== 'reset') throw error
      await this.#startReset(run, error)
      return await this.#fetchAndFlip(run)
    } finally {
      this.#context.onProgress(undefined)
    }
  }

  async #fetchAndFlip(run: Run): Promise<Flipped> {
    this.#regrants = 0
    let progress = await this.#resume(run)
    for (;;) {
      this.#context.onProgress(progress)
      const taken = await this.#fetchPage(run, progress)
      if ('flipped' in taken) return this.#finish(run, taken.flipped)
      progress = taken.progress
    }
  }

  async #resume(run: Run): Promise<PullProgress> {
    const { database, schema, session } = this.#context
    const { cursor, left, fit } = await readPull(database, schema.version)
    if (fit?.replaces !== true && (await hasLostHistory(database))) return this.#replaceAll(run)
    if (fit !== undefined) return lookAgain(fit)
    if (left) await session.write(run, dropStaging)
    return startPull(cursor, schema.version)
  }

  /** Everything but the outbox is to be replaced. Not twice in a row: then the snapshot itself is what fails. */
  async #startReset(run: Run, error: unknown): Promise<void> {
    const { schema, session } = this.#context
    const isLost = failureOf(error).code === 'EPOCH_CHANGED'
    const wasReset = await session.write(run, async (tx) => {
      const { fit } = await readPull(tx, schema.version)
      const isRepeat = fit?.replaces === true && fit.pages === 0
      await beginReset(tx, schema.version)
      if (isLost) await noteLostHistory(tx)
      if (!isRepeat) await countOne(tx, 'resets')
      return isRepeat
    })
    session.log('warn', 'reset', {
      syncRunId: run.id,
      code: error instanceof SyncError ? error.code : undefined,
    })
    if (wasReset) throw error
  }

  /** A push learnt that the server has lost a history. */
  async #replaceAll(run: Run): Promise<PullProgress> {
    const { schema, session } = this.#context
    session.log('warn', 'reset', { syncRunId: run.id, code: 'EPOCH_CHANGED' })
    return session.write(run, async (tx) => {
      await countOne(tx, 'resets')
      return beginReset(tx, schema.version)
    })
  }

  async #fetchPage(run: Run, progress: PullProgress): Promise<Taken> {
    const { session } = this.#context
    const { ack, wishes, text, page } = await this.#askPage(run, progress)
    if (hasOtherGrants(progress, page)) {
      session.log('info', 'grants-changed', { syncRunId: run.id })
      if (++this.#regrants > regrantsMost)
        throw new SyncError('RESPONSE_INVALID', 'the grants are others with every page')
      return { progress: await session.write(run, (tx) => beginAgain(tx, progress)) }
    }
    const next = advancePull(progress, page)
    return this.#takeIn(
      run,
      {
        verdicts: { outcomes: page.outcomes, isAll: !page.more, lost: page.lost, escrow: page.escrow },
        text,
        changes: page.changes,
        progress: next,
      },
      { ack, answered: { wishes, page, progress: next } },
    )
  }

  /**
   * One transaction: the page is put aside, and if it was the last and nothing is missing, all that was put aside is made
   * visible. `ack`: what the request for the page has acknowledged; `answered`: what else it asked for.
   */
  #takeIn(
    run: Run,
    page: PageToStage,
    { ack, answered }: { readonly ack: string; readonly answered: AnsweredWishes },
  ): Promise<Taken> {
    const { schema, session } = this.#context
    const { progress } = page
    return session.write(run, async (tx): Promise<Taken> => {
      await stagePage(tx, schema, page)
      if (progress.step.kind === 'ready') {
        const notes = await stagedNotes(tx)
        if (await this.#hasAll(tx, notes, progress.replaces))
          return { flipped: await this.#flip(tx, run, { progress, notes }, answered) }
        return { progress: await beginWhole(tx, progress) }
      }
      await keepProgress(tx, progress)
      if (ack !== '' && (await readMeta(tx, 'sync.ack')) === ack) await writeMeta(tx, 'sync.ack', null)
      return { progress }
    })
  }

  async #askPage(
    run: Run,
    progress: PullProgress,
  ): Promise<{ ack: string; wishes: Wishes; text: string; page: PullResponse }> {
    const { database, env, session, verification } = this.#context
    const ack = formatRanges(await readAck(database))
    const isLost = await hasLostHistory(database)
    // After a lost history everything is offered again that the pull does not settle.
    const answered = isLost ? {} : await readDecided(database, env.now())
    const settled = isLost ? await readSettled(database) : {}
    const escrow = await readWaitingEscrow(database)
    const whole = progress.replaces || progress.isWhole || (await hasLostAnswer(database))
    const wishes = progress.step.kind === 'snapshot' ? {} : await verification.wishes(database)
    try {
      const answer = await session.ask(
        run,
        this.#request(progress, { ack, answered, settled, escrow, wishes, whole }),
      )
      const page = readPage(answer.body)
      this.#share = Math.min(1, this.#share * 2)
      const { requestId } = answer
      session.log('info', 'page', {
        syncRunId: run.id,
        requestId,
        step: progress.step.kind,
        rows: page.changes.length,
      })
      return { ack, wishes, text: answer.text, page }
    } catch (error) {
      this.#share = Math.max(this.#share / 2, 1 / 64)
      // A snapshot of a scope that is no longer granted: begin again with what is.
      if (error instanceof SyncError && error.code === 'SCOPE_DENIED')
        await session.write(run, (tx) => beginAgain(tx, progress))
      throw error
    }
  }

  #request(
    { step }: PullProgress,
    { ack, answered, settled, escrow, wishes, whole }: Asked,
  ): { method: 'POST'; path: string; body: string } {
    const { limits, scopes } = this.#context
    if (step.kind !== 'snapshot') {
      const limit = Math.max(pageRowsLeast, Math.floor(limits.pullRows * this.#share))
      return {
        method: 'POST',
        path: '/sync/pull',
        body: JSON.stringify({
          since: step.cursor,
          limit,
          scopes,
          ack,
          ...answered,
          ...settled,
          ...(escrow.length === 0 ? {} : { escrow }),
          ...(whole ? { whole } : {}),
          ...wishes,
        }),
      }
    }
    const limit = Math.max(pageRowsLeast, Math.floor(limits.snapshotRows * this.#share))
    const cursor = step.cursor ?? undefined
    const scope = step.scope ?? undefined
    return {
      method: 'POST',
      path: '/sync/snapshot',
      body: JSON.stringify({ cursor, scope, scopes, limit, ack }),
    }
  }

  /** Whether the device has, or can build, every record of which the pages only say that it does. */
  async #hasAll(tx: LocalReader, notes: readonly PageNote[], isReset: boolean): Promise<boolean> {
    const { schema } = this.#context
    for (const note of notes) {
      for (const name of note.haves) {
        const collection = schema.collections.get(name)
        // A newer app made it. Only with its values can it wait in quarantine for the next one.
        if (!collection) return false
        for (const have of await doubtfulHaves(tx, collection, { note, isReset }))
          if (isReset || !(await isBuildable(tx, collection, have))) return false
      }
    }
    return true
  }

  /** The success of the cycle is counted with what it made visible. */
  async #flip(
    tx: LocalTransaction,
    run: Run,
    pulled: Pick<FlipInput, 'progress' | 'notes'>,
    answered: AnsweredWishes,
  ): Promise<Flipped> {
    const { env, schema, verification } = this.#context
    const checkpoint = (): void => run.signal.throwIfAborted()
    const ranges = verification.toReplace(answered)
    const result = await flip(tx, { schema, ...pulled, ranges, checkpoint, env })
    const isDiffering = await verification.settle(tx, run, answered)
    const lastSyncAt = new Date(env.now()).toISOString()
    const latencyMs = env.monotonicMs() - run.startedMs
    await updateTally(tx, (tally) => ({ lastSyncAt, ...withSuccess(tally, latencyMs) }))
    const isRenewable = (await readyForIdentity(tx, schema)).length > 0
    const releasedCount = result.releasedCount + (isRenewable ? 1 : 0) + (isDiffering ? 1 : 0)
    if (releasedCount === 0) await run.rest(tx)
    return { ...result, releasedCount }
  }

  /** What was erased leaves the bytes of the file. */
  async #finish(run: Run, flipped: Flipped): Promise<Flipped> {
    const { database, env, session } = this.#context
    if (flipped.isRewritingDue) {
      const failure = await rewriteFile(database, env.now())
      if (failure) session.log('warn', 'rewrite-failed', { syncRunId: run.id, code: failure.code })
    }
    // The log still holds the pages of erased rows until it is folded into the file.
    if (flipped.isRewritingDue || flipped.hasErased) await database.all('PRAGMA wal_checkpoint(TRUNCATE)')
    return flipped
  }
}
