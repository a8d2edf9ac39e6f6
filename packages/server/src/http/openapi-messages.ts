import {
  changeSchema,
  errorReportSchema,
  errorResponseSchema,
  mutationSchema,
  outcomeSchema,
  pullRequestSchema,
  pullResponseSchema,
  pushRequestSchema,
  pushResponseSchema,
  pushResultSchema,
  snapshotRequestSchema,
} from '@holdfast/core'
import { toJsonSchemaDefs } from '@valibot/to-json-schema'

import { type JsonSchema, schemaRef } from './openapi-records.ts'

const text: JsonSchema = { type: 'string' }
const anything: JsonSchema = { type: 'object' }

/** Names of the messages that are validated, so that one refers to another instead of repeating it. */
const validated = {
  ErrorReport: errorReportSchema,
  ErrorResponse: errorResponseSchema,
  Mutation: mutationSchema,
  PushRequest: pushRequestSchema,
  PushResult: pushResultSchema,
  PushResponse: pushResponseSchema,
  Outcome: outcomeSchema,
  Change: changeSchema,
  PullRequest: pullRequestSchema,
  PullResponse: pullResponseSchema,
  SnapshotRequest: snapshotRequestSchema,
}

/** Messages by component name: those of the sync protocol from what validates them, those of plain shapes from here. */
export function messageSchemas(): Readonly<Record<string, JsonSchema>> {
  const messages = toJsonSchemaDefs(validated, {
    target: 'draft-2020-12',
    typeMode: 'input',
    overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
  })
  const { PushRequest } = messages
  const copies = Object.entries(messages).map(([name, schema]): [string, JsonSchema] => [name, { ...schema }])
  // A push validates its mutations one by one, so that a bad one fails alone; the document says what they are.
  const mutations = { type: 'array', items: schemaRef('Mutation') }
  return {
    ...Object.fromEntries(copies),
    PushRequest: { ...PushRequest, properties: { ...PushRequest.properties, mutations } },
    ...plainSchemas,
    ...operationSchemas,
  }
}

const plainError: JsonSchema = {
  allOf: [schemaRef('ErrorReport')],
  properties: {
    index: { type: 'integer', minimum: 0, description: 'Which change of a batch.' },
  },
}

const plainSchemas: Readonly<Record<string, JsonSchema>> = {
  PullAnswer: { oneOf: [schemaRef('PullResponse'), schemaRef('TimePullAnswer')] },
  TimePullAnswer: {
    type: 'object',
    required: ['status', 'server_changes', 'sync_timestamp'],
    properties: {
      status: { const: 'success' },
      server_changes: { type: 'array', items: schemaRef('AnyRow') },
      sync_timestamp: text,
    },
  },
  AnyRow: { type: 'object', description: 'The canonical row of a record.' },
  PlainError: {
    type: 'object',
    required: ['status', 'message', 'error'],
    properties: { status: { enum: ['error', 'conflict'] }, message: text, error: plainError },
  },
  PlainConflict: {
    type: 'object',
    required: ['status', 'message', 'server_data', 'client_data', 'error'],
    properties: {
      status: { const: 'conflict' },
      message: text,
      server_data: { anyOf: [schemaRef('AnyRow'), { type: 'null' }] },
      client_data: anything,
      error: plainError,
    },
  },
  ConflictPage: {
    type: 'object',
    required: ['conflicts', 'next'],
    properties: {
      conflicts: { type: 'array', items: schemaRef('AnyRow') },
      next: { type: ['string', 'null'] },
    },
  },
  Resolution: {
    type: 'object',
    required: ['kind'],
    properties: { kind: { enum: ['mine', 'theirs', 'merge', 'discard'] }, values: anything },
  },
  EscrowPage: {
    type: 'object',
    required: ['escrow', 'next'],
    properties: {
      escrow: { type: 'array', items: schemaRef('EscrowedEdit') },
      next: { type: ['string', 'null'] },
    },
  },
  EscrowedEdit: {
    type: 'object',
    required: [
      'id',
      'status',
      'author',
      'device',
      'receivedAt',
      'decidedBy',
      'decidedAt',
      'reason',
      'mutations',
    ],
    properties: {
      id: text,
      status: { enum: ['waiting', 'accepted', 'refused'] },
      author: text,
      device: text,
      receivedAt: { type: 'string', format: 'date-time' },
      decidedBy: { type: ['string', 'null'] },
      decidedAt: { type: ['string', 'null'] },
      reason: { type: ['string', 'null'] },
      mutations: { type: 'array', items: anything },
    },
  },
  EscrowDecision: {
    type: 'object',
    required: ['kind'],
    properties: { kind: { enum: ['accept', 'refuse'] }, reason: { type: ['string', 'null'] } },
  },
  EscrowRefusal: {
    type: 'object',
    required: ['status', 'message', 'error'],
    properties: {
      status: { enum: ['error', 'conflict'] },
      message: text,
      edit: schemaRef('EscrowedEdit'),
      error: plainError,
    },
  },
  History: {
    type: 'object',
    required: ['history', 'lost'],
    properties: { history: { type: 'array', items: anything }, lost: { type: 'array', items: anything } },
  },
  Restore: {
    type: 'object',
    properties: {
      values: anything,
      field: text,
      fields: { type: 'array', items: text },
      entry: { type: 'integer', minimum: 1 },
    },
  },
}

const operationSchemas: Readonly<Record<string, JsonSchema>> = {
  DeadLetters: {
    type: 'object',
    required: ['letters', 'next'],
    properties: {
      letters: { type: 'array', items: schemaRef('DeadLetter') },
      next: { type: ['string', 'null'] },
    },
  },
  DeadLetter: {
    type: 'object',
    required: ['id', 'consumer', 'event', 'collection', 'record', 'attempts', 'reason', 'failedAt'],
    properties: {
      id: text,
      consumer: text,
      event: text,
      collection: text,
      record: text,
      attempts: { type: 'integer', minimum: 1 },
      reason: text,
      failedAt: { type: 'string', format: 'date-time' },
    },
  },
  Status: { type: 'object', required: ['status'], properties: { status: text } },
  Receipt: { type: 'object', required: ['receipt'], properties: { receipt: text } },
  ReceiptAnswer: { oneOf: [schemaRef('PushResponse'), schemaRef('ErrorResponse')] },
  OpenApi: { type: 'object', required: ['openapi', 'paths', 'components'] },
}
