import { buildCollection, collection } from './define-schema.ts'
import { json, text, timestamp } from './field.ts'
import type { CollectionSchema } from './schema.ts'

const declaration = collection({
  fields: {
    collection: text(),
    record: text(),
    kind: text(),
    status: text(),
    fields: json(),
    parts: json(),
    mutation: text(),
    author: text(),
    device: text(),
    createdAt: timestamp(),
    resolution: json({ optional: true }),
    resolvedBy: text({ optional: true }),
    resolvedAt: timestamp({ optional: true }),
  },
  indexes: [
    ['status', 'createdAt'],
    ['collection', 'record'],
  ],
})

/**
 * The system collection of conflicts. It lies in the scopes of the records in dispute and in its author's own, is read
 * by devices like any other, and written by the server alone. Rules: SCH-10.
 */
export const conflictsCollection: CollectionSchema = buildCollection('_conflicts', declaration, [])
