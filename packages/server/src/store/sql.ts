import type { CollectionSchema } from '@holdfast/core'

/** An identifier as SQL wants it. Names come from the schema and the options alone, never from a request. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Whether the table says itself that a row is deleted. */
export function hasDeletedAt(collection: Pick<CollectionSchema, 'name' | 'deletes'>): boolean {
  return collection.deletes === 'soft' && collection.name !== '_conflicts'
}
