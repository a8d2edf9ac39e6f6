import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { entryColumns, readEntry, readObject, statuses } from './entry.ts'
import { newIdentity } from './hold-reasons.ts'
import { markDead, seqsOf } from './outbox.ts'
import { offerAfresh } from './requeue.ts'

/**
 * Makes dead letters of entries that cannot be read; their bytes stay. The rest of a transaction is not to go without
 * them, and is part of the letter. The rest of a fold is offered anew, each by itself under its own key: where the server
 * had taken the fold, it says so of each. Rules: OB-7, OB-12.
 */
export async function buryUnreadable(tx: LocalTransaction, rows: readonly SqlRow[]): Promise<void> {
  if (rows.length === 0) return
  const buried = seqsOf(rows)
  const message = 'its bytes are damaged or of another version'
  await markDead(tx, buried, { code: 'ENTRY_UNREADABLE', message })
  const mates = await restOf(tx, 'group_id', buried)
  await markDead(tx, mates, {
    code: 'DEPENDENCY_FAILED',
    message: 'a part of its transaction cannot be read',
  })
  await offerAfresh(tx, await restOf(tx, 'offer', [...buried, ...mates]))
  // What travelled with them has another fate from now on.
  await tx.run(
    'UPDATE _outbox SET offer = seq WHERE offer IS NOT NULL AND seq IN (SELECT value FROM json_each(?))',
    [JSON.stringify(buried)],
  )
}

/**
 * The same of what was offered before, waits for a new identity, or is in no known state: it would be passed over for ever.
 * A fold whose text cannot be read is offered anew, and what names an offer that it is no part of. Rules: OB-12.
 */
export async function buryOffered(tx: LocalTransaction): Promise<void> {
  const rows = await tx.all(
    `SELECT ${entryColumns} FROM _outbox WHERE seq IN (
       SELECT seq FROM _outbox WHERE offer IS NOT NULL AND status IN ('sending', 'pending')
       UNION SELECT seq FROM _outbox WHERE escrow AND status IN ('sending', 'pending')
       UNION SELECT seq FROM _outbox WHERE status = 'held' AND held_by = ?
       UNION SELECT seq FROM _outbox WHERE status <> 'pending' AND status NOT IN (SELECT value FROM json_each(?))) ORDER BY seq`,
    [newIdentity, JSON.stringify([...statuses])],
  )
  await buryUnreadable(
    tx,
    rows.filter((row) => readEntry(row) === undefined),
  )
  const lost = await tx.all(
    `SELECT seq FROM _outbox AS e WHERE offer IS NOT NULL AND offer <> seq AND status IN ('sending', 'pending') AND NOT EXISTS (
       SELECT 1 FROM _outbox AS lead WHERE lead.seq = e.offer AND lead.offer = lead.seq AND lead.group_id IS e.group_id)`,
  )
  if (lost.length > 0) await offerAfresh(tx, seqsOf(lost))
  const untold = seqsOf(rows.filter(({ wire }) => typeof wire === 'string' && readObject(wire) === undefined))
  if (untold.length > 0) await offerAfresh(tx, [...untold, ...(await restOf(tx, 'offer', untold))])
}

/** What shares an offer or a transaction with one of `seqs` and is not decided. */
async function restOf(
  tx: LocalReader,
  column: 'offer' | 'group_id',
  seqs: readonly number[],
): Promise<readonly number[]> {
  const rows = await tx.all(
    `SELECT seq FROM _outbox WHERE status NOT IN ('answered', 'dead') AND seq NOT IN (SELECT value FROM json_each(?1))
     AND ${column} IN (SELECT ${column} FROM _outbox WHERE seq IN (SELECT value FROM json_each(?1)))`,
    [JSON.stringify(seqs)],
  )
  return seqsOf(rows)
}
