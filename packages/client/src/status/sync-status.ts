import type { ErrorCode } from '@holdfast/core'
import { countUploads, type UploadCounts } from '../attachments/attachment-upload.ts'
import { listQuarantine, type QuarantinedRow } from '../apply/quarantine.ts'
import type { PullProgress } from '../apply/pull-progress.ts'
import type { Foretelling } from '../conflicts/foretold.ts'
import type { LocalReader } from '../local/local-database.ts'
import type { SavingCause } from '../sync/sync-policy.ts'
import type { PauseCause, SyncState } from '../sync/sync-state.ts'
import { percentile, readTally, type Tally } from './tally.ts'

/** How far the pull under way is. */
export interface SyncProgress {
  readonly phase: 'snapshot' | 'pull'
  readonly rows: number
  readonly pages: number
}

/** How things stand between this device and its server. Rules: ST-1 to ST-3. */
export interface SyncStatus {
  /** What the engine does. `idle` says nothing of being up to date: see `lastSyncAt` and `pendingCount`. */
  readonly phase: SyncState['kind']
  /** False once a request did not reach the server, until one does. */
  readonly online: boolean
  /** Why it is paused; null when it is not. */
  readonly pausedBy: PauseCause | null
  /** Why collections of low priority wait; null when none has to. */
  readonly savingFor: SavingCause | null
  /** Code of the failure that the engine waits for; null when the last cycle got to its end. */
  readonly reason: ErrorCode | null
  /** ISO time of the next attempt; null when none is planned. */
  readonly retryAt: string | null
  /** Mutations the server has not ruled on. */
  readonly pendingCount: number
  /** Age of the oldest of them, ms; null when there is none. */
  readonly oldestPendingAgeMs: number | null
  /** ISO time of the last flip; null before the first. */
  readonly lastSyncAt: string | null
  readonly progress: SyncProgress | null
  /** Open conflicts this device can see. */
  readonly conflictCount: number
  readonly deadLetterCount: number
  /** Edits of records out of sight that operators have not decided about, those to be sent included. */
  readonly escrowCount: number
  /** Pending mutations that will meet a conflict or be refused, as far as the device can tell. */
  readonly foretoldCount: number
  /** Bytes of attachments that the server does not have. */
  readonly attachments: UploadCounts
  /** Ranges of rows in which this device's copy was not the server's and was fetched again: each is a bug to report. */
  readonly repairCount: number
  /** Rows this app cannot read; kept until it can. */
  readonly quarantined: readonly QuarantinedRow[]
  /** In a browser: how safe what is stored is. Elsewhere there is nothing to tell. */
  readonly storage?: StorageStatus
}

/** What a browser may do, and has done, to the database. Rules: BR-11, BR-12. */
export interface StorageStatus {
  /** Whether the browser has promised not to remove it by itself. */
  readonly isPersistent: boolean
  /** The database that was here before was removed; null when none is known to have been. */
  readonly loss: StorageLoss | null
}

/** A database that was removed by the browser, or by a person in its settings. */
export interface StorageLoss {
  /** Names the database that is gone. */
  readonly store: string
  /** Mutations that were not settled when this was last noted, a moment before at most: they are lost. */
  readonly unsentCount: number
  /** ISO time at which it was noticed. */
  readonly noticedAt: string
}

/** The named metrics of a device, for whoever collects them. */
export interface SyncMetrics {
  readonly queue_depth: number
  /** Seconds. */
  readonly oldest_pending_age: number
  /** Share of cycles that got to their end, in [0, 1]; 1 before the first. */
  readonly sync_success_rate: number
  /** Length of successful cycles, ms; null before the first. */
  readonly sync_latency: {
    readonly p50: number | null
    readonly p95: number | null
    readonly p99: number | null
  }
  /** Share of verdicts that were conflicts, by collection. */
  readonly conflict_rate: Readonly<Record<string, number>>
  readonly retry_exhausted_count: number
  readonly counts: Tally
}

