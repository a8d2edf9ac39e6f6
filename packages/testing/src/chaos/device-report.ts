import type { ChaosClient } from './device-work.ts'

/** How a device says it stands. */
export interface DeviceReport {
  /** Mutations in the outbox, dead letters left out. */
  readonly unsettled: number
  readonly conflicts: number
  /** Decisions that came second, and that nobody has given up yet: the device shows them as its own. */
  readonly lateDecisions: number
  readonly deadLetters: readonly string[]
  readonly status: unknown
}

/** How the device stands. */
export async function reportOf(db: ChaosClient): Promise<DeviceReport> {
  const entries = await db.outbox.list()
  const dead = entries.filter(({ status }) => status === 'dead')
  return {
    unsettled: entries.length - dead.length,
    conflicts: (await db.conflicts.list()).length,
    lateDecisions: dead.filter(({ error }) => error?.code === 'CONFLICT_CLOSED').length,
    deadLetters: dead.map(
      ({ collection, op, error }) => `${collection} ${op} ${error?.code}: ${error?.message}`,
    ),
    status: await db.status.get(),
  }
}

/** What is under way, or waits for a person who has something to decide or to give up. */
export function openCount({ unsettled, conflicts, lateDecisions }: DeviceReport): number {
  return unsettled + conflicts + lateDecisions
}
