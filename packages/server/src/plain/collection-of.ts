import { type CollectionSchema, type Schema, SyncError } from '@holdfast/core'

/** The collection a path names. Names come from the schema only, never from the request. Errors: NOT_FOUND. */
export function collectionOf(schema: Schema, params: Readonly<Record<string, string>>): CollectionSchema {
  const collection = schema.collections.get(params['collection'] ?? '')
  if (collection) return collection
  throw new SyncError('NOT_FOUND', 'There is no such collection.')
}
