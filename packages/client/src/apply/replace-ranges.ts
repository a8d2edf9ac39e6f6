import { assert, type Change, type CollectionSchema, type RowRange, type Schema } from '@holdfast/core'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { quoteName } from '../local/tables.ts'
import { pageRows } from './bulk-apply.ts'
import { heldRows } from './held-rows.ts'
import { notePage, type PageNote } from './page-note.ts'

/** Ranges that a staged page holds every row of. */
export interface RangesToReplace {
  readonly ranges: readonly RowRange[]
  readonly note: PageNote
}

/**
 * Before the pages are applied: whatever the page puts replaces what the device has, also where that says that it is as
 * new or newer. Rules: CS-3.
 */
export async function distrustRows(
  tx: LocalTransaction,
  schema: Schema,
  { ranges, note }: RangesToReplace,
): Promise<void> {
  const unfit = JSON.stringify(note.unfit.map(({ index }) => index))
  for (const { name } of collectionsOf(schema, ranges)) {
    const puts =
      `WITH ${pageRows}, puts AS MATERIALIZED (SELECT v ->> '$.record' AS record, v ->> '$.version' AS version FROM rows ` +
      `WHERE v ->> '$.op' = 'put' AND v ->> '$.collection' = '${name}' AND k NOT IN (SELECT value FROM json_each(?2)))`
    const table = quoteName(name)
    const isOvertaken = (of: string): string =>
      `${of}.collection = '${name}' AND EXISTS (SELECT 1 FROM puts WHERE puts.record = ${of}.record AND ${of}.version >= puts.version)`
    for (const statement of [
      `UPDATE ${table} SET _version = 0 WHERE EXISTS (SELECT 1 FROM puts WHERE puts.record = ${table}.id AND ${table}._version >= puts.version)`,
      `UPDATE _shadow SET version = 0 WHERE ${isOvertaken('_shadow')}`,
      `DELETE FROM _deleted WHERE ${isOvertaken('_deleted')}
         AND NOT EXISTS (SELECT 1 FROM _outbox o WHERE o.record = _deleted.record AND o.collection = '${name}')`,
    ])
      await tx.run(`${puts} ${statement}`, [note.page, unfit])
  }
}

/**
 * After the pages were applied: rows of the ranges that are not in the page leave the scope, as if the feed had said so.
 * Returns the note of what is to be applied, if there are any. Rules: CS-3.
 */
export async function stageLeaves(
  tx: LocalTransaction,
  schema: Schema,
  replaced: RangesToReplace,
): Promise<readonly PageNote[]> {
  const changes: Change[] = []
  for (const collection of collectionsOf(schema, replaced.ranges))
    changes.push(...(await strayRows(tx, collection, replaced)))
  if (changes.length === 0) return []
  const { lastInsertRowid } = await tx.run("INSERT INTO _staging (kind, body) VALUES ('page', ?)", [
    JSON.stringify({ changes }),
  ])
  return [notePage(schema, lastInsertRowid, changes)]
}

async function strayRows(
  tx: LocalReader,
  collection: CollectionSchema,
  { ranges, note }: RangesToReplace,
): Promise<readonly Change[]> {
  const { name } = collection
  const rows = await tx.all(
    `WITH ${pageRows}, puts AS MATERIALIZED (SELECT v ->> '$.record' AS record, v ->> '$.scope' AS scope FROM rows
         WHERE v ->> '$.op' = 'put' AND v ->> '$.collection' = '${name}'),
       held AS MATERIALIZED (${heldRows(collection)}),
       ranges AS MATERIALIZED (SELECT s.name AS scope, s.n, value ->> '$.range' AS range, value ->> '$.of' AS of
         FROM json_each(?2) JOIN _scopes s ON s.name = value ->> '$.scope')
     SELECT h.record, h.version, r.scope FROM ranges r JOIN held h ON h.x % r.of = r.range AND instr(h.scopes, ',' || r.n || ',') > 0
     WHERE NOT EXISTS (SELECT 1 FROM puts p WHERE p.record = h.record AND p.scope = r.scope)`,
    [note.page, JSON.stringify(ranges.filter((range) => range.collection === name))],
  )
  return rows.map((row) => ({
    collection: name,
    record: String(row['record']),
    op: 'leave',
    scope: String(row['scope']),
    version: Number(row['version']),
    serverUpdatedAt: '',
  }))
}

function collectionsOf(schema: Schema, ranges: readonly RowRange[]): readonly CollectionSchema[] {
  return [...new Set(ranges.map(({ collection }) => collection))].map((name) => {
    const collection = schema.collections.get(name)
    assert(collection, `a range of the unknown collection ${name} was asked for`)
    return collection
  })
}
