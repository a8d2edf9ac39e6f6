import {
  absentRecord,
  assertNever,
  type Change,
  type CollectionSchema,
  type Json,
  jsonEqual,
  type Mutation,
  replayMutations,
  type Values,
} from '@holdfast/core'
import type { Shadow } from '../local/records.ts'

/** The copy of a record the server never sent, or that left. */
export const absentShadow: Shadow = {
  snapshot: absentRecord,
  createdAt: null,
  updatedAt: null,
  serverUpdatedAt: null,
  scopes: '',
}

/** A change and what is needed to take it in. */
export interface ShadowChange {
  readonly collection: CollectionSchema
  readonly change: Change
  /** Number of the change's scope in `_scopes`. */
  readonly scope: number
  /** Own mutations that the version of a `have` consists of; empty for other changes. */
  readonly own: readonly Mutation[]
}

/**
 * The server's copy of a record after a change. Versions only grow, whatever order pages come in; who may see a row
 * is taken from the feed as it comes. Pure. Rules: AP-2, AP-8, AP-9.
 */
export function changeShadow(shadow: Shadow, input: ShadowChange): Shadow {
  const { change, scope } = input
  const { op } = change
  switch (op) {
    case 'put':
      return withScope(
        isNewer(shadow, change) || isOther(shadow, input) ? putShadow(shadow, input) : shadow,
        scope,
      )
    case 'have':
      // Without the own mutations there is nothing to build it from; a fetched copy of the record stands beside it.
      return withScope(
        isNewer(shadow, change) && input.own.length > 0 ? haveShadow(shadow, input) : shadow,
        scope,
      )
    case 'delete':
      if (isNewer(shadow, change)) return deletedShadow(shadow, change)
      // Deleted here, it came back elsewhere: it has left.
      return shadow.snapshot.kind === 'live' ? withoutScope(shadow, scope) : shadow
    case 'leave':
      // What was deleted lies in no scope; whether it has left is told by `hasLeftScope`.
      return withoutScope(shadow, scope)
    default:
      return assertNever(op)
  }
}

/**
 * Whether a change says that the record is in its scope no more though it is not gone. What left before it was deleted was
 * deleted in another scope of ours; what leaves after that was made anew elsewhere. Rules: AP-8.
 */
export function hasLeftScope(before: Shadow, after: Shadow, change: Change): boolean {
  if (change.op === 'delete') return after.snapshot.kind === 'live'
  return change.op === 'leave' && (before.snapshot.kind !== 'deleted' || isNewer(before, change))
}

/** Version of a shadow; 0 when there is none. */
export function versionOf({ snapshot }: Shadow): number {
  return snapshot.kind === 'absent' ? 0 : snapshot.version
}

/** `,1,5,` as numbers. */
function scopesOf(shadow: Shadow): number[] {
  return shadow.scopes.split(',').filter(Boolean).map(Number)
}

function isNewer(shadow: Shadow, change: Change): boolean {
  return change.version > versionOf(shadow)
}

/** The same version with other values: an app before this one built it without the fields that are new. Rules: AP-12. */
function isOther({ snapshot }: Shadow, { collection, change }: ShadowChange): boolean {
  if (snapshot.kind !== 'live' || snapshot.version !== change.version) return false
  const { values } = snapshot
  return collection.fields.some(({ name }) => !jsonEqual(values[name] ?? null, change.data?.[name] ?? null))
}

function putShadow(shadow: Shadow, { collection, change }: ShadowChange): Shadow {
  const data = change.data ?? {}
  const values: Record<string, Json> = {}
  for (const field of collection.fields) values[field.name] = data[field.name] ?? null
  return {
    ...shadow,
    snapshot: { kind: 'live', version: change.version, values },
    createdAt: textOf(data, 'created_at'),
    updatedAt: textOf(data, 'updated_at'),
    serverUpdatedAt: change.serverUpdatedAt,
  }
}

/** The version our own mutations made of the shadow: the server took them as they were, so replay gives the same. */
function haveShadow(shadow: Shadow, { collection, change, own }: ShadowChange): Shadow {
  const { view, madeAt } = replayMutations(collection, shadow.snapshot, own)
  const updatedAt = own.at(-1)?.at.slice(0, 24) ?? shadow.updatedAt
  return {
    ...shadow,
    snapshot: view.kind === 'absent' ? view : { ...view, version: change.version },
    createdAt: madeAt?.slice(0, 24) ?? shadow.createdAt,
    updatedAt,
    serverUpdatedAt: change.serverUpdatedAt,
  }
}

function deletedShadow({ snapshot }: Shadow, change: Change): Shadow {
  const values = snapshot.kind === 'absent' ? null : snapshot.values
  return {
    ...absentShadow,
    snapshot: { kind: 'deleted', version: change.version, values },
    serverUpdatedAt: change.serverUpdatedAt,
  }
}

function withScope(shadow: Shadow, scope: number): Shadow {
  if (shadow.snapshot.kind !== 'live' || scopesOf(shadow).includes(scope)) return shadow
  return { ...shadow, scopes: `${shadow.scopes || ','}${scope},` }
}

/** The shadow outside a scope. */
export function withoutScope(shadow: Shadow, scope: number): Shadow {
  if (shadow.snapshot.kind === 'absent') return absentShadow
  const all = scopesOf(shadow)
  const rest = all.filter((candidate) => candidate !== scope)
  if (rest.length === all.length) return shadow
  return { ...shadow, scopes: rest.length === 0 ? '' : `,${rest.join(',')},` }
}

/**
 * A row in no scope any more is not ours to keep, nor is the tombstone of one. Only the end of a flip can tell: a row that
 * moves within the device's scopes, or comes back in another of them, leaves the one before, or after, the other has it.
 */
export function isOutside({ scopes }: Shadow): boolean {
  return scopes === ''
}

function textOf(data: Values, name: string): string | null {
  const value = data[name]
  return typeof value === 'string' ? value : null
}
