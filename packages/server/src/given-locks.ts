import { vi } from 'vitest'

/** Resolves when so many statements of a database of PostgreSQL wait for locks that others hold. */
export async function waitingForLocks(
  ask: (sql: string) => Promise<readonly unknown[]>,
  count: number,
  like = '%',
): Promise<void> {
  const sql = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '${like}' AND datname = current_database()`
  await vi.waitUntil(async () => (await ask(sql)).length === count, { interval: 10, timeout: 60_000 })
}
