import { assert } from '@holdfast/core'
import type { StoreWriter, UniqueText } from '../store.ts'
import { uniqueTexts } from '../unique-texts.ts'
import { ConstraintError } from '../store-errors.ts'
import { hasDeletedAt } from '../sql.ts'
import { columnLists, type ListColumn, listValues } from './column-lists.ts'
import { fieldMembers, jsonObject } from './columns.ts'
import { type Connection, RaceLost } from './connection.ts'
import type { KeyNumbers } from './key-numbers.ts'
import { decisionQueries } from './read-decisions.ts'
import type { Tables } from './read-records.ts'

/** Bytes of a key's text that fit into an index beside the rest of its entry, whatever they are. */
const longestText = 2_500

/** Notes of other writers read at once. */
const notesBatch = 1_000

/** More notes than one batch are to be read before unique keys can be looked at. Never leaves the store. */
export class NotesWaiting extends RaceLost {
  constructor() {
    super('other programs have written more rows with unique keys than are read at once')
    this.name = 'NotesWaiting'
  }
}

/** Unique keys in one transaction. */
export type UniqueStatements = Pick<StoreWriter, 'uniqueOwners' | 'writeUnique'> & {
  /**
   * First in every transaction: what other writers did to unique keys, one batch of it. Where there is more, keys can be
   * neither asked for nor written: NotesWaiting.
   */
  readonly readForeignNotes: () => Promise<void>
  /** Last in every transaction: whether what was written of unique keys may stay. Errors: RaceLost. */
  readonly settled: () => Promise<void>
}

/** Reads and writes of unique keys, which remember what the transaction has seen. */
export function uniqueStatements(db: Connection, tables: Tables): UniqueStatements {
  const { uniqueOwners } = decisionQueries(db, tables, { locks: true })
  const owners = new Map<string, Set<string>>()
  let noting: Promise<number | undefined> = Promise.resolve(undefined)
  let asking: Promise<void> = Promise.resolve()
  const untilNoted = async (): Promise<void> => {
    if ((await noting) !== undefined) throw new NotesWaiting()
  }
  return {
    writeUnique: async (changes) => {
      if (changes.length === 0) return
      await untilNoted()
      if (!changes.every(canKeep)) throw new ConstraintError('a unique key is too long', undefined)
      const records = new Set(changes.map(({ record }) => record))
      asking = Promise.all([asking, db.get(isNotedSince, ...keyLists(tables), [...records])]).then(
        ([, note]) => {
          if (note) throw new RaceLost('another program has written a record since notes were read')
        },
      )
      asking.catch(() => undefined)
      writeUniqueKeys(db, { owners, keys: tables.keys }, changes)
    },
    uniqueOwners: async (texts) => {
      if (texts.length === 0) return []
      await untilNoted()
      const found = await uniqueOwners(texts)
      for (const text of texts) owners.set(keyOf(text), new Set())
      for (const owner of found) owners.get(keyOf(owner))?.add(owner.record)
      return found
    },
    readForeignNotes: async () => {
      noting = isNoted(db, tables).then((is) => (is ? readNotes(db, tables) : undefined))
      await noting
    },
    settled: async () => {
      await noting
      await asking
    },
  }
}

function keyOf({ collection, key, text }: UniqueText): string {
  return `${collection} ${key} ${text}`
}

/** Whether an index can hold it. What it cannot hold is no record's key: who wants it is refused. */
function canKeep({ op, text }: Parameters<StoreWriter['writeUnique']>[0][number]): boolean {
  return op === 'remove' || Buffer.byteLength(text) <= longestText
}

