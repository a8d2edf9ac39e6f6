import type { Environment, Limits } from '@holdfast/core'

import type { Engine, Logger } from '../engine.ts'
import { erasingClock } from '../events/erasing-clock.ts'
import { type Rounds, startRounds } from '../events/rounds.ts'
import type { Store } from '../store/store.ts'
import type { AttachmentOptions } from './attachment-options.ts'
import type { StoredAttachment } from './attachment-store.ts'

const dayMs = 86_400_000

interface SweepSetup extends Pick<Sweep, 'engine'> {
  readonly attachments: Required<AttachmentOptions> | undefined
  readonly env: Environment
  readonly limits: Limits
  readonly logger: Logger | undefined
  readonly store: Store
}

/** Sweeps in rounds. Does nothing without options. Rules: AT-13, OP-42. */
export function startSweep({
  attachments,
  env,
  limits,
  logger,
  store,
  ...setup
}: SweepSetup): Rounds | undefined {
  if (!attachments) return undefined
  const clock = erasingClock(env, store)
  const work = async (isClosed: () => boolean): Promise<void> => {
    try {
      const erasedByMs = await clock()
      const parts = { engine: setup.engine, attachments, nowMs: env.now(), erasedByMs, limits, isClosed }
      const { removed, uploads } = await sweepAttachments(parts)
      if (removed + uploads > 0) logger?.info({ removed, uploads }, 'old attachments were removed')
    } catch (err) {
      logger?.warn({ err }, 'old attachments could not be removed')
    }
  }
  return startRounds({ env, intervalMs: limits.retentionIntervalMs, work })
}

/** What a sweep needs. */
export interface Sweep {
  readonly engine: Pick<Engine, 'attachmentsNamed'>
  readonly attachments: Required<AttachmentOptions>
  /** What marks are made by. */
  readonly nowMs: number
  /** What ages count from, ms since 1970; null: nothing is removed. */
  readonly erasedByMs: number | null
  readonly limits: Pick<Limits, 'uploadKeepDays' | 'attachmentsAsked'>
  /** True: it is to end. */
  readonly isClosed: () => boolean
}

/**
 * Marks what nothing names any more, unmarks what is named again, and removes what was marked for long, and uploads that
 * nobody goes on with. Two at once are harmless. What one attachment meets is thrown once all were looked at. Rules: AT-13 to AT-16.
 */
export async function sweepAttachments({
  engine,
  attachments: { store, keepDays },
  nowMs,
  erasedByMs,
  limits,
  isClosed,
}: Sweep): Promise<{ readonly removed: number; readonly uploads: number }> {
  const now = new Date(nowMs).toISOString()
  let failure: { readonly error: unknown } | undefined
  const ago = (days: number): string | null =>
    erasedByMs === null ? null : new Date(erasedByMs - days * dayMs).toISOString()
  const old = ago(keepDays)
  let removed = 0
  const settle = async (found: StoredAttachment, isNamed: boolean): Promise<void> => {
    const { unnamedSince: since, ...key } = found
    if (isNamed) return since === null ? undefined : store.mark(key, null)
    // Later than now is the time of a clock that was ahead.
    if (since === null || since > now) return store.mark(key, now)
    if (old === null || since > old) return
    const isGone = await store.remove(key, async () => (await engine.attachmentsNamed([key]))[0] !== false)
    removed += isGone ? 1 : 0
  }
  let asked: StoredAttachment[] = []
  const settleAsked = async (): Promise<void> => {
    const named = await engine.attachmentsNamed(asked)
    for (const [at, found] of asked.entries()) {
      try {
        await settle(found, named[at] !== false)
      } catch (error) {
        // On a full disk none can be marked, and what frees it lies behind.
        failure ??= { error }
      }
    }
    asked = []
  }
  for await (const found of store.list()) {
    if (isClosed()) break
    asked.push(found)
    if (asked.length >= limits.attachmentsAsked) await settleAsked()
  }
  if (!isClosed()) await settleAsked()
  const untouchedSince = ago(limits.uploadKeepDays)
  const uploads = isClosed() || untouchedSince === null ? 0 : await store.forgetUploads(untouchedSince)
  if (failure) throw failure.error
  return { removed, uploads }
}
