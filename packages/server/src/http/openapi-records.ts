import type { CollectionSchema, FieldSchema, Schema } from '@holdfast/core'

/** A JSON Schema, as far as this document needs one. */
export type JsonSchema = Readonly<Record<string, unknown>>

export const uuid: JsonSchema = { type: 'string', format: 'uuid' }
export const sha256: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{64}$' }
const time: JsonSchema = { type: 'string', format: 'date-time' }
const version: JsonSchema = { type: 'integer', minimum: 0 }

/** `#/components/schemas/Name` as a reference. */
export function schemaRef(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` }
}

/** The component name of a collection's records: `Record_items`. */
export function recordName(collection: CollectionSchema): string {
  return `Record_${collection.name}`
}

/** The component name of what a plain client writes into a collection. */
export function writeName(collection: CollectionSchema): string {
  return `Write_${collection.name}`
}

/** Two schemas for each collection: its canonical rows, and what a plain write of it may hold. */
export function recordSchemas(schema: Schema): Readonly<Record<string, JsonSchema>> {
  const schemas = [...schema.collections.values()].flatMap((collection): [string, JsonSchema][] => [
    [recordName(collection), rowSchema(collection)],
    [writeName(collection), writeSchema(collection)],
  ])
  return Object.fromEntries(schemas)
}

function rowSchema(collection: CollectionSchema): JsonSchema {
  const nullableTime = { type: ['string', 'null'], format: 'date-time' }
  const properties = {
    id: uuid,
    ...fieldSchemas(collection),
    version,
    created_at: time,
    updated_at: time,
    server_updated_at: time,
    deleted_at: nullableTime,
  }
  return { type: 'object', properties, required: Object.keys(properties) }
}

function writeSchema(collection: CollectionSchema): JsonSchema {
  const counters = collection.fields.filter(({ kind }) => kind === 'counter').map(({ name }) => name)
  const increments = Object.fromEntries(counters.map((name) => [name, { type: 'integer' }]))
  return {
    type: 'object',
    properties: {
      id: uuid,
      ...fieldSchemas(collection),
      ...(counters.length === 0 ? {} : { increments: { type: 'object', properties: increments } }),
      baseVersion: version,
      updated_at: time,
    },
  }
}

function fieldSchemas(collection: CollectionSchema): Readonly<Record<string, JsonSchema>> {
  return Object.fromEntries(collection.fields.map((field) => [field.name, fieldSchema(field)]))
}

function fieldSchema(field: FieldSchema): JsonSchema {
  const plain = kindSchema(field)
  const isNullable = field.optional && typeof plain['type'] === 'string'
  return {
    ...plain,
    ...(isNullable ? { type: [plain['type'], 'null'] } : {}),
    ...(field.default === undefined ? {} : { default: field.default }),
    ...(field.owner === 'server' ? { readOnly: true } : {}),
  }
}

function kindSchema(field: FieldSchema): JsonSchema {
  switch (field.kind) {
    case 'text':
      return { type: 'string', ...(field.maxLength === undefined ? {} : { maxLength: field.maxLength }) }
    case 'integer':
    case 'counter':
      return { type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }
    case 'real':
      return { type: 'number' }
    case 'decimal':
      return { type: 'string', pattern: '^-?\\d+(\\.\\d+)?$' }
    case 'boolean':
      return { type: 'boolean' }
    case 'timestamp':
      return time
    case 'json':
      return {}
    case 'set':
      return {
        type: 'array',
        uniqueItems: true,
        items: { type: field.of === 'integer' ? 'integer' : 'string' },
      }
    case 'reference':
      return { ...uuid, description: `The id of a record of ${field.references ?? 'another collection'}.` }
    case 'attachment':
      return attachmentSchema
  }
}

const attachmentSchema: JsonSchema = {
  type: 'object',
  required: ['hash', 'size'],
  properties: {
    hash: sha256,
    size: { type: 'integer', minimum: 0 },
    name: { type: 'string' },
    mediaType: { type: 'string' },
  },
}
