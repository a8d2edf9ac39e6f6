import {
  type CollectionSchema,
  isJsonArray,
  isObject,
  type Json,
  parseUpdate,
  type Values,
} from '@holdfast/core'

/** A record as somebody saw it who changes it later. */
export interface Seen {
  /** What they saw in the fields that they change, and in those that travel with them. */
  readonly values: Values
  /** Undefined where they do not say. */
  readonly version: number | undefined
}

/**
 * What of a row that an app read before has a say in an update with values of `wanted`. Errors: VALUE_INVALID and
 * VALUE_TOO_LARGE for what no row holds. Rules: WR-14.
 */
export function seenIn(collection: CollectionSchema, wanted: Values, row: unknown): Seen {
  if (!isObject(row)) return { values: {}, version: undefined }
  const names = Object.keys(wanted).flatMap(
    (name) => collection.fieldsByName.get(name)?.group?.fields ?? [name],
  )
  const given: Record<string, unknown> = {}
  const empty: Record<string, Json> = {}
  for (const name of names) {
    const isOurs = collection.fieldsByName.get(name)?.owner !== 'server'
    if (!isOurs || !Object.hasOwn(row, name)) continue
    // A field that a newer schema asks for is empty in rows from before it.
    if (row[name] === null) empty[name] = null
    else given[name] = row[name]
  }
  const version = row['_version']
  return {
    values: { ...parseUpdate(collection, given), ...empty },
    version: Number.isSafeInteger(version) && Number(version) >= 0 ? Number(version) : undefined,
  }
}

/** What made `after` of `before`, done to `now`: an amount added, members added and removed. Any other value is `after`. */
export function carriedOver(before: Json, after: Json, now: Json): Json {
  if (typeof before === 'number' && typeof after === 'number' && typeof now === 'number')
    return now + after - before
  if (!isJsonArray(before) || !isJsonArray(after) || !isJsonArray(now)) return after
  const [had, has] = [new Set(before), new Set(after)]
  const stays = now.filter((member) => has.has(member) || !had.has(member))
  return [...new Set([...stays, ...after.filter((member) => !had.has(member))])]
}