/** What the engine knows and no table holds. */
export interface EngineFacts {
  readonly state: SyncState
  readonly lastCode: ErrorCode | null
  readonly progress: PullProgress | undefined
  readonly saving: SavingCause | null
  readonly nowMs: number
}

/** The status from the facts of this moment: nothing of it is remembered from earlier. Rules: ST-1. */
export async function readStatus(
  tx: LocalReader,
  facts: EngineFacts,
  foretelling: Foretelling,
): Promise<SyncStatus> {
  const { state, lastCode, nowMs } = facts
  const queue = await readQueue(tx, nowMs)
  const [row] = await tx.all(
    `SELECT (SELECT count(*) FROM _outbox WHERE status = 'dead') AS dead,
       (SELECT count(*) FROM _conflicts WHERE status = 'open') AS conflicts,
       (SELECT count(*) FROM _outbox WHERE escrow)
         + (SELECT count(*) FROM _escrow WHERE status = 'waiting') AS escrow`,
  )
  const { lastSyncAt, repairs } = await readTally(tx)
  return {
    phase: state.kind,
    online: state.kind !== 'offline' && lastCode !== 'OFFLINE' && lastCode !== 'CAPTIVE_PORTAL',
    pausedBy: state.kind === 'paused' ? state.cause : null,
    savingFor: facts.saving,
    reason: lastCode,
    retryAt: 'retryAtMs' in state ? new Date(state.retryAtMs).toISOString() : null,
    pendingCount: queue.count,
    oldestPendingAgeMs: queue.oldestAgeMs,
    lastSyncAt,
    progress: progressOf(facts.progress),
    conflictCount: Number(row?.['conflicts'] ?? 0),
    deadLetterCount: Number(row?.['dead'] ?? 0),
    escrowCount: Number(row?.['escrow'] ?? 0),
    foretoldCount: (await foretelling.list(tx)).length,
    attachments: await countUploads(tx),
    repairCount: repairs,
    quarantined: await listQuarantine(tx),
  }
}

/** The metrics of this moment. Rules: ST-4. */
export async function readMetrics(tx: LocalReader, nowMs: number): Promise<SyncMetrics> {
  const queue = await readQueue(tx, nowMs)
  const counts = await readTally(tx)
  const { latenciesMs, successes, failures } = counts
  const conflictRate: Record<string, number> = {}
  for (const [collection, verdicts] of Object.entries(counts.verdicts)) {
    const total = Object.values(verdicts).reduce((sum, count) => sum + count, 0)
    conflictRate[collection] = total === 0 ? 0 : (verdicts['conflict'] ?? 0) / total
  }
  return {
    queue_depth: queue.count,
    oldest_pending_age: (queue.oldestAgeMs ?? 0) / 1_000,
    sync_success_rate: successes + failures === 0 ? 1 : successes / (successes + failures),
    sync_latency: {
      p50: percentile(latenciesMs, 0.5),
      p95: percentile(latenciesMs, 0.95),
      p99: percentile(latenciesMs, 0.99),
    },
    conflict_rate: conflictRate,
    retry_exhausted_count: counts.retryExhausted,
    counts,
  }
}

async function readQueue(
  tx: LocalReader,
  nowMs: number,
): Promise<{ count: number; oldestAgeMs: number | null }> {
  const [row] = await tx.all(
    "SELECT count(*) AS count, min(created_at) AS oldest FROM _outbox WHERE status IN ('pending', 'sending', 'held')",
  )
  const oldest = row?.['oldest']
  // The clock may have been put back since the oldest was written.
  const oldestAgeMs = typeof oldest === 'string' ? Math.max(0, nowMs - Date.parse(oldest)) : null
  return { count: Number(row?.['count'] ?? 0), oldestAgeMs }
}

function progressOf(progress: PullProgress | undefined): SyncProgress | null {
  if (!progress) return null
  const { rows, pages, step } = progress
  return { phase: step.kind === 'snapshot' ? 'snapshot' : 'pull', rows, pages }
}
