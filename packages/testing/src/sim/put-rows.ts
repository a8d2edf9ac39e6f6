import type { FieldKind, Json, Schema, Values } from '@holdfast/core'

import type { ServerDisk } from './server-disk.ts'

/** A row as an app's own back end has it. */
export interface FirstRow {
  readonly collection: string
  readonly id: string
  readonly values: Values
}

/** Puts rows into the server's tables beside the server, as an app's own back end does. */
export function putRows(disk: ServerDisk, schema: Schema, rows: readonly FirstRow[]): void {
  for (const { collection: name, id, values } of rows) {
    const columns = (schema.collections.get(name)?.fields ?? []).flatMap(
      ({ name: field, kind, default: preset }) => {
        const value = values[field] ?? preset
        return value === undefined ? [] : [{ field, value: stored(kind, value) }]
      },
    )
    const names = ['id', ...columns.map(({ field }) => field)].map((each) => `"${each}"`)
    const holes = names.map(() => '?')
    disk.write(
      `INSERT INTO "${name}" (${names.join(', ')}) VALUES (${holes.join(', ')})`,
      id,
      ...columns.map(({ value }) => value),
    )
  }
}

/** A value as its column holds it. */
function stored(kind: FieldKind, value: Json): string | number | null {
  if (value === null) return null
  if (kind === 'json' || kind === 'set' || kind === 'attachment') return JSON.stringify(value)
  if (typeof value === 'boolean') return Number(value)
  // Fields of the other kinds hold text and numbers.
  return value as string | number
}
