import { type CancelTimer, SyncError } from '@holdfast/core'

import type { Engine } from '../engine.ts'
import type { EventContext } from './event-context.ts'

/** What is forgotten by itself, and when. */
export interface RetentionOptions {
  /**
   * Days that deletions stay known. A device that was away for longer takes its copy anew and keeps its outbox.
   * Acknowledged outcomes and idempotency keys go with them, as `limits` has it.
   */
  readonly tombstoneDays: number
}

/** What forgets by itself. */
export interface Retention {
  /** Waits for what is under way. */
  close(): Promise<void>
}

interface RetentionSetup extends Omit<EventContext, 'store'> {
  readonly engine: Pick<Engine, 'collectTombstones'>
  readonly options: RetentionOptions | undefined
}

const dayMs = 86_400_000

/** Errors: SCHEMA_INVALID for days that are none. */
export function checkRetention(options: RetentionOptions | undefined): void {
  if (options && !(Number.isFinite(options.tombstoneDays) && options.tombstoneDays >= 1))
    throw new SyncError('SCHEMA_INVALID', 'retention.tombstoneDays is a number of days from 1')
}

/**
 * Collects again and again, each node at moments of its own: nothing goes wrong when two do it at once. Does nothing
 * without options. Rules: OP-40.
 */
export function startRetention({ engine, env, limits, logger, options }: RetentionSetup): Retention {
  if (!options) return { close: async () => undefined }
  const olderThanMs = options.tombstoneDays * dayMs
  let isClosed = false
  let cancel: CancelTimer = () => undefined
  let running: Promise<void> = Promise.resolve()
  const collect = async (): Promise<void> => {
    try {
      const { collected } = await engine.collectTombstones({ olderThanMs })
      if (collected > 0) logger?.info({ collected }, 'old deletions were forgotten')
    } catch (err) {
      logger?.warn({ err }, 'old deletions could not be forgotten')
    }
  }
  const collectIn = (ms: number): void => {
    cancel = env.setTimer(() => {
      running = collect().then(() => {
        if (!isClosed) collectIn(limits.retentionIntervalMs * (0.75 + env.random() / 2))
      })
    }, ms)
  }
  collectIn(limits.retentionIntervalMs * env.random())
  return {
    close: async () => {
      isClosed = true
      cancel()
      await running
    },
  }
}
