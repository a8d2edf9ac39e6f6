import type { CollectionSchema, FieldSchema } from '@holdfast/core'

import { markOf } from '../gen/mix-schema.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { World } from './world.ts'

/** Somebody writes to a table of the server beside Holdfast: a job, an import, a person with a SQL shell. */
export async function writeForeign(world: World, name: string, random: SeededRandom): Promise<void> {
  const { server, storage } = world
  const collection = server.schema.collections.get(name)
  if (!collection) return
  const table = `"${name}"`
  const rows = await storage.read(`SELECT id FROM ${table} ORDER BY id LIMIT 50`)
  const id = rows[random.below(Math.max(1, rows.length))]?.['id']
  if (typeof id !== 'string') return
  const field = pick(writableFields(collection), random)
  if (!field) return
  const [row] = await storage.read(`SELECT "${field.name}" AS value FROM ${table} WHERE id = ?`, id)
  const value = foreignValue(field, row?.['value'], random)
  await storage.write(`UPDATE ${table} SET "${field.name}" = ? WHERE id = ?`, value, id)
}

/** Fields that a job may set without breaking anything else: no scopes, no keys, no references. */
function writableFields(collection: CollectionSchema): readonly FieldSchema[] {
  const { scopes, unique, fields } = collection
  // Pairs are written two at a time, with one mark.
  const kept = new Set(['mark', ...[...scopes, ...unique].flatMap((each) => each.fields)])
  return fields.filter(
    ({ kind, name, merge }) =>
      (kind === 'text' || kind === 'integer' || kind === 'counter') &&
      merge.rule !== 'transitions' &&
      !kept.has(name),
  )
}

function foreignValue(field: FieldSchema, now: unknown, random: SeededRandom): string | number {
  if (field.kind === 'counter') return Number(now ?? 0) + 1 + random.below(3)
  if (field.kind === 'integer') return random.below(1_000)
  // It keeps the mark of the row's tenant, as a job of that tenant would.
  const mark = typeof now === 'string' ? /^§t\d+§/.exec(now)?.[0] : undefined
  return `${mark ?? markOf(0).replace(/t0/, 't')}job${random.below(1_000)}`
}

function pick<Item>(items: readonly Item[], random: SeededRandom): Item | undefined {
  return items[random.below(items.length)]
}