/** What is given up goes first, so that two records can swap a key. */
function writeUniqueKeys(
  db: Connection,
  { owners, keys }: { readonly owners: Map<string, Set<string>>; readonly keys: KeyNumbers },
  changes: Parameters<StoreWriter['writeUnique']>[0],
): void {
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

/** Whether a note `w` is to be read for one of the keys of $1 and $2. */
const isOfMine = `(SELECT count(*) FROM unnest($1::text[], $2::integer[]) k (collection, key)
  WHERE k.collection = w.collection AND (w.keys IS NULL OR k.key = ANY (w.keys))) > 0`

/** Stops at the first one, however it is planned: mostly there is none. */
const isNotedSql = `SELECT 1 FROM holdfast.foreign_writes w WHERE ${isOfMine} LIMIT 1`

/**
 * Whether something was noted of the records $3 since notes were read. Whoever reads that at the same time, and what the
 * record was before this transaction wrote it, would write keys behind it that the record no longer has. Asked before rows are
 * written, whose triggers may note something as well.
 */
const isNotedSince = `SELECT 1 FROM holdfast.foreign_writes w WHERE w.record = ANY ($3::uuid[]) AND ${isOfMine} LIMIT 1`

/**
 * Takes notes after $3 that are to be read for keys of $1 and $2, and leaves for whoever knows them those of the other keys
 * that are kept: a server of another schema may run beside this one. Both looks at the table are by its key: one that goes
 * through all that is left would take a time that grows with the square of it.
 */
const notesSql = `WITH few AS (SELECT w.n FROM holdfast.foreign_writes w WHERE w.n > $3::bigint AND ${isOfMine}
     ORDER BY w.n LIMIT ${notesBatch} FOR UPDATE),
   gone AS (DELETE FROM holdfast.foreign_writes w WHERE w.n = ANY (ARRAY(SELECT few.n FROM few)) RETURNING w.*),
   kept AS (INSERT INTO holdfast.foreign_writes (collection, record, before, keys)
     SELECT g.collection, g.record, g.before, o.keys FROM gone g CROSS JOIN LATERAL (SELECT array_agg(n.key) AS keys
       FROM holdfast.key_numbers n WHERE n.collection = g.collection AND (g.keys IS NULL OR n.key = ANY (g.keys))
       AND NOT EXISTS (SELECT 1 FROM unnest($1::text[], $2::integer[]) k (collection, key)
         WHERE k.collection = n.collection AND k.key = n.key)) o
     WHERE o.keys IS NOT NULL ORDER BY g.n)
 SELECT n, collection, record, before::text AS before FROM gone ORDER BY n`

/** The keys of a schema as two lists, which $1 and $2 of these statements are. */
function keyLists({ keys }: Tables): readonly [collections: readonly string[], keys: readonly number[]] {
  const numbers = [...keys].flatMap(([name, some]) => some.map((key) => ({ name, key })))
  return [numbers.map(({ name }) => name), numbers.map(({ key }) => key)]
}

/** Whether other writers left notes. Only collections with unique keys do. */
async function isNoted(db: Connection, tables: Tables): Promise<boolean> {
  const lists = keyLists(tables)
  return lists[0].length > 0 && (await db.get(isNotedSql, ...lists)) !== undefined
}

/**
 * Brings the unique keys up to what other writers did, by one batch of the notes that capture leaves, because SQL compares text
 * otherwise: those after the number `after`. Returns the number of the last one where there may be more.
 */
export async function readNotes(db: Connection, tables: Tables, after = 0): Promise<number | undefined> {
  const { naming, schema, keys } = tables
  // Planned anew: a plan of when nothing was noted goes through all notes for each.
  const notes = await db.allPlanned(notesSql, ...keyLists(tables), after)
  const write = (changes: Parameters<StoreWriter['writeUnique']>[0]): void =>
    writeUniqueKeys(db, { owners: new Map(), keys }, changes.filter(canKeep))
  for (const [name, some] of Map.groupBy(notes, (note) => String(note['collection']))) {
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
    write(before)
    write(rows.flatMap((row) => uniqueTexts(collection, String(row['id']), String(row['data']), 'add')))
  }
  return notes.length < notesBatch ? undefined : Number(notes.at(-1)?.['n'])
}

/** All notes that there are, a batch each time that `read` is called with the number to go on after. */
export async function readAllNotes(read: (after?: number) => Promise<number | undefined>): Promise<void> {
  for (let after = await read(); after !== undefined; after = await read(after));
}
