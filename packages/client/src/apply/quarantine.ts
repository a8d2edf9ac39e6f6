import type { Change, Schema } from '@holdfast/core'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { writeMeta } from '../local/meta.ts'
import { notePage, type PageNote } from './page-note.ts'

/** A row this app cannot read, kept whole until it can. */
export interface QuarantinedRow {
  readonly collection: string
  readonly record: string
  readonly version: number
  /** Why it does not fit; never its values. */
  readonly reason: string
}

/** Keeps the rows of a page that do not fit, in the transaction that moves the cursor past them. Rules: AP-5, AP-14. */
export async function quarantineUnfit(tx: LocalTransaction, note: PageNote): Promise<void> {
  if (note.unfit.length === 0) return
  const reasons = new Map(note.unfit.map(({ index, reason }) => [index, reason]))
  const rows = await tx.all(
    `SELECT c.key AS k, c.value AS v FROM _staging p, json_each(p.body, '$.changes') c
     WHERE p.n = ?1 AND c.key IN (SELECT value FROM json_each(?2)) ORDER BY c.key`,
    [note.page, JSON.stringify([...reasons.keys()])],
  )
  for (const { k, v = null } of rows)
    await tx.run(
      `INSERT INTO _quarantine (collection, record, version, scope, reason, change)
       SELECT v ->> '$.collection', v ->> '$.record', v ->> '$.version', v ->> '$.scope', ?2, v
       FROM (SELECT ?1 AS v) WHERE v ->> '$.op' NOT IN ('delete', 'leave')
       ON CONFLICT DO UPDATE SET version = excluded.version, reason = excluded.reason, change = excluded.change
         WHERE excluded.version >= _quarantine.version`,
      [v, reasons.get(Number(k)) ?? ''],
    )
}

/**
 * Drops what a page has overtaken: a newer version that fits, a deletion, a leave of its scope; the app need not know the
 * collection. Looked up by what the page names. Rules: AP-14.
 */
export async function releaseOvertaken(tx: LocalTransaction, note: PageNote): Promise<void> {
  await tx.run(
    `DELETE FROM _quarantine WHERE (collection, record, scope) IN (
       SELECT q.collection, q.record, q.scope FROM _staging p, json_each(p.body, '$.changes') c CROSS JOIN _quarantine q
         ON q.collection = c.value ->> '$.collection' AND q.record = c.value ->> '$.record'
       WHERE p.n = ?1
       AND CASE c.value ->> '$.op' WHEN 'leave' THEN c.value ->> '$.scope' = q.scope ELSE c.value ->> '$.version' > q.version END
       AND (c.value ->> '$.op' IN ('delete', 'leave') OR c.key NOT IN (SELECT value FROM json_each(?2))))`,
    [note.page, JSON.stringify(note.unfit.map(({ index }) => index))],
  )
}

/** What is in quarantine, in no particular order. */
export async function listQuarantine(tx: LocalReader): Promise<readonly QuarantinedRow[]> {
  const rows = await tx.all(
    'SELECT collection, record, max(version) AS version, reason FROM _quarantine GROUP BY collection, record',
  )
  return rows.map((row) => ({
    collection: String(row['collection']),
    record: String(row['record']),
    version: Number(row['version']),
    reason: String(row['reason']),
  }))
}

/**
 * Stages what is in quarantine and fits by now as a page of its own, so that it is applied the way every row is.
 * Returns its note; undefined when nothing fits. Rules: AP-5.
 */
export async function stageReadable(tx: LocalTransaction, schema: Schema): Promise<PageNote | undefined> {
  const rows = await tx.all('SELECT change FROM _quarantine')
  // Written by quarantineUnfit from a page that was parsed.
  const changes = rows.map((row) => JSON.parse(String(row['change'])) as Change)
  const unfit = new Set(notePage(schema, 0, changes).unfit.map(({ index }) => index))
  const readable = changes.filter((_, index) => !unfit.has(index))
  await writeMeta(tx, 'sync.quarantine', schema.version)
  if (readable.length === 0) return undefined
  const body = JSON.stringify({ changes: readable })
  const { lastInsertRowid } = await tx.run("INSERT INTO _staging (kind, body) VALUES ('page', ?)", [body])
  for (const { collection, record } of readable) {
    await tx.run('DELETE FROM _quarantine WHERE collection = ? AND record = ?', [collection, record])
  }
  return notePage(schema, lastInsertRowid, readable)
}
