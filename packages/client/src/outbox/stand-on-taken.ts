import type { LocalTransaction } from '../local/local-database.ts'
import { isFresh, isRefused } from './requeue.ts'

/**
 * Whatever is yet to go of a record goes behind what the server has taken of it, and stands on that from now on, unless it
 * stands on something that is not decided: it may have been overtaken by it, or have overtaken it. Left alone is what was
 * offered, for it keeps its bytes, and what stands on a deletion would bring the record back. Rules: OB-24.
 */
export async function standOnTaken(tx: LocalTransaction, seqs: readonly number[]): Promise<void> {
  await tx.run(
    `WITH taken AS MATERIALIZED (
       SELECT own.collection, own.record, coalesce(lead.id, own.id) AS id, max(own.version) AS version
       FROM json_each(?) AS mark JOIN _outbox AS own ON own.seq = mark.value
         LEFT JOIN _outbox AS lead ON lead.seq = own.offer
       WHERE own.version IS NOT NULL AND own.op <> 'delete' AND own.resolves IS NULL
       GROUP BY own.collection, own.record)
     UPDATE _outbox AS later SET after = taken.id FROM taken
     WHERE later.record = taken.record AND later.collection = taken.collection
       AND (${isFresh} OR ${isRefused}) AND later.op <> 'create' AND later.resolves IS NULL
       AND coalesce(later.after, '') NOT IN (
         SELECT below.id FROM taken JOIN _outbox AS below
           ON below.record = taken.record AND below.collection = taken.collection
         WHERE below.status <> 'answered' OR below.version >= taken.version)`,
    [JSON.stringify(seqs)],
  )
}
