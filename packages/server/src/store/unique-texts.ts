import { type CollectionSchema, uniqueKeyText } from '@holdfast/core'
import type { StoreWriter } from './store.ts'
import { parseValues } from './stored-rows.ts'

/** The unique keys of a record whose fields are the JSON text `data`, as changes. */
export function uniqueTexts(
  collection: CollectionSchema,
  record: string,
  data: string,
  op: 'add' | 'remove',
): Parameters<StoreWriter['writeUnique']>[0] {
  const values = parseValues(data)
  return collection.unique.flatMap((unique, key) => {
    const text = uniqueKeyText(collection, unique, values)
    return text === undefined ? [] : [{ collection: collection.name, key, text, record, op }]
  })
}
