import {
  absentRecord,
  assert,
  type CollectionSchema,
  type Hlc,
  isJsonArray,
  isObject,
  type Mutation,
  type Ranges,
  type RecordSnapshot,
  type Schema,
  uniqueKeyText,
  type Values,
} from '@holdfast/core'
import { isReturned, isStranded } from './returned-mutation.ts'
import type { SeenChange, StoreReader, StoredConflict, StoredRecord, UniqueText } from '../store/store.ts'

/** A record in the middle of a batch. */
export interface CurrentRecord {
  readonly snapshot: RecordSnapshot
  readonly createdAt: string
  readonly updatedAt: string
  readonly serverUpdatedAt: string
  readonly deletedAt: string | null
  readonly clocks: Readonly<Record<string, Hlc>>
  /** The device that could build this version itself. */
  readonly maker: number | null
}

/** The state of a record that is not there, or that its asker may not see. */
export const nobodyHasIt: CurrentRecord = {
  snapshot: absentRecord,
  createdAt: '',
  updatedAt: '',
  serverUpdatedAt: '',
  deletedAt: null,
  clocks: {},
  maker: null,
}

/** Thrown to `whenLoaded` by whoever comes upon something that was not read yet. */
class NotLoaded extends Error {
  readonly load: () => Promise<void>

  constructor(load: () => Promise<void>) {
    super('not loaded')
    this.load = load
  }
}

/**
 * Decides without waiting, because nearly everything was read at once before; what was not is read when it is asked
 * for, and then decided again from the start. `decide` must have no effect before it has seen all it needs.
 */
export async function whenLoaded<Result>(decide: () => Result): Promise<Result> {
  for (;;) {
    try {
      return decide()
    } catch (error) {
      if (!(error instanceof NotLoaded)) throw error
      await error.load()
    }
  }
}

/** What a batch is decided over: everything it needs, read at once, and then kept up as it is decided. */
export class WorkingSet {
  readonly #tx: StoreReader
  readonly #schema: Schema
  readonly #stored = new Map<string, StoredRecord | null>()
  readonly #current = new Map<string, CurrentRecord>()
  readonly #owners = new Map<string, Set<string>>()
  readonly #changes = new Map<string, SeenChange[]>()
  readonly #conflicts = new Map<string, StoredConflict>()
  readonly #conflictScopes = new Map<string, readonly string[]>()
  readonly #openByRecord = new Map<string, Set<string>>()
  readonly #disputes = new Set<string>()

  constructor(tx: StoreReader, schema: Schema) {
    this.#tx = tx
    this.#schema = schema
  }

  /** One read per collection and kind, whatever the number of mutations. */
  async load(
    mutations: readonly Mutation[],
    author: {
      readonly user: string | null
      readonly device: string | null
      readonly stranded?: Ranges
    },
  ): Promise<void> {
    const ids = new Map<string, Set<string>>()
    for (const mutation of mutations) {
      const collection = this.collection(mutation.collection)
      addTo(ids, collection.name, mutation.record)
      for (const field of collection.fields) {
        const target = field.references === undefined ? undefined : mutation.changes[field.name]
        if (typeof target === 'string') addTo(ids, field.references ?? '', target)
      }
    }
    for (const [name, records] of ids) await this.#loadRecords(name, [...records])
    await this.#loadChanges(mutations, author.stranded ?? [])
    await this.#loadOwners(mutations.flatMap((mutation) => this.#likelyKeys(mutation)))
    const records = [...ids].flatMap(([collection, some]) =>
      [...some].map((record) => ({ collection, record })),
    )
    const settled = mutations.flatMap(({ resolves }) => (resolves === null ? [] : [resolves]))
    const open =
      author.device === null
        ? []
        : await this.#tx.openConflicts({ user: author.user, device: author.device }, records)
    for (const conflict of open) {
      this.putConflict(conflict)
      this.#disputes.add(conflict.id)
    }
    await this.loadConflicts(settled)
  }

