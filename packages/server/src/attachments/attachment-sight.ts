import { isObject, type Json, type Schema, type Values } from '@holdfast/core'

import type { AttachmentKey, AttachmentSight } from '../engine.ts'
import { parseEscrowed } from '../escrow/escrowed-edit.ts'
import { sees, type Visibility } from '../scope/grants.ts'
import type { StoredEscrow } from '../store/escrow-store.ts'
import type { StoredConflict, StoreReader } from '../store/store.ts'

/**
 * What a reader sees of an attachment: whether the record is his to see, and how long the bytes are by what names them,
 * the record, an open conflict about it, or an edit of his own about it in escrow. Rules: AT-2, AT-3, AT-41.
 */
export async function attachmentSight(
  tx: StoreReader,
  {
    schema,
    visibility,
    user,
  }: { readonly schema: Schema; readonly visibility: Visibility; readonly user: string },
  key: AttachmentKey,
): Promise<AttachmentSight> {
  const { collection, record } = key
  const scopes = await tx.scopesOf(collection, record)
  const [row] = sees(visibility, scopes) ? await tx.records(collection, [record]) : []
  const isLive = row?.deletedAt === null
  const size = isLive ? sizeIn(schema, key, row.values) : null
  if (size !== null) return { isVisible: true, size }
  for (const conflict of await tx.openConflicts(null, [key])) {
    const inDispute = sizeInConflict(schema, key, conflict)
    if (inDispute !== null && sees(visibility, await tx.scopesOf('_conflicts', conflict.id)))
      return { isVisible: true, size: inDispute }
  }
  for (const edit of await tx.escrowAbout([record])) {
    const inEscrow = edit.user === user ? sizeInEscrow(schema, key, edit) : null
    if (inEscrow !== null) return { isVisible: isLive, size: inEscrow }
  }
  return { isVisible: isLive, size: null }
}

/** Of each key, whether its record, an open conflict about it or an edit in escrow names it, whoever sees that. Rules: AT-13. */
export async function attachmentsNamed(
  tx: StoreReader,
  schema: Schema,
  keys: readonly AttachmentKey[],
): Promise<readonly boolean[]> {
  // Of a collection that the schema does not have any more nothing is known.
  const known = keys.filter(({ collection }) => schema.collections.has(collection))
  const named = new Set<AttachmentKey>()
  for (const [collection, ofIt] of Map.groupBy(known, (key) => key.collection)) {
    const rows = await tx.records(collection, [...new Set(ofIt.map(({ record }) => record))])
    const live = new Map(rows.flatMap((row) => (row.deletedAt === null ? [[row.id, row.values]] : [])))
    for (const key of ofIt) if (sizeIn(schema, key, live.get(key.record)) !== null) named.add(key)
  }
  const others = known.filter((key) => !named.has(key))
  const conflicts = await tx.openConflicts(null, others)
  for (const key of others)
    if (conflicts.some((conflict) => sizeInConflict(schema, key, conflict) !== null)) named.add(key)
  const unnamed = others.filter((key) => !named.has(key))
  const waiting = (await tx.escrowAbout([...new Set(unnamed.map(({ record }) => record))])).filter(
    ({ status }) => status === 'waiting',
  )
  for (const key of unnamed)
    if (waiting.some((edit) => sizeInEscrow(schema, key, edit) !== null)) named.add(key)
  return keys.map((key) => named.has(key))
}

/** The size that one of the attachment fields gives to a hash; null when none names it. */
function sizeIn(
  schema: Schema,
  { collection, hash }: AttachmentKey,
  values: Json | undefined,
): number | null {
  if (!isObject(values)) return null
  for (const { name, kind } of schema.collections.get(collection)?.fieldsByName.values() ?? []) {
    const value = kind === 'attachment' ? (values as Values)[name] : undefined
    if (isObject(value) && value['hash'] === hash && typeof value['size'] === 'number') return value['size']
  }
  return null
}

function sizeInEscrow(
  schema: Schema,
  key: AttachmentKey,
  { collection, record, mutation }: StoredEscrow,
): number | null {
  const isAbout = collection === key.collection && record === key.record
  return isAbout ? sizeIn(schema, key, parseEscrowed(mutation).changes) : null
}

/** Whatever a person is shown of the record counts: what there was, what is wanted, what stands. */
function sizeInConflict(schema: Schema, key: AttachmentKey, { values }: StoredConflict): number | null {
  const parts = Array.isArray(values['parts']) ? values['parts'] : []
  for (const part of parts) {
    if (!isObject(part) || part['collection'] !== key.collection || part['record'] !== key.record) continue
    for (const side of [part['mine'], part['theirs'], part['base'], part['last']]) {
      const size = sizeIn(schema, key, side as Json | undefined)
      if (size !== null) return size
    }
  }
  return null
}
