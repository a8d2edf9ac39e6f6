import { type Environment, type Mutation, type Ranges, type Schema, type Values } from '@holdfast/core'
import type { AuthorizeRequest, Caller, User } from '../engine.ts'
import type { Visibility } from '../scope/grants.ts'
import type { NewEscrow } from '../store/escrow-store.ts'
import type { AuditLine, StoredConflict, StoreWriter, UniqueText } from '../store/store.ts'
import type { Claims } from './claims.ts'
import type { CurrentRecord, WorkingSet } from './working-set.ts'

/** Everything one batch is decided with, and what it comes to. Lives for one transaction. */
export interface Session<U extends User = User> {
  readonly tx: StoreWriter
  readonly schema: Schema
  readonly env: Environment
  readonly caller: Caller<U>
  readonly visibility: Visibility
  readonly authorize: ((request: AuthorizeRequest<U>) => boolean | string) | undefined
  /** Whether the caller decides conflicts of collections with `review`. */
  readonly isReviewer: boolean
  readonly working: WorkingSet
  readonly claims: Claims
  /** Numbers of what was written on a history that was lost, and never answered. */
  readonly stranded?: Ranges
  /** Who takes the batch out of escrow; null for every other one. */
  readonly acceptedBy: string | null
  /** Number of the device; null for plain clients. */
  readonly deviceNumber: number | null
  /** ISO time of the server for everything in the batch. */
  readonly now: string
  readonly horizon: number
  readonly held: Map<string, Waits>
  /** What was offered or judged with it, by id: the way from a mutation to what it stands on. */
  readonly judged: Map<string, Passage>
  readonly effects: Effects
  /** The next version to give; taken back when a unit fails. */
  nextVersion: number
}

/**
 * What a mutation stands on, and what it makes of that; as far as it could be read, its record and its numbers; and the hash
 * of the offer until it is judged.
 */
export type Passage = Pick<Mutation, 'after' | 'changes'> &
  Partial<Pick<Mutation, 'collection' | 'record' | 'covers'>> & { readonly hash?: string }

/** What a record's mutations wait for, and what they touch; null: for nothing but to be offered again. */
export interface Waits {
  readonly heldBy: string | null
  readonly fields: readonly string[]
}

/** By record, what waits in a batch. */
export type Waiting = ReadonlyMap<string, Waits>

/** What is to be written. */
export interface Effects {
  readonly audit: AuditLine[]
  readonly escrow: NewEscrow[]
  readonly unique: UniqueChange[]
  /** New ones with their scopes, changed ones with null. */
  readonly conflicts: Map<
    string,
    { readonly conflict: StoredConflict; readonly scopes: readonly string[] | null }
  >
  /** Records with an effect, in the order first touched. */
  readonly records: Map<string, TouchedRecord>
}

/** A unique key that a record takes or gives up. */
export type UniqueChange = UniqueText & { readonly record: string; readonly op: 'add' | 'remove' }

/** A record that will be written. */
export interface TouchedRecord {
  readonly collection: string
  readonly id: string
  readonly changed: Set<string>
  clocksChanged: boolean
  hasRowChange: boolean
}

/** Nothing to write yet. */
export function noEffects(): Effects {
  return { audit: [], escrow: [], unique: [], conflicts: new Map(), records: new Map() }
}

/** The row as answers show it. */
export function canonicalRecord(id: string, record: CurrentRecord): Values | undefined {
  const { snapshot, createdAt, updatedAt, serverUpdatedAt, deletedAt } = record
  if (snapshot.kind === 'absent') return undefined
  return {
    id,
    ...snapshot.values,
    version: snapshot.version,
    created_at: createdAt,
    updated_at: updatedAt,
    server_updated_at: serverUpdatedAt,
    deleted_at: deletedAt,
  }
}
