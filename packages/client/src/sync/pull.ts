import {
  type Environment,
  formatRanges,
  isObject,
  type Limits,
  type PullResponse,
  type Schema,
  SyncError,
} from '@holdfast/core'
import { readShadow } from '../local/records.ts'
import { readMeta, writeMeta } from '../local/meta.ts'
import type { LocalDatabase, LocalReader } from '../local/local-database.ts'
import { entriesOfRecord } from '../outbox/outbox.ts'
import { versionOf } from '../apply/change-shadow.ts'
import { type Flipped, flip } from '../apply/flip.ts'
import { chainOfHave, doubtfulHaves } from '../apply/own-version.ts'
import type { Have } from '../apply/page-note.ts'
import {
  advancePull,
  hasOtherGrants,
  lookAgain,
  type PullProgress,
  startPull,
} from '../apply/pull-progress.ts'
import { readAck } from '../apply/settle-outcomes.ts'
import {
  dropStaging,
  loadProgress,
  readChanges,
  readCursor,
  readPage,
  stagedNotes,
  stagePage,
} from '../apply/staging.ts'
import { countOne, updateTally } from '../status/tally.ts'
import { readyForIdentity } from './renew-identity.ts'
import { failureOf } from './retry-policy.ts'
import type { Run, Session } from './session.ts'

/** What pulling needs. */
export interface PullContext {
  readonly env: Environment
  readonly schema: Schema
  readonly database: LocalDatabase
  readonly session: Session
  readonly limits: Limits
  /** Scopes to sync; all that are granted unless said. */
  readonly scopes: readonly string[] | undefined
  /** Told after every page, and with undefined when the pull is over. */
  readonly onProgress: (progress: PullProgress | undefined) => void
}

