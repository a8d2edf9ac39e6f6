import { canonicalJson, type Json } from '../json.ts'
import { conflictsCollection } from './conflicts.ts'
import type { FieldSchema, CollectionSchema, Schema } from './schema.ts'
import type { MergeRule } from './field.ts'

/** The collection of that name, the system's own `_conflicts` included; undefined when there is none. */
export function collectionNamed(schema: Schema, name: string): CollectionSchema | undefined {
  return name === conflictsCollection.name ? conflictsCollection : schema.collections.get(name)
}

/**
 * One text per meaning of a schema: two schemas that say the same have the same text, whatever the order in which
 * collections and fields were declared. Functions (validators, custom merges) do not show; explanations do.
 * Rules: SCH-9.
 */
export function describeSchema(schema: Schema): string {
  const collections = Object.fromEntries(
    [...schema.collections].map(([name, collection]) => [name, describeCollection(collection)]),
  )
  return canonicalJson({ version: schema.version, collections })
}

function describeCollection(collection: CollectionSchema): Json {
  const { scopes, unique, indexes, deletes, strict, groups, onDelete, outbox, priority, review } = collection
  return {
    fields: Object.fromEntries(collection.fields.map((field) => [field.name, describeField(field)])),
    scopes: scopes.map((scope) => scope.text),
    unique: unique.map((key) => ({ ...key })),
    indexes,
    groups: Object.fromEntries(
      groups.map(({ name, fields, merge }) => [name, { fields, merge: merge.rule }]),
    ),
    deletes,
    strict,
    onDelete,
    outbox,
    priority,
    // Said only where it is so: schemas of before it could be said are described as they were.
    ...(review && { review }),
  }
}

function describeField(field: FieldSchema): Json {
  const { kind, optional, owner } = field
  return {
    kind,
    optional,
    owner,
    default: field.default ?? null,
    maxLength: field.maxLength ?? null,
    of: field.of ?? null,
    references: field.references ?? null,
    merge: describeRule(field.merge),
  }
}

function describeRule(merge: MergeRule): Json {
  if (merge.rule === 'transitions') return { rule: merge.rule, allowed: merge.allowed }
  if (merge.rule === 'custom') return { rule: merge.rule, explanation: merge.explanation }
  return { rule: merge.rule }
}
