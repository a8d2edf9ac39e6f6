import {
  type CollectionSchema,
  numberedField,
  SyncError,
  type UniqueKey,
  uniqueKeyText,
  type Values,
} from '@holdfast/core'
import type { LocalReader } from '../local/local-database.ts'
import { quoteName, valueToColumn } from '../local/tables.ts'

/** A record that is to be made beside another one. */
export interface Beside {
  readonly collection: CollectionSchema
  /** The record whose values it takes over; its row shows what its author wants, not what stands. */
  readonly record: string
  /** Values that stand, though the row may say otherwise. */
  readonly standing: readonly Values[]
}

/** Numbers tried before a key is given up. */
const numberMax = 1_000

/**
 * Values for a record beside the one they come from: where it would want a unique key that is taken, the last text of
 * the key gets a number, as with `rename`; keys of that policy are left to the server. What this device does not see it
 * cannot spare. Errors: VALUE_INVALID when a key has no text to number. Rules: CF-5.
 */
export async function withFreeKeys(tx: LocalReader, beside: Beside, values: Values): Promise<Values> {
  let free = values
  for (const key of beside.collection.unique) {
    if (key.onConflict !== 'rename' && (await isTaken(tx, beside, key, free)))
      free = await numbered(tx, beside, key, free)
  }
  return free
}

async function numbered(tx: LocalReader, beside: Beside, key: UniqueKey, values: Values): Promise<Values> {
  const { collection } = beside
  const { name, maxLength = Number.POSITIVE_INFINITY } = numberedField(collection, key) ?? {}
  const text = name === undefined ? undefined : values[name]
  for (let number = 2; name !== undefined && typeof text === 'string' && number < numberMax; number++) {
    const candidate = { ...values, [name]: `${text} (${number})` }
    if (`${text} (${number})`.length > maxLength) break
    if (!(await isTaken(tx, beside, key, candidate))) return candidate
  }
  throw new SyncError('VALUE_INVALID', `two records would have the same ${key.fields.join(', ')}`)
}

async function isTaken(
  tx: LocalReader,
  { collection, record, standing }: Beside,
  key: UniqueKey,
  values: Values,
): Promise<boolean> {
  const text = uniqueKeyText(collection, key, values)
  if (text === undefined) return false
  if (standing.some((other) => uniqueKeyText(collection, key, other) === text)) return true
  const equal = key.fields.map((name) => `${quoteName(name)} = ?`).join(' AND ')
  const wanted = key.fields.map((name) =>
    valueToColumn(collection.fieldsByName.get(name)?.kind ?? 'text', values[name]),
  )
  const rows = await tx.all(
    `SELECT 1 FROM ${quoteName(collection.name)} WHERE id <> ? AND ${equal} LIMIT 1`,
    [record, ...wanted],
  )
  return rows.length > 0
}
