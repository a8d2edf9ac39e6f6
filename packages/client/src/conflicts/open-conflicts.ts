import type { LocalReader } from '../local/local-database.ts'

/**
 * Where disputes are now: each of the conflicts that is open, or was superseded by one that is, however often, with the
 * open one. What is settled, or whose successor this device does not see, is left out. Rules: CF-12.
 */
export async function openConflicts(
  tx: LocalReader,
  conflicts: Iterable<string>,
): Promise<ReadonlyMap<string, string>> {
  const rows = await tx.all(
    `WITH RECURSIVE line(first, id) AS (SELECT value, value FROM json_each(?)
       UNION SELECT line.first, c.resolution ->> '$.by' FROM line JOIN _conflicts c ON c.id = line.id)
     SELECT line.first, c.id FROM line JOIN _conflicts c ON c.id = line.id WHERE c.status = 'open'`,
    [JSON.stringify([...new Set(conflicts)])],
  )
  return new Map(rows.map((row) => [String(row['first']), String(row['id'])]))
}
