import { SyncError } from '@holdfast/core'

import type { Engine } from '../engine.ts'
import { erasingClock } from './erasing-clock.ts'
import type { EventContext } from './event-context.ts'
import { type Rounds, startRounds } from './rounds.ts'

/** What is forgotten by itself, and when. */
export interface RetentionOptions {
  /**
   * Days that deletions stay known. A device that was away for longer takes its copy anew and keeps its outbox.
   * Acknowledged outcomes and idempotency keys go with them, as `limits` has it.
   */
  readonly tombstoneDays: number
}

interface RetentionSetup extends EventContext {
  readonly engine: Pick<Engine, 'collectTombstones'>
  readonly options: RetentionOptions | undefined
}

const dayMs = 86_400_000

/** Errors: SCHEMA_INVALID for days that are none. */
export function checkRetention(options: RetentionOptions | undefined): void {
  if (options && !(Number.isFinite(options.tombstoneDays) && options.tombstoneDays >= 1))
    throw new SyncError('SCHEMA_INVALID', 'retention.tombstoneDays is a number of days from 1')
}

/** Collects in rounds. Does nothing without options. Rules: OP-40, OP-42. */
export function startRetention({
  engine,
  env,
  store,
  limits,
  logger,
  options,
}: RetentionSetup): Rounds | undefined {
  if (!options) return undefined
  const olderThanMs = options.tombstoneDays * dayMs
  const clock = erasingClock(env, store)
  const work = async (): Promise<void> => {
    try {
      const nowMs = await clock()
      if (nowMs === null) return
      const { collected } = await engine.collectTombstones({ olderThanMs, nowMs })
      if (collected > 0) logger?.info({ collected }, 'old deletions were forgotten')
    } catch (err) {
      logger?.warn({ err }, 'old deletions could not be forgotten')
    }
  }
  return startRounds({ env, intervalMs: limits.retentionIntervalMs, work })
}
