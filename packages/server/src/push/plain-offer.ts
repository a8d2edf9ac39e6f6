import { createHash } from 'node:crypto'
import {
  absentValue,
  canonicalTimestamp,
  type CollectionSchema,
  formatHlc,
  type Hlc,
  type Json,
  newUuid,
  SyncError,
  type Values,
} from '@holdfast/core'
import type { PlainWrite, User } from '../engine.ts'
import { type Offer, readOffer } from './offer.ts'
import type { Session } from './session.ts'
import type { CurrentRecord } from './working-set.ts'

/** A write, and the record as it stands. */
export interface PlainStanding {
  readonly write: PlainWrite
  readonly collection: CollectionSchema
  readonly stored: CurrentRecord
  readonly isSeen: boolean
  readonly shown: Values | null
}

/** The write as a mutation that has seen the row as it is: what it overwrites, it overwrites knowingly. */
export function offerOf<U extends User>(
  session: Session<U>,
  { write, collection, stored, isSeen }: PlainStanding,
): Offer {
  const op = opOf(write, stored, isSeen)
  const snapshot = stored.snapshot
  const baseVersion = snapshot.kind === 'absent' || !isSeen ? 0 : snapshot.version
  const raw = {
    id: newUuid(session.env),
    seq: 1,
    collection: collection.name,
    record: write.record,
    op,
    baseVersion,
    changes: op === 'delete' ? {} : changesOf(write, { collection, stored, op }),
    increments: op === 'update' ? (write.increments ?? {}) : {},
    at: plainStamp(session, write.at),
    schema: session.schema.version,
  }
  const { now } = session
  const clock = { serverMs: Date.parse(now), now, skewMs: plainSkewMs }
  return readOffer(session.schema, raw, clock)
}

/** The skew a plain client's own times are believed by, ms: that of any device. */
export const plainSkewMs = 300_000

function opOf(
  { op }: PlainWrite,
  { snapshot }: CurrentRecord,
  isSeen: boolean,
): 'create' | 'update' | 'delete' {
  if (op === 'delete' || op === 'create' || op === 'update') return op
  // An update of a tombstone starts from its values, so that what only the server may set comes back too.
  if (op === 'restore') return 'update'
  return snapshot.kind === 'live' && isSeen ? 'update' : 'create'
}

function changesOf(
  write: PlainWrite,
  {
    collection,
    stored,
    op,
  }: Pick<PlainStanding, 'collection' | 'stored'> & { readonly op: 'create' | 'update' },
): Values {
  const { snapshot } = stored
  if (write.op === 'restore' && snapshot.kind === 'deleted') {
    const settable = collection.fields.filter(
      ({ name, owner }) => owner === 'anyone' && snapshot.values?.[name] !== undefined,
    )
    const kept = settable.map(({ name }): [string, Json] => [name, snapshot.values?.[name] ?? null])
    return { ...Object.fromEntries(kept), ...write.values }
  }
  if (op === 'create' && write.increments) {
    const twice = Object.keys(write.increments).find((name) => Object.hasOwn(write.values, name))
    if (twice !== undefined)
      throw new SyncError('MUTATION_INVALID', `${twice}: is set and added to at once`, { at: twice })
    return { ...write.values, ...write.increments }
  }
  if (write.op !== 'put' || op !== 'update') return write.values
  const whole: Record<string, Json> = {}
  for (const field of collection.fields) {
    const value = write.values[field.name] ?? absentValue(field)
    // What the server owns stays; what is required and missing is for parsing to refuse.
    if (field.owner === 'server' || write.increments?.[field.name] !== undefined) continue
    if (value !== undefined) whole[field.name] = value
    else
      throw new SyncError('VALUE_INVALID', `${collection.name}.${field.name} is missing`, {
        at: `${collection.name}.${field.name}`,
      })
  }
  return { ...whole, ...write.values }
}

/** The stamp of an edit without a device's clock. */
export function plainStamp<U extends User>({ now, caller }: Session<U>, at: string | undefined): Hlc {
  const time = (at === undefined ? undefined : canonicalTimestamp(at)) ?? now
  const name = createHash('sha256').update(caller.user.id).digest('hex').slice(0, 16)
  return formatHlc({ ms: Date.parse(time), counter: 0 }, `plain-${name}`)
}
