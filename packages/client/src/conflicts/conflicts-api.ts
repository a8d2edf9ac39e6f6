import { recordsNamed, SyncError, type Values } from '@holdfast/core'
import { watchList } from '../live/watch-list.ts'
import type { TransactionRunner } from '../local/local-database.ts'
import { type Conflict, type ConflictPart, readConflict } from './conflict.ts'
import type { ForetoldConflict, Foretelling } from './foretold.ts'
import { type Decision, type SettleContext, type Settled, settleConflict } from './settle-conflict.ts'

/** Which conflicts to list; open ones unless said. */
export interface ConflictQuery {
  readonly status?: Conflict['status'] | 'all'
  readonly collection?: string
  readonly record?: string
}

/** `db.conflicts`: what waits for a person, and their decision. */
export interface ConflictsApi {
  /** The oldest first. */
  list(query?: ConflictQuery): Promise<readonly Conflict[]>
  /** Undefined when this device sees none of that id. */
  get(id: string): Promise<Conflict | undefined>
  /** Calls `listener` at once and whenever one is opened, settled or seen for the first time. Returns the way to stop. */
  watch(listener: (conflicts: readonly Conflict[]) => void, query?: ConflictQuery): () => void
  /** The author’s values stand. Errors of all five: CONFLICT_UNKNOWN, CONFLICT_CLOSED; STORE_NEWER once a newer app has opened the database. */
  keepMine(id: string): Promise<Settled>
  /** What the server has stands where it was in dispute; the author's values stay in the history. What only waited is written. */
  keepTheirs(id: string): Promise<Settled>
  /**
   * These values, laid over theirs; by record id where several records are in dispute, by `collection/id` where two have one
   * id. Errors also: FIELD_UNKNOWN, VALUE_INVALID.
   */
  merge(id: string, values: Readonly<Record<string, unknown>>): Promise<Settled>
  /**
   * Theirs stands, and the author's becomes a record of its own; its id is in `copies`. A text that has to be unique gets
   * a number, such as "Rope (2)". Errors also: VALUE_INVALID when two records must not be alike in something else.
   */
  keepBoth(id: string): Promise<Settled>
  /** Gives up all that its author changed, also what was not in dispute: the way out when the server refuses that. */
  discard(id: string): Promise<Settled>
  /** Pending mutations that will meet a conflict or be refused, as far as this device can tell. */
  foretold(): Promise<readonly ForetoldConflict[]>
}

/** Makes `db.conflicts`. */
export function createConflictsApi(
  database: TransactionRunner,
  context: SettleContext & { readonly foretelling: Foretelling },
): ConflictsApi {
  const { schema, foretelling } = context
  const settle = (id: string, decide: (conflict: Conflict) => Decision): Promise<Settled> =>
    database.write(async (tx) => {
      const [row] = await tx.all('SELECT * FROM _conflicts WHERE id = ?', [id])
      if (!row) throw new SyncError('CONFLICT_UNKNOWN', 'this device sees no such conflict')
      const conflict = readConflict(schema, row)
      const isPulled = Number(row['_version']) > 0
      return settleConflict(tx, context, { conflict, isPulled, decision: decide(conflict) })
    })
  const list = async (query: ConflictQuery = {}): Promise<readonly Conflict[]> => {
    const { status = 'open', collection = null, record = null } = query
    const rows = await database.all(
      `SELECT * FROM _conflicts WHERE (?1 = 'all' OR status = ?1) AND (?2 IS NULL OR collection = ?2)
       AND (?3 IS NULL OR record = ?3) ORDER BY createdAt, id`,
      [status, collection, record],
    )
    return rows.map((row) => readConflict(schema, row))
  }
  return {
    list,
    get: async (id) => {
      const [row] = await database.all('SELECT * FROM _conflicts WHERE id = ?', [id])
      return row && readConflict(schema, row)
    },
    watch: (listener, query) =>
      watchList(database, { table: '_conflicts', list: () => list(query), listener }),
    keepMine: (id) => settle(id, () => ({ kind: 'mine' })),
    keepTheirs: (id) => settle(id, () => ({ kind: 'theirs' })),
    keepBoth: (id) => settle(id, () => ({ kind: 'both' })),
    merge: (id, values) => settle(id, (conflict) => ({ kind: 'merge', values: byPart(conflict, values) })),
    discard: (id) => settle(id, () => ({ kind: 'discard' })),
    foretold: () => database.read((tx) => foretelling.list(tx)),
  }
}

/** Values of the conflict's own record, or of those that they name. */
function byPart(
  { collection, record, parts }: Conflict,
  values: Readonly<Record<string, unknown>>,
): ReadonlyMap<ConflictPart, Values> {
  const names = Object.keys(values)
  const named = names.length === 0 ? undefined : recordsNamed(parts, names)
  const own = parts.find((part) => part.collection === collection && part.record === record)
  const given: Iterable<[ConflictPart, unknown]> = named
    ? [...named].map(([part, name]): [ConflictPart, unknown] => [part, values[name]])
    : own
      ? [[own, values]]
      : []
  // Whatever it is, parseUpdate reads it field by field before it is used.
  return new Map(given) as ReadonlyMap<ConflictPart, Values>
}
