import {
  type CollectionSchema,
  explainDelete,
  explainRule,
  type Json,
  isJsonArray,
  isObject,
  isPartInDispute,
  type MutationOp,
  type Schema,
  type Values,
} from '@holdfast/core'
import type { SqlRow } from '../drivers/sqlite-driver.ts'

/** One record in dispute, as both sides have it. */
export interface ConflictPart {
  readonly collection: string
  readonly record: string
  readonly op: MutationOp
  /** Fields in dispute; empty when the question is whether the record stays. */
  readonly fields: readonly string[]
  /** False for a record of the same transaction that only waits with the others. */
  readonly isInDispute: boolean
  readonly base: Values | null
  /** null: the author deletes the record. */
  readonly mine: Values | null
  /** null: the record is deleted on the server. */
  readonly theirs: Values | null
  /** What a deleted record had in the fields the author changed. */
  readonly last: Values | null
  /** The version of the schema that its author wrote under; null where the server does not say. */
  readonly schema: number | null
  /** By field, the rule in one sentence. */
  readonly explanations: Readonly<Record<string, string>>
  /** Why there is a question at all, when it is not about fields. */
  readonly explanation: string | null
}

/** Both sides changed the same, and a person decides. Anybody who sees the record may. Rules: CF-1, CF-2. */
export interface Conflict {
  readonly id: string
  readonly collection: string
  readonly record: string
  readonly kind: 'fields' | 'delete' | 'unique'
  readonly status: 'open' | 'resolved'
  /** Decided by a reviewer: who is none may try, and is refused with NOT_AUTHORIZED. */
  readonly inReview: boolean
  /** One for each record: a transaction is in dispute as a whole. */
  readonly parts: readonly ConflictPart[]
  readonly author: string
  readonly device: string
  readonly createdAt: string
  readonly resolution: Json
  readonly resolvedBy: string | null
  readonly resolvedAt: string | null
}

/** Reads a row of `_conflicts`. What the server left out or this version cannot read shows as empty, never throws. */
export function readConflict(schema: Schema, row: SqlRow): Conflict {
  const kind = row['kind']
  const parts = listOf(parsed(row['parts'])).flatMap((part) => readPart(schema, part))
  return {
    id: String(row['id']),
    collection: String(row['collection']),
    record: String(row['record']),
    kind: kind === 'delete' || kind === 'unique' ? kind : 'fields',
    status: row['status'] === 'resolved' ? 'resolved' : 'open',
    inReview: parts.some(({ collection }) => schema.collections.get(collection)?.review === true),
    parts,
    author: String(row['author']),
    device: String(row['device']),
    createdAt: String(row['createdAt']),
    resolution: parsed(row['resolution']),
    resolvedBy: textOrNull(row['resolvedBy']),
    resolvedAt: textOrNull(row['resolvedAt']),
  }
}

function readPart(schema: Schema, part: Json): ConflictPart[] {
  if (!isObject(part)) return []
  const { op } = part
  const fields = listOf(part['fields']).map(String)
  const collection = schema.collections.get(textOrNull(part['collection']) ?? '')
  const mine = valuesOf(part['mine'])
  const theirs = valuesOf(part['theirs'])
  return [
    {
      collection: textOrNull(part['collection']) ?? '',
      record: textOrNull(part['record']) ?? '',
      op: op === 'create' || op === 'delete' ? op : 'update',
      fields,
      isInDispute: isPartInDispute(part['rules']),
      base: valuesOf(part['base']),
      mine,
      theirs,
      last: valuesOf(part['last'] ?? null),
      schema: typeof part['schema'] === 'number' ? part['schema'] : null,
      explanations: explanationsOf(collection, fields),
      explanation: collection && (mine === null || theirs === null) ? explainDelete(collection) : null,
    },
  ]
}

function explanationsOf(
  collection: CollectionSchema | undefined,
  fields: readonly string[],
): Record<string, string> {
  const explanations: Record<string, string> = {}
  for (const name of fields) {
    const field = collection?.fieldsByName.get(name)
    if (field) explanations[name] = explainRule(field)
  }
  return explanations
}

function parsed(column: unknown): Json {
  try {
    // JSON.parse returns JSON by definition; its type says any.
    return typeof column === 'string' ? (JSON.parse(column) as Json) : null
  } catch {
    return null
  }
}

function listOf(value: unknown): readonly Json[] {
  return isJsonArray(value) ? value : []
}

function valuesOf(value: unknown): Values | null {
  // A member of parsed JSON is JSON.
  return isObject(value) ? (value as Values) : null
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
