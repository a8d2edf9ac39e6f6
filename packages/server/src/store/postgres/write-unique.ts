import { assert } from '@holdfast/core'
import type { StoreWriter, UniqueText } from '../store.ts'
import { uniqueTexts } from '../unique-texts.ts'
import { hasDeletedAt } from '../sql.ts'
import { columnLists, type ListColumn, listValues } from './column-lists.ts'
import { fieldMembers, jsonObject } from './columns.ts'
import type { Connection } from './connection.ts'
import type { KeyNumbers } from './key-numbers.ts'
import { decisionQueries } from './read-decisions.ts'
import type { Tables } from './read-records.ts'

/** Notes of other writers read at once; the loop goes on until there are none. */
const foreignBatch = 1_000

/** Unique keys in one transaction. */
export type UniqueStatements = Pick<StoreWriter, 'uniqueOwners' | 'writeUnique'> & {
  /** First in every transaction: what other writers did to unique keys. */
  readonly readForeignNotes: () => Promise<void>
}

/** Reads and writes of unique keys, which remember what the transaction has seen. */
export function uniqueStatements(db: Connection, tables: Tables): UniqueStatements {
  const { uniqueOwners } = decisionQueries(db, tables, { locks: true })
  const owners = new Map<string, Set<string>>()
  const writeUnique: StoreWriter['writeUnique'] = (changes) =>
    writeUniqueKeys(db, { owners, keys: tables.keys }, changes)
  let noting = Promise.resolve()
  return {
    writeUnique,
    uniqueOwners: async (texts) => {
      await noting
      const found = await uniqueOwners(texts)
      for (const text of texts) owners.set(keyOf(text), new Set())
      for (const owner of found) owners.get(keyOf(owner))?.add(owner.record)
      return found
    },
    readForeignNotes: () => {
      // Only collections with unique keys leave notes.
      const isNoted = [...tables.schema.collections.values()].some(({ unique }) => unique.length > 0)
      if (isNoted) noting = readForeignNotes(db, { ...tables, writeUnique })
      return noting
    },
  }
}

function keyOf({ collection, key, text }: UniqueText): string {
  return `${collection} ${key} ${text}`
}

/** What is given up goes first, so that two records can swap a key. */
async function writeUniqueKeys(
  db: Connection,
  { owners, keys }: { readonly owners: Map<string, Set<string>>; readonly keys: KeyNumbers },
  changes: Parameters<StoreWriter['writeUnique']>[0],
): Promise<void> {
  const final = new Map(changes.map((change) => [`${keyOf(change)} ${change.record}`, change]))
  const removed = [...final.values()].filter(({ op }) => op === 'remove')
  if (removed.length > 0) {
    db.send(
      `DELETE FROM holdfast.unique_keys u USING ${columnLists(keyColumns(keys))} x
       WHERE u.collection = x.collection AND u.key = x.key AND u.text = x.text AND u.record = x.record`,
      ...listValues(keyColumns(keys), removed),
    )
    for (const each of removed) owners.get(keyOf(each))?.delete(each.record)
  }
  const added = [...final.values()].filter(({ op }) => op === 'add')
  if (added.length === 0) return
  const rows = added.map((each) => {
    const held = owners.get(keyOf(each))
    const isSole = held !== undefined && held.size === 0
    held?.add(each.record)
    return { ...each, isSole }
  })
  db.send(
    `INSERT INTO holdfast.unique_keys (collection, key, text, record, is_sole)
     SELECT x.collection, x.key, x.text, x.record, x.is_sole FROM ${columnLists(addedColumns(keys))} x
     ON CONFLICT (collection, key, text, record) DO NOTHING`,
    ...listValues(addedColumns(keys), rows),
  )
}

type KeptKey = UniqueText & { readonly record: string }

function keyColumns(keys: KeyNumbers): readonly ListColumn<KeptKey>[] {
  return [
    { name: 'collection', type: 'text', of: ({ collection }) => collection },
    { name: 'key', type: 'integer', of: ({ collection, key }) => keys.get(collection)?.[key] ?? null },
    { name: 'text', type: 'text', of: ({ text }) => text },
    { name: 'record', type: 'uuid', of: ({ record }) => record },
  ]
}

function addedColumns(keys: KeyNumbers): readonly ListColumn<KeptKey & { readonly isSole: boolean }>[] {
  return [...keyColumns(keys), { name: 'is_sole', type: 'boolean', of: ({ isSole }) => isSole }]
}

interface NotesRead extends Tables {
  readonly writeUnique: StoreWriter['writeUnique']
}

/**
 * Takes notes that are to be read for keys of $1 and $2, and leaves for whoever knows them those of the other keys that are
 * kept: a server of another schema may run beside this one.
 */
const notesSql = `WITH mine (collection, key) AS MATERIALIZED (SELECT * FROM unnest($1::text[], $2::integer[]) k),
   few AS (SELECT w.n FROM holdfast.foreign_writes w WHERE EXISTS (SELECT 1 FROM mine k
     WHERE k.collection = w.collection AND (w.keys IS NULL OR k.key = ANY (w.keys))) ORDER BY w.n LIMIT ${foreignBatch} FOR UPDATE),
   gone AS (DELETE FROM holdfast.foreign_writes w USING few WHERE w.n = few.n RETURNING w.*),
   kept AS (INSERT INTO holdfast.foreign_writes (collection, record, before, keys)
     SELECT g.collection, g.record, g.before, o.keys FROM gone g CROSS JOIN LATERAL (SELECT array_agg(n.key) AS keys
       FROM holdfast.key_numbers n WHERE n.collection = g.collection AND (g.keys IS NULL OR n.key = ANY (g.keys))
       AND NOT EXISTS (SELECT 1 FROM mine k WHERE k.collection = n.collection AND k.key = n.key)) o
     WHERE o.keys IS NOT NULL ORDER BY g.n)
 SELECT n, collection, record, before::text AS before FROM gone ORDER BY n`

/** Brings the unique keys up to what other writers did. SQL compares text otherwise, so capture leaves notes. */
async function readForeignNotes(
  db: Connection,
  { naming, schema, keys, writeUnique }: NotesRead,
): Promise<void> {
  const numbers = [...keys].flatMap(([name, some]) => some.map((key) => ({ name, key })))
  for (;;) {
    const notes = await db.all(
      notesSql,
      numbers.map(({ name }) => name),
      numbers.map(({ key }) => key),
    )
    if (notes.length === 0) return
    const byCollection = Map.groupBy(notes, (note) => String(note['collection']))
    for (const [name, some] of byCollection) {
      const collection = schema.collections.get(name)
      assert(collection, `no collection ${name}`)
      const isLive = hasDeletedAt(collection) ? 'AND r.deleted_at IS NULL' : ''
      const rows = await db.all(
        `SELECT r.id, ${jsonObject(fieldMembers(naming, collection, 'r'))}::text AS data FROM ${naming.table(collection)} r
         WHERE r.id = ANY($1::uuid[]) ${isLive}`,
        [...new Set(some.map((note) => String(note['record'])))],
      )
      const before = some.flatMap((note) =>
        note['before'] === null
          ? []
          : uniqueTexts(collection, String(note['record']), String(note['before']), 'remove'),
      )
      await writeUnique(before)
      await writeUnique(
        rows.flatMap((row) => uniqueTexts(collection, String(row['id']), String(row['data']), 'add')),
      )
    }
  }
}
