import type { Schema } from '@holdfast/core'

import { messageSchemas } from './openapi-messages.ts'
import { operations, type OperationText, parameters } from './openapi-operations.ts'
import { type JsonSchema, recordName, recordSchemas, schemaRef, writeName } from './openapi-records.ts'

/** A route, as far as its description needs it. */
export interface DescribedRoute {
  readonly method: string
  readonly pattern: string
  readonly access: 'anyone' | 'user'
  readonly isPlain?: boolean
}

/**
 * The OpenAPI 3.1 document of a server: every route, those of records once for each collection. Throws for a route that
 * nobody described, so that none is forgotten. Rules: OP-9.
 */
export function openapiDocument(schema: Schema, routes: readonly DescribedRoute[]): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {}
  for (const route of routes) {
    for (const { path, row, write } of pathsOf(route, schema)) {
      const operation = describe(route, { row, write })
      paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation }
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Holdfast', version: `1 (schema ${schema.version})`, description: 'Offline-first sync.' },
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      parameters,
      schemas: { ...messageSchemas(), ...recordSchemas(schema) },
    },
  }
}

interface ConcretePath {
  readonly path: string
  readonly row: string
  readonly write: string
}

function pathsOf({ method, pattern }: DescribedRoute, schema: Schema): readonly ConcretePath[] {
  const isOfRecords = operations[`${method} ${pattern}`]?.tag === 'records'
  if (!isOfRecords) return [{ path: pattern, row: 'AnyRow', write: 'AnyRow' }]
  return [...schema.collections.values()].map((collection) => ({
    path: pattern.replace('{collection}', collection.name),
    row: recordName(collection),
    write: writeName(collection),
  }))
}

function describe(route: DescribedRoute, names: Pick<ConcretePath, 'row' | 'write'>): JsonSchema {
  const operation = operations[`${route.method} ${route.pattern}`]
  if (operation === undefined) throw new Error(`the route ${route.method} ${route.pattern} is not described`)
  const { summary, tag, body } = operation
  return {
    summary,
    tags: [tag],
    ...(route.access === 'user' ? { security: [{ bearer: [] }] } : {}),
    parameters: (operation.parameters ?? []).map((name) => ({ $ref: `#/components/parameters/${name}` })),
    ...(body === undefined ? {} : { requestBody: { content: contentOf(body, bodySchema(body, names)) } }),
    responses: describeAnswers(route, operation, names),
  }
}

function bodySchema(name: string, { row, write }: Pick<ConcretePath, 'row' | 'write'>): JsonSchema {
  return name === 'Write' ? schemaRef(write) : answerSchema(name, row)
}

function describeAnswers(
  { access, isPlain }: DescribedRoute,
  { answers }: OperationText,
  { row }: Pick<ConcretePath, 'row'>,
): JsonSchema {
  const failure = isPlain === true ? 'PlainError' : 'ErrorResponse'
  const all = { ...answers, ...(access === 'user' ? { '401': failure } : {}), default: failure }
  return Object.fromEntries(
    Object.entries(all).map(([status, name]) => [
      status,
      {
        description: status.startsWith('2') ? 'As asked.' : 'Why not.',
        ...(name === '' ? {} : { content: contentOf(name, answerSchema(name, row)) }),
      },
    ]),
  )
}

function answerSchema(name: string, row: string): JsonSchema {
  const rows = { type: 'array', items: schemaRef(row) }
  switch (name) {
    case 'Row':
      return schemaRef(row)
    case 'RowPage':
      return objectOf({ records: rows, next: { type: ['string', 'null'] } })
    case 'TimeSync':
      return objectOf({ last_sync_at: { type: ['string', 'null'] }, changes: rows }, [])
    case 'TimeSyncAnswer':
      return objectOf({
        status: { const: 'success' },
        server_changes: rows,
        sync_timestamp: { type: 'string' },
      })
    default:
      return schemaRef(name)
  }
}

function objectOf(properties: JsonSchema, required: readonly string[] = Object.keys(properties)): JsonSchema {
  return { type: 'object', properties, required }
}

function contentOf(name: string, schema: JsonSchema): JsonSchema {
  return name.includes('/') ? { [name]: { schema: { type: 'string' } } } : { 'application/json': { schema } }
}
