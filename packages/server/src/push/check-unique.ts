import {
  type CollectionSchema,
  type Decision,
  scopesOfRow,
  type UniqueKey,
  numberedField,
  uniqueKeyText,
  type Values,
} from '@holdfast/core'
import type { User } from '../engine.ts'
import { sees } from '../scope/grants.ts'
import type { Session, UniqueChange } from './session.ts'
import type { UnitView } from './unit-view.ts'
import type { CurrentRecord } from './working-set.ts'

/** What the unique keys say of a unit. */
export type UniqueFinding =
  | { readonly kind: 'fine'; readonly changes: readonly UniqueChange[]; readonly renames: readonly Rename[] }
  | {
      readonly kind: 'taken'
      readonly collection: string
      readonly record: string
      readonly policy: 'reject' | 'ask'
      readonly key: UniqueKey
      readonly other: { readonly id: string; readonly values: Values } | null
    }

/** A record that was given another name, because its own was taken. */
export interface Rename {
  readonly collection: string
  readonly record: string
  readonly decision: Decision
}

/** Names tried before a rename is given up, which makes it a refusal. */
const renameAttempts = 1_000

/**
 * Checks the unique keys of every record a unit changed, at its end, so that two records may swap their keys inside one
 * transaction. Renames go into the view. Rules: PU-18 to PU-20.
 */
export function checkUnique<U extends User>(session: Session<U>, view: UnitView): UniqueFinding {
  const removed: UniqueChange[] = []
  const added: UniqueChange[] = []
  const renames: Rename[] = []
  const concerned = [...view.changed()].filter(
    ({ collection }) => session.working.collection(collection).unique.length > 0,
  )
  if (concerned.length === 0) return { kind: 'fine', changes: [], renames }
  const wanted: {
    readonly id: string
    readonly record: CurrentRecord
    readonly collection: CollectionSchema
    readonly key: number
  }[] = []
  for (const { collection: name, id, record } of concerned) {
    const collection = session.working.collection(name)
    const before = session.working.record(name, id)
    for (const [key, unique] of collection.unique.entries()) {
      const [old, next] = [textOf(collection, unique, before), textOf(collection, unique, record)]
      if (old === next) continue
      if (old !== undefined) removed.push({ collection: name, key, text: old, record: id, op: 'remove' })
      if (next !== undefined) wanted.push({ id, record, collection, key })
    }
  }
  for (const { id, collection, key } of wanted) {
    const record = view.record(collection.name, id)
    const unique = collection.unique[key]
    const text = unique && textOf(collection, unique, record)
    if (!unique || text === undefined) continue
    const taken: TakenQuery = { collection: collection.name, key, removed, added, record: id }
    const owner = ownerOf(session, taken, text)
    if (owner === undefined) {
      added.push({ collection: collection.name, key, text, record: id, op: 'add' })
      continue
    }
    const renamed =
      unique.onConflict === 'rename' ? rename(session, { collection, unique, record, taken }) : undefined
    if (!renamed) return takenBy(session, view, { collection, unique, record: id, owner })
    view.put(collection.name, id, renamed.record)
    added.push({ collection: collection.name, key, text: renamed.text, record: id, op: 'add' })
    renames.push({ collection: collection.name, record: id, decision: renamed.decision })
  }
  session.working.owners([...removed, ...added])
  return { kind: 'fine', changes: [...removed, ...added], renames }
}

function textOf(
  collection: CollectionSchema,
  unique: UniqueKey,
  { snapshot }: CurrentRecord,
): string | undefined {
  return snapshot.kind === 'live' ? uniqueKeyText(collection, unique, snapshot.values) : undefined
}

interface TakenQuery {
  readonly collection: string
  readonly key: number
  readonly record: string
  readonly removed: readonly UniqueChange[]
  readonly added: readonly UniqueChange[]
}

/** Another record that has the key when the unit is through. */
function ownerOf<U extends User>(
  { working }: Session<U>,
  query: TakenQuery,
  text: string,
): string | undefined {
  const { collection, key, record, removed, added } = query
  const unique = { collection, key, text }
  const isOf = (change: UniqueChange): boolean =>
    change.collection === collection && change.key === key && change.text === text
  const gone = new Set(removed.filter(isOf).map((change) => change.record))
  const [owners = new Set<string>()] = working.owners([unique])
  for (const owner of owners) if (owner !== record && !gone.has(owner)) return owner
  return added.find((change) => isOf(change) && change.record !== record)?.record
}

interface RenameQuery {
  readonly collection: CollectionSchema
  readonly unique: UniqueKey
  readonly record: CurrentRecord
  readonly taken: TakenQuery
}

function rename<U extends User>(
  session: Session<U>,
  { collection, unique, record, taken }: RenameQuery,
): { readonly record: CurrentRecord; readonly text: string; readonly decision: Decision } | undefined {
  const field = numberedField(collection, unique)
  const { snapshot } = record
  if (field === undefined || snapshot.kind !== 'live') return undefined
  const { name, maxLength = Number.POSITIVE_INFINITY } = field
  const mine = snapshot.values[name]
  if (typeof mine !== 'string') return undefined
  for (let attempt = 2; attempt < renameAttempts; attempt++) {
    const result = `${mine} (${attempt})`
    if (result.length > maxLength) return undefined
    const values = { ...snapshot.values, [name]: result }
    const text = uniqueKeyText(collection, unique, values)
    if (text === undefined || ownerOf(session, taken, text) !== undefined) continue
    const decision: Decision = {
      field: name,
      rule: 'unique.rename',
      winner: 'both',
      mine,
      theirs: mine,
      result,
    }
    return { record: { ...record, snapshot: { ...snapshot, values } }, text, decision }
  }
  return undefined
}

/** A person is only asked about a record he may see; otherwise the key is simply taken. */
function takenBy<U extends User>(
  session: Session<U>,
  view: UnitView,
  {
    collection,
    unique,
    record,
    owner,
  }: {
    readonly collection: CollectionSchema
    readonly unique: UniqueKey
    readonly record: string
    readonly owner: string
  },
): UniqueFinding {
  const { snapshot } = view.record(collection.name, owner)
  const values = snapshot.kind === 'live' ? snapshot.values : null
  const isSeen = values !== null && sees(session.visibility, scopesOfRow(collection.scopes, values))
  const other = isSeen ? { id: owner, values } : null
  const policy = unique.onConflict === 'ask' && other ? 'ask' : 'reject'
  return { kind: 'taken', collection: collection.name, record, policy, key: unique, other }
}
