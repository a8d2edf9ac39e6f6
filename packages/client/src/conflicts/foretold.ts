import { type Foretold, limits, replayMutations, type Schema } from '@holdfast/core'
import type { LocalReader } from '../local/local-database.ts'
import { readShadow } from '../local/records.ts'
import { mutationOf } from '../outbox/entry.ts'
import { entriesOfRecord } from '../outbox/outbox.ts'

/** A pending mutation that will meet a conflict or be refused, as far as this device can tell. */
export interface ForetoldConflict extends Foretold {
  readonly collection: string
  readonly record: string
}

/**
 * What is foretold of the mutations the server has not ruled on: a hint, never an outcome. At most
 * `limits.foretoldRecords` records are looked at, the oldest mutations first. Reads only. Rules: CF-6.
 */
export async function foretellConflicts(
  tx: LocalReader,
  schema: Schema,
): Promise<readonly ForetoldConflict[]> {
  const rows = await tx.all(
    // Only what was written on an older copy than the device has by now can meet anything.
    `SELECT o.collection, o.record, min(o.seq) AS first FROM _outbox o
     JOIN _shadow s ON s.collection = o.collection AND s.record = o.record AND s.version > o.base_version
     WHERE o.status IN ('pending', 'sending', 'held') GROUP BY o.collection, o.record ORDER BY first LIMIT ?`,
    [limits.foretoldRecords],
  )
  const found: ForetoldConflict[] = []
  for (const row of rows) {
    const collection = schema.collections.get(String(row['collection']))
    if (!collection) continue
    const record = String(row['record'])
    const shadow = await readShadow(tx, collection, record)
    const entries = await entriesOfRecord(tx, collection.name, record)
    const open = new Set(
      entries.filter((entry) => entry.status !== 'dead' && entry.status !== 'conflicted').map(({ id }) => id),
    )
    const { foretold } = replayMutations(collection, shadow.snapshot, entries.map(mutationOf))
    for (const hint of foretold) {
      if (open.has(hint.mutation)) found.push({ ...hint, collection: collection.name, record })
    }
  }
  return found
}