/** Rounds of fetching single records in one pull; what is missing after them waits for its next change. */
const haveRoundsMost = 2

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
    let progress = await this.#resume(run)
    for (;;) {
      this.#context.onProgress(progress)
      if (progress.step.kind !== 'ready') progress = await this.#fetchPage(run, progress)
      else {
        const fetched = await this.#fetchHaves(run, progress)
        if (fetched === undefined) return this.#flip(run, progress)
        progress = fetched
      }
    }
  }

  async #resume(run: Run): Promise<PullProgress> {
    const { schema, session } = this.#context
    return session.write(run, async (tx) => {
      const progress = await loadProgress(tx, schema.version)
      if (progress) return lookAgain(progress)
      await dropStaging(tx)
      return startPull(await readCursor(tx), schema.version)
    })
  }

  /** Everything but the outbox is to be replaced. Not twice in a row: then the snapshot itself is what fails. */
  async #startReset(run: Run, error: unknown): Promise<void> {
    const { schema, session } = this.#context
    const wasReset = await session.write(run, async (tx) => {
      const progress = await loadProgress(tx, schema.version)
      const isRepeat = progress?.replaces === true && progress.pages === 0
      await dropStaging(tx)
      const fresh = startPull(null, schema.version)
      await writeMeta(tx, 'sync.pull', JSON.stringify(fresh))
      if (!isRepeat) await countOne(tx, 'resets')
      return isRepeat
    })
    session.log('warn', 'reset', {
      syncRunId: run.id,
      code: error instanceof SyncError ? error.code : undefined,
    })
    if (wasReset) throw error
  }

  async #fetchPage(run: Run, progress: PullProgress): Promise<PullProgress> {
    const { session } = this.#context
    const { ack, text, page } = await this.#askPage(run, progress)
    if (hasOtherGrants(progress, page)) {
      session.log('info', 'grants-changed', { syncRunId: run.id })
      return session.write(run, async (tx) => {
        await dropStaging(tx)
        return startPull(progress.replaces ? null : await readCursor(tx), progress.schema)
      })
    }
    const next = advancePull(progress, page)
    await session.write(run, async (tx) => {
      await stagePage(tx, this.#context.schema, { kind: 'page', text, changes: page.changes, progress: next })
      if (ack !== '' && (await readMeta(tx, 'sync.ack')) === ack) await writeMeta(tx, 'sync.ack', null)
    })
    return next
  }

  async #askPage(
    run: Run,
    progress: PullProgress,
  ): Promise<{ ack: string; text: string; page: PullResponse }> {
    const { database, session } = this.#context
    const ack = formatRanges(await database.read(readAck))
    try {
      const answer = await session.ask(run, this.#request(progress, ack))
      const page = readPage(answer.body)
      this.#share = Math.min(1, this.#share * 2)
      const { requestId } = answer
      session.log('info', 'page', {
        syncRunId: run.id,
        requestId,
        step: progress.step.kind,
        rows: page.changes.length,
      })
      return { ack, text: answer.text, page }
    } catch (error) {
      this.#share = Math.max(this.#share / 2, 1 / 64)
      // A snapshot of a scope that is no longer granted: begin again with what is.
      if (error instanceof SyncError && error.code === 'SCOPE_DENIED') await session.write(run, dropStaging)
      throw error
    }
  }

  #request({ step }: PullProgress, ack: string): { method: 'GET' | 'POST'; path: string; body?: string } {
    const { limits, scopes } = this.#context
    if (step.kind !== 'snapshot') {
      const limit = Math.max(pageRowsLeast, Math.floor(limits.pullRows * this.#share))
      return {
        method: 'POST',
        path: '/sync/pull',
        body: JSON.stringify({ since: step.cursor, limit, scopes, ack }),
      }
    }
    const limit = Math.max(pageRowsLeast, Math.floor(limits.snapshotRows * this.#share))
    const query = new URLSearchParams({ limit: String(limit) })
    if (step.cursor !== null) query.set('cursor', step.cursor)
    if (step.scope !== null) query.set('scope', step.scope)
    if (ack !== '') query.set('ack', ack)
    return { method: 'GET', path: `/sync/snapshot?${query}` }
  }

  /**
   * Fetches records of which the server only said that we have them, when we cannot build them, and stages them as a
   * page. A record that has moved on since means one more look at the feed. Undefined when nothing was missing.
   */
  async #fetchHaves(run: Run, progress: PullProgress): Promise<PullProgress | undefined> {
    const { schema, session } = this.#context
    if (progress.step.kind !== 'ready' || progress.haveRounds >= haveRoundsMost) return undefined
    const missing = await this.#missingHaves(progress)
    if (missing.length === 0) return undefined
    const changes: object[] = []
    let hasMoved = false
    for (const have of missing) {
      const { collection, record, scope } = have
      const row = await this.#fetchRecord(run, have)
      hasMoved ||= row === undefined || Number(row['version']) !== have.version
      if (row === undefined) continue
      const { version, server_updated_at: serverUpdatedAt } = row
      changes.push({ collection, record, op: 'put', scope, version, serverUpdatedAt, data: row })
    }
    const { cursor } = progress.step
    const text = JSON.stringify({ changes })
    const step = hasMoved ? { kind: 'pull' as const, cursor } : progress.step
    const next: PullProgress = { ...progress, step, haveRounds: progress.haveRounds + 1 }
    const page = readChanges(changes)
    await session.write(run, (tx) =>
      stagePage(tx, schema, { kind: 'records', text, changes: page, progress: next }),
    )
    return next
  }

  async #missingHaves(progress: PullProgress): Promise<readonly Have[]> {
    if (progress.rows === 0) return []
    const { database, schema } = this.#context
    return database.read(async (tx) => {
      const missing: Have[] = []
      for (const note of await stagedNotes(tx)) {
        for (const name of note.haves) {
          const collection = schema.collections.get(name)
          const doubtful = collection ? await doubtfulHaves(tx, collection, note) : []
          for (const have of doubtful) if (await isMissing(tx, schema, have)) missing.push(have)
        }
      }
      return missing
    })
  }

  async #fetchRecord(
    run: Run,
    { collection, record }: Have,
  ): Promise<Readonly<Record<string, unknown>> | undefined> {
    try {
      const answer = await this.#context.session.ask(run, {
        method: 'GET',
        path: `/records/${collection}/${record}`,
      })
      if (!isObject(answer.body) || typeof answer.body['version'] !== 'number') {
        throw new SyncError('RESPONSE_INVALID', 'a record has a version')
      }
      return answer.body
    } catch (error) {
      const isGone =
        error instanceof SyncError && (error.code === 'RECORD_NOT_FOUND' || error.code === 'NOT_FOUND')
      if (isGone) return undefined
      throw error
    }
  }

  async #flip(run: Run, progress: PullProgress): Promise<Flipped> {
    const { database, env, schema, session } = this.#context
    const checkpoint = (): void => run.signal.throwIfAborted()
    const flipped = await session.write(run, async (tx) => {
      const result = await flip(tx, { schema, progress, checkpoint })
      await updateTally(tx, () => ({ lastSyncAt: new Date(env.now()).toISOString() }))
      const isRenewable = (await readyForIdentity(tx)).length > 0
      return isRenewable ? { ...result, releasedCount: result.releasedCount + 1 } : result
    })
    // The log still holds the pages of erased rows until it is folded into the file.
    if (flipped.hasErased) await database.all('PRAGMA wal_checkpoint(TRUNCATE)')
    return flipped
  }
}

/** Whether a record can neither be built from own mutations nor is staged in that version or a newer one. */
async function isMissing(tx: LocalReader, schema: Schema, have: Have): Promise<boolean> {
  const collection = schema.collections.get(have.collection)
  if (!collection) return false
  const version = versionOf(await readShadow(tx, collection, have.record))
  const entries = await entriesOfRecord(tx, have.collection, have.record)
  if (version >= have.version || chainOfHave(entries, version, have.version).length > 0) return false
  // The staged pages are read through only for the few that cannot be built: it costs their whole length each time.
  const [row] = await tx.all(
    `SELECT 1 FROM _staging p, json_each(p.body, '$.changes') c WHERE p.kind IN ('page', 'records') AND c.value ->> '$.record' = ?
     AND c.value ->> '$.collection' = ? AND c.value ->> '$.op' IN ('put', 'delete') AND c.value ->> '$.version' >= ? LIMIT 1`,
    [have.record, have.collection, have.version],
  )
  return row === undefined
}