  /** Conflicts to be settled, where they lie, and the records they are about, but for those of collections that are gone. */
  async loadConflicts(ids: readonly string[]): Promise<void> {
    for (const conflict of await this.#tx.conflicts(ids)) {
      this.putConflict(conflict)
      this.#conflictScopes.set(conflict.id, await this.#tx.scopesOf('_conflicts', conflict.id))
      for (const { collection, record } of partsOf(conflict)) {
        if (!this.#schema.collections.has(collection)) continue
        if (!this.#stored.has(keyOf(collection, record))) await this.#loadRecords(collection, [record])
      }
    }
  }

  collection(name: string): CollectionSchema {
    const collection = this.#schema.collections.get(name)
    assert(collection, `no collection ${name}`)
    return collection
  }

  /** Undefined for one that the schema has no more. */
  knownCollection(name: string): CollectionSchema | undefined {
    return this.#schema.collections.get(name)
  }

  /** The record as the batch has left it so far. To be called inside `whenLoaded`, like all that may not be read yet. */
  record(collection: string, id: string): CurrentRecord {
    const key = keyOf(collection, id)
    const current = this.#current.get(key)
    if (current) return current
    if (!this.#stored.has(key)) throw new NotLoaded(() => this.#loadRecords(collection, [id]))
    return nobodyHasIt
  }

  /** The record as the database has it. */
  stored(collection: string, id: string): StoredRecord | null {
    return this.#stored.get(keyOf(collection, id)) ?? null
  }

  put(collection: string, id: string, record: CurrentRecord): void {
    this.#current.set(keyOf(collection, id), record)
  }

  /** Records that occupy each of the keys, in their order. Not copies: whoever decides keeps them up. */
  owners(texts: readonly UniqueText[]): readonly ReadonlySet<string>[] {
    return texts.map((text) => {
      const owners = this.#owners.get(uniqueKeyOf(text))
      if (!owners) throw new NotLoaded(() => this.#loadOwners(texts))
      return owners
    })
  }

  changeOwner({
    op,
    record,
    ...text
  }: UniqueText & { readonly op: 'add' | 'remove'; readonly record: string }): void {
    const owners = this.#owners.get(uniqueKeyOf(text))
    if (op === 'add') owners?.add(record)
    else owners?.delete(record)
  }

  /** Audited changes of a record, in no order: at least those after every base of the batch. */
  changes(collection: string, id: string): readonly SeenChange[] {
    return this.#changes.get(keyOf(collection, id)) ?? []
  }

  addChange(collection: string, change: SeenChange): void {
    const key = keyOf(collection, change.record)
    const changes = this.#changes.get(key)
    if (changes) changes.push(change)
    else this.#changes.set(key, [change])
  }

  conflict(id: string): StoredConflict | undefined {
    return this.#conflicts.get(id)
  }

  /** The scopes of a conflict that the batch settles. */
  conflictScopes(id: string): readonly string[] {
    return this.#conflictScopes.get(id) ?? []
  }

  /** Conflicts over a record that were open when last put. */
  openConflicts(collection: string, id: string): readonly StoredConflict[] {
    const ids = this.#openByRecord.get(keyOf(collection, id))
    return ids ? [...ids].flatMap((each) => this.#conflicts.get(each) ?? []) : []
  }

  /** Whether a conflict carries on what the device of the batch put in dispute before, whoever opened it. */
  carriesOn(conflict: string): boolean {
    return this.#disputes.has(conflict)
  }

  putConflict(conflict: StoredConflict): void {
    this.#conflicts.set(conflict.id, conflict)
    for (const part of partsOf(conflict)) {
      const key = keyOf(part.collection, part.record)
      if (conflict.values['status'] === 'open') addTo(this.#openByRecord, key, conflict.id)
      else this.#openByRecord.get(key)?.delete(conflict.id)
    }
  }

  /** Unique keys a mutation will probably ask about; what else comes up is read when it does. */
  #likelyKeys({ collection: name, record, changes, op }: Mutation): readonly UniqueText[] {
    const collection = this.collection(name)
    const before = this.#stored.get(keyOf(name, record))?.values
    return collection.unique.flatMap((unique, key) => {
      if (op !== 'create' && !unique.fields.some((field) => Object.hasOwn(changes, field))) return []
      const texts = [before, { ...before, ...changes }].flatMap(
        (values) => (values && uniqueKeyText(collection, unique, values)) ?? [],
      )
      return texts.map((text) => ({ collection: name, key, text }))
    })
  }

  async #loadOwners(texts: readonly UniqueText[]): Promise<void> {
    const missing = texts.filter((text) => !this.#owners.has(uniqueKeyOf(text)))
    for (const text of missing) this.#owners.set(uniqueKeyOf(text), new Set())
    for (const owner of await this.#tx.uniqueOwners(missing))
      this.#owners.get(uniqueKeyOf(owner))?.add(owner.record)
  }

  async #loadRecords(collection: string, ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#stored.set(keyOf(collection, id), null)
    for (const stored of await this.#tx.records(collection, ids)) {
      const key = keyOf(collection, stored.id)
      this.#stored.set(key, stored)
      this.#current.set(key, currentOf(stored))
    }
  }

  /**
   * Only strict records, deletes, what is returned, groups that an older app knows in part, and what may have been renamed
   * are decided by who changed what since; most batches have none.
   */
  async #loadChanges(mutations: readonly Mutation[], stranded: Ranges): Promise<void> {
    const since = new Map<string, Map<string, number>>()
    for (const mutation of mutations) {
      const { collection: name, record, op } = mutation
      // What a lost history had seen says nothing of this one.
      const baseVersion = isReturned(mutation) || isStranded(stranded, mutation) ? 0 : mutation.baseVersion
      const stored = this.stored(name, record)
      const collection = this.collection(name)
      const isAsked =
        op === 'delete' ||
        isReturned(mutation) ||
        collection.strict ||
        knowsPartOfGroup(collection, mutation) ||
        mayRename(collection, mutation)
      if (!stored || stored.version === baseVersion || !isAsked) continue
      const versions = since.get(name) ?? new Map<string, number>()
      versions.set(record, Math.min(baseVersion, versions.get(record) ?? baseVersion))
      since.set(name, versions)
    }
    for (const [name, versions] of since) {
      const asked = [...versions].map(([record, version]) => ({ record, version }))
      for (const change of await this.#tx.changesSince(name, asked)) this.addChange(name, change)
    }
  }
}

/** Whether it changes fields that merge as one with others of which it does not say what its author saw: an older app may not have them. */
export function knowsPartOfGroup({ groups }: CollectionSchema, { op, base, changes }: Mutation): boolean {
  return (
    op === 'update' &&
    groups.some(
      ({ fields }) =>
        fields.some((name) => Object.hasOwn(changes, name)) &&
        fields.some((name) => base?.[name] === undefined),
    )
  )
}

/** Whether its author has seen a name that the server gives otherwise where another record has it. */
function mayRename({ unique }: CollectionSchema, { base }: Mutation): boolean {
  return unique.some(
    ({ onConflict, fields }) =>
      onConflict === 'rename' && fields.some((name) => Object.hasOwn(base ?? {}, name)),
  )
}

/** One record of a conflict. */
export interface ConflictPart {
  readonly collection: string
  readonly record: string
  readonly fields: readonly string[]
  readonly mine: Values | null
  readonly theirs: Values | null
}

/** The parts of a conflict, as the server wrote them. */
export function partsOf({ values }: Pick<StoredConflict, 'values'>): readonly ConflictPart[] {
  const parts = values['parts']
  if (!isJsonArray(parts)) return []
  return parts.flatMap((part) => {
    if (!isObject(part)) return []
    const { collection, record, fields, mine, theirs } = part
    if (typeof collection !== 'string' || typeof record !== 'string') return []
    const names = Array.isArray(fields) ? fields.map(String) : []
    return [
      {
        collection,
        record,
        fields: names,
        mine: isObject(mine) ? mine : null,
        theirs: isObject(theirs) ? theirs : null,
      },
    ]
  })
}

function currentOf(stored: StoredRecord): CurrentRecord {
  const { version, values, createdAt, updatedAt, serverUpdatedAt, deletedAt, clocks } = stored
  const kind = deletedAt === null ? 'live' : 'deleted'
  return {
    snapshot: { kind, version, values },
    createdAt,
    updatedAt,
    serverUpdatedAt,
    deletedAt,
    clocks,
    maker: null,
  }
}

function keyOf(collection: string, id: string): string {
  return `${id} ${collection}`
}

function uniqueKeyOf({ collection, key, text }: UniqueText): string {
  return `${collection} ${key} ${text}`
}

function addTo<Key>(sets: Map<Key, Set<string>>, key: Key, member: string): void {
  const set = sets.get(key)
  if (set) set.add(member)
  else sets.set(key, new Set([member]))
}
