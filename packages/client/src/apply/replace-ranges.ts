import {
  assert,
  type Change,
  type CollectionSchema,
  rangesMost,
  type RowRange,
  type Schema,
} from '@holdfast/core'
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
    const overtaken = (from: string): string =>
      `(SELECT o.record FROM puts CROSS JOIN ${from} o ON o.collection = '${name}' AND o.record = puts.record WHERE o.version >= puts.version)`
    for (const statement of [
      `UPDATE ${table} SET _version = 0 FROM puts WHERE puts.record = ${table}.id AND ${table}._version >= puts.version`,
      `UPDATE _shadow SET version = 0 WHERE collection = '${name}' AND record IN ${overtaken('_shadow')}`,
      `DELETE FROM _deleted WHERE collection = '${name}' AND record IN ${overtaken('_deleted')}
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
  const own = ranges.filter((range) => range.collection === name)
  const puts = await tx.all(
    `WITH ${pageRows} SELECT v ->> '$.record' AS record, v ->> '$.scope' AS scope FROM rows
     WHERE v ->> '$.op' = 'put' AND v ->> '$.collection' = '${name}'`,
    [note.page],
  )
  const isPut = new Set(puts.map(({ record, scope }) => `${record} ${scope}`))
  const isAsked = new Set(own.map(({ scope, range, of }) => `${range} ${of} ${scope}`))
  const scopes = new Set(own.map(({ scope }) => scope))
  const counts = [...new Set(own.map(({ of }) => of))]
  const rows = await tx.all(
    `SELECT h.record, h.version, h.x, s.name AS scope
     FROM (${heldRows(collection)}) h JOIN _scopes s ON instr(h.scopes, ',' || s.n || ',') > 0
     WHERE h.x % ${rangesMost} IN (SELECT value FROM json_each(?1)) AND s.name IN (SELECT value FROM json_each(?2))`,
    [JSON.stringify(own.flatMap(partsOf)), JSON.stringify([...scopes])],
  )
  return rows
    .filter(({ record, x, scope }) => {
      const isMeant = counts.some((of) => isAsked.has(`${Number(x) % of} ${of} ${scope}`))
      return isMeant && !isPut.has(`${record} ${scope}`)
    })
    .map(({ record, version, scope }) => ({
      collection: name,
      record: String(record),
      op: 'leave',
      scope: String(scope),
      version: Number(version),
      serverUpdatedAt: '',
    }))
}

/** The smallest ranges that a range consists of. */
function partsOf({ range, of }: RowRange): readonly number[] {
  return Array.from({ length: rangesMost / of }, (_, n) => range + n * of)
}

function collectionsOf(schema: Schema, ranges: readonly RowRange[]): readonly CollectionSchema[] {
  return [...new Set(ranges.map(({ collection }) => collection))].map((name) => {
    const collection = schema.collections.get(name)
    assert(collection, `a range of the unknown collection ${name} was asked for`)
    return collection
  })
}
