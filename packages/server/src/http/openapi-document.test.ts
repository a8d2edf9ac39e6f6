import { isObject } from '@holdfast/core'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { fileAttachments } from '../attachments/file-attachments.ts'
import { exampleSchema, type GivenServer, givenServer } from './given-server.ts'
import { openapiDocument } from './openapi-document.ts'

type Document = {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> }
}
type Operation = {
  readonly security?: unknown
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, unknown>> }>>
}

let given: GivenServer
let document: Document

beforeEach(async () => {
  given = await givenServer({ attachments: { store: fileAttachments('no-such-folder') } })
  document = (await given.ask('GET /openapi.json', { user: null })).body as Document
})

afterEach(() => given.close())

/** Every `$ref` in a value. */
function refsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(refsIn)
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([name, member]) =>
    name === '$ref' && typeof member === 'string' ? [member] : refsIn(member),
  )
}

function resolve(ref: string): unknown {
  return ref
    .replace(/^#\//, '')
    .split('/')
    .reduce<unknown>((value, name) => (isObject(value) ? value[name] : undefined), document)
}

test('[OP-9] every reference of the document resolves', () => {
  const refs = new Set(refsIn(document))
  expect(refs.size).toBeGreaterThan(20)
  expect([...refs].filter((ref) => !isObject(resolve(ref)))).toEqual([])
})

test('[OP-9] every component is used', () => {
  const used = new Set(refsIn(document))
  const names = Object.keys(document.components.schemas).filter(
    (name) => !used.has(`#/components/schemas/${name}`),
  )
  expect(names).toEqual([])
})

test('[OP-9] every described route answers with a status and a media type that is described', async () => {
  const id = '0197a1b2-0000-7000-8000-000000000001'
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const body = ['post', 'put', 'patch'].includes(method) ? {} : undefined
      for (const user of ['ann', null]) {
        const response = await given.sync.fetch(
          new Request(`http://localhost${path.replace('{id}', id)}`, {
            method: method.toUpperCase(),
            body: body && JSON.stringify(body),
            headers: user === null ? {} : { authorization: `Bearer ${user}` },
          }),
        )
        const described = operation.responses[String(response.status)] ?? operation.responses['default']
        const mediaType = response.headers.get('content-type')?.split(';')[0] ?? ''
        expect([path, method, user, response.status < 500, Object.keys(described?.content ?? {})]).toEqual([
          path,
          method,
          user,
          true,
          [mediaType],
        ])
        if (user === null)
          expect([path, response.status === 401]).toEqual([path, operation.security !== undefined])
        await response.body?.cancel()
      }
    }
  }
})

test('[OP-9] records are described as the schema declares them', () => {
  expect(document.openapi).toBe('3.1.0')
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining(['/records/items/{id}', '/records/notes', '/sync/items']),
  )
  expect(document.components.schemas['Record_items']).toMatchObject({
    type: 'object',
    required: [
      'id',
      'warehouseId',
      'name',
      'location',
      'price',
      'stock',
      'tags',
      'rank',
      'extra',
      'version',
      'created_at',
      'updated_at',
      'server_updated_at',
      'deleted_at',
    ],
    properties: {
      name: { type: 'string' },
      location: { type: ['string', 'null'] },
      stock: { type: 'integer', default: 0 },
      tags: { type: 'array', uniqueItems: true, items: { type: 'string' } },
      rank: { type: ['integer', 'null'], readOnly: true },
      deleted_at: { type: ['string', 'null'], format: 'date-time' },
    },
  })
  expect(document.components.schemas['Mutation']).toMatchObject({
    required: ['id', 'seq', 'collection', 'record', 'op', 'at', 'schema'],
    additionalProperties: false,
  })
})

test('[OP-9] a route that nobody described is noticed', () => {
  const route = { method: 'GET', pattern: '/forgotten', access: 'user' } as const
  expect(() => openapiDocument(exampleSchema, [route])).toThrow('GET /forgotten is not described')
})
