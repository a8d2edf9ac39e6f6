import {
  type CollectionSchema,
  conflictsCollection,
  type Hlc,
  type Outcome,
  type PushResult,
  type RecordSnapshot,
  type Schema,
  scopesOfRow,
  type Values,
} from '@holdfast/core'

/** A record as the fake server has it. */
export interface FakeRecord {
  readonly collection: string
  readonly id: string
  snapshot: RecordSnapshot
  scopes: readonly string[]
  createdAt: string
  updatedAt: string
  serverUpdatedAt: string
  clocks: Readonly<Record<string, Hlc>>
  /** Who changed which fields at which version, the oldest first. */
  readonly changes: {
    version: number
    fields: readonly string[]
    device: string | null
    deleted: boolean
    exact: boolean
  }[]
}

/** The current entry of one record in one scope. */
export interface FeedEntry {
  readonly scope: string
  readonly collection: string
  readonly record: string
  readonly position: number
  readonly op: 'put' | 'delete' | 'leave'
}

/** A mutation the fake server has ruled on. */
interface FakeOutcome {
  readonly id: string
  readonly seq: number
  readonly covers: string
  readonly text: string
  readonly result: PushResult
  readonly outcome: Outcome | undefined
  acked: boolean
}

/** One device of one user. */
export interface FakeDevice {
  readonly outcomes: FakeOutcome[]
}

/** A write to the store. */
export interface FakeWrite {
  readonly collection: CollectionSchema
  readonly record: string
  readonly next: RecordSnapshot
  readonly fields: readonly string[]
  /** ISO time of the edit. */
  readonly at: string
  /** ISO time of the server. */
  readonly now: string
  readonly device: string | null
  readonly exact?: boolean
  readonly clocks?: Readonly<Record<string, Hlc>>
  /** Scopes that do not follow from the row, for conflicts. */
  readonly scopes?: readonly string[]
}

/** Rows, feed and outcomes of the fake server, in memory. One writer, so positions are versions. */
export class FakeStore {
  readonly schema: Schema
  readonly records: Map<string, FakeRecord> = new Map()
  readonly feed: Map<string, FeedEntry> = new Map()
  readonly devices: Map<string, FakeDevice> = new Map()
  epoch = 'epoch-1'
  head = 0

  constructor(schema: Schema) {
    this.schema = schema
  }

  /** The collection of that name, the system ones included. */
  collection(name: string): CollectionSchema | undefined {
    return name === conflictsCollection.name ? conflictsCollection : this.schema.collections.get(name)
  }

  find(collection: string, id: string): FakeRecord | undefined {
    return this.records.get(`${collection}/${id}`)
  }

  device(user: string, device: string): FakeDevice {
    const key = `${user}/${device}`
    const known = this.devices.get(key) ?? { outcomes: [] }
    this.devices.set(key, known)
    return known
  }

  /** Forgets everything it ever learnt. */
  clear(): void {
    this.records.clear()
    this.feed.clear()
    this.devices.clear()
    this.head = 0
  }

  /** Stores a record under a new version and enters it into the feed of its scopes, old and new. */
  write({ collection, record, next, ...write }: FakeWrite): FakeRecord {
    this.head += 1
    const version = this.head
    const known = this.find(collection.name, record)
    const values = next.kind === 'absent' ? {} : (next.values ?? {})
    const scopes = next.kind === 'live' ? (write.scopes ?? scopesOfRow(collection.scopes, values)) : []
    const stored: FakeRecord = {
      collection: collection.name,
      id: record,
      snapshot: next.kind === 'live' ? { ...next, version } : { kind: 'deleted', version, values },
      scopes,
      createdAt: known?.createdAt ?? write.at,
      updatedAt: write.at,
      serverUpdatedAt: write.now,
      clocks: { ...known?.clocks, ...write.clocks },
      changes: known?.changes ?? [],
    }
    const { fields, device, exact = false } = write
    stored.changes.push({ version, fields, device, deleted: next.kind !== 'live', exact })
    this.records.set(`${collection.name}/${record}`, stored)
    for (const scope of new Set([...(known?.scopes ?? []), ...scopes])) {
      const op = next.kind === 'live' ? (scopes.includes(scope) ? 'put' : 'leave') : 'delete'
      this.#enter({ scope, collection: collection.name, record, position: version, op })
    }
    return stored
  }

  /** The canonical row. */
  canonical({ id, snapshot, createdAt, updatedAt, serverUpdatedAt }: FakeRecord): Values {
    const values = snapshot.kind === 'absent' ? {} : (snapshot.values ?? {})
    const version = snapshot.kind === 'absent' ? 0 : snapshot.version
    const deletedAt = snapshot.kind === 'live' ? null : serverUpdatedAt
    return {
      id,
      ...values,
      version,
      created_at: createdAt,
      updated_at: updatedAt,
      server_updated_at: serverUpdatedAt,
      deleted_at: deletedAt,
    }
  }

  #enter(entry: FeedEntry): void {
    const key = `${entry.scope} ${entry.collection}/${entry.record}`
    this.feed.delete(key)
    this.feed.set(key, entry)
  }
}
