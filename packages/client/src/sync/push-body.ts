import { formatRanges, type Limits, parseRanges, unionRanges } from '@holdfast/core'

import { readAck } from '../apply/settle-outcomes.ts'
import { readCursor } from '../apply/staging.ts'
import type { LocalReader } from '../local/local-database.ts'
import { readMeta } from '../local/meta.ts'
import type { Offer } from '../outbox/offer.ts'
import { coversOf, seqsOf } from '../outbox/outbox.ts'
import { readRetained } from '../outbox/retained.ts'

/** What one push carries. */
export interface Batch {
  readonly offers: readonly Offer[]
  readonly ack: string
  /** Numbers whose answers this device held when it began to push. */
  readonly answered: string
  /** Of the device's copy; null before the first pull. */
  readonly since: string | null
  /** Numbers that were never answered, and written before the loss of a history was known, as ranges. */
  readonly stranded: string
  /** The pending report, as JSON. */
  readonly pending: string
}

/** Where pushes go, below the base URL. */
export const pushPath = '/sync/push'

/** What is left of a body for mutations, bytes: acknowledgement and report are small. */
export function bodyBytes(limits: Limits): number {
  return limits.pushBytes - 65_536
}

/** What travels with these offers, as of this transaction. */
export async function readBatch(tx: LocalReader, offers: readonly Offer[], limits: Limits): Promise<Batch> {
  const ack = formatRanges(await readAck(tx))
  const answered = await readAnswered(tx)
  const believed = unionRanges([
    ...parseRanges(answered),
    ...parseRanges(await readRetained(tx, limits.retainedNamed)),
  ])
  const since = await readCursor(tx)
  const stranded = await readStranded(tx, offers)
  return { offers, ack, answered: formatRanges(believed), since, stranded, pending: await pendingReport(tx) }
}

/** The body of the push, as JSON. */
export function pushBody({ offers, ack, answered, since, stranded, pending }: Batch): string {
  const mutations = offers.map((offer) => offer.text).join(',')
  const known = answered === '' ? '' : `,"answered":${JSON.stringify(answered)}`
  const from = since === null ? '' : `,"since":${JSON.stringify(since)}`
  const lost = stranded === '' ? '' : `,"stranded":${JSON.stringify(stranded)}`
  return `{"ack":${JSON.stringify(ack)}${known}${from}${lost},"pending":${pending},"mutations":[${mutations}]}`
}

/**
 * Numbers with a final answer that no flip has settled, as ranges: a server that does not know them was put back to before
 * it gave that answer. They are those of this cycle, and of one that was interrupted before.
 */
async function readAnswered(tx: LocalReader): Promise<string> {
  const rows = await tx.all(
    // That they are not pending is said for the index.
    "SELECT seq FROM _outbox WHERE status = 'answered' AND status <> 'pending' AND (held_by IS NULL OR held_by = 'repeated')",
  )
  return coversOf(seqsOf(rows))
}

async function readStranded(tx: LocalReader, offers: readonly Offer[]): Promise<string> {
  const rows = await tx.all(
    'SELECT seq FROM _outbox WHERE seq IN (SELECT value FROM json_each(?)) AND returned_at IS NOT NULL AND was IS NULL',
    [JSON.stringify(offers.map(({ seqs }) => seqs[0]))],
  )
  return coversOf(seqsOf(rows))
}

async function pendingReport(tx: LocalReader): Promise<string> {
  const [row] = await tx.all(
    // That they are not pending is said for the index, which holds no pending ones.
    `SELECT (SELECT count(*) FROM _outbox)
         - (SELECT count(*) FROM _outbox WHERE status IN ('answered', 'dead') AND status <> 'pending') AS count,
       (SELECT created_at FROM _outbox WHERE status NOT IN ('answered', 'dead') ORDER BY seq LIMIT 1) AS oldest,
       (SELECT max(seq) FROM _outbox) AS highest`,
  )
  const gone = Number((await readMeta(tx, 'seq')) ?? 0)
  const highestSeq = Math.max(gone, Number(row?.['highest'] ?? 0))
  return JSON.stringify({ count: row?.['count'] ?? 0, oldestAt: row?.['oldest'] ?? null, highestSeq })
}
