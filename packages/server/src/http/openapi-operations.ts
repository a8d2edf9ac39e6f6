import { type JsonSchema, sha256, uuid } from './openapi-records.ts'

/** How one route is described; `Row`, `Write` and `PlainError` stand for schemas that depend on the route. */
export interface OperationText {
  readonly summary: string
  readonly tag: 'sync' | 'conflicts' | 'records' | 'attachments' | 'operations'
  /** Names of shared parameters. */
  readonly parameters?: readonly string[]
  /** Schema of the JSON body: a component's name; or a media type other than JSON. */
  readonly body?: string
  /** Schema of the answer by status: a component's name, or a media type other than JSON; '' where it has no body. */
  readonly answers: Readonly<Record<string, string>>
}

const text: JsonSchema = { type: 'string' }
const flag: JsonSchema = { type: 'boolean' }
const count: JsonSchema = { type: 'integer', minimum: 1 }
const bytes: JsonSchema = { type: 'integer', minimum: 0 }

/** Parameters that several routes share. */
export const parameters: Readonly<Record<string, JsonSchema>> = {
  id: { name: 'id', in: 'path', required: true, schema: uuid },
  deadLetter: { name: 'id', in: 'path', required: true, schema: text },
  limit: { name: 'limit', in: 'query', schema: count, description: 'Rows of one page.' },
  after: { name: 'after', in: 'query', schema: text, description: '`next` of the page before.' },
  before: { name: 'before', in: 'query', schema: count, description: 'Only entries before this number.' },
  deleted: { name: 'deleted', in: 'query', schema: flag, description: 'Also show a deleted record.' },
  since: {
    name: 'since',
    in: 'query',
    schema: text,
    description: 'The cursor of the page before, or for plain clients an ISO time; absent: from the start.',
  },
  scopes: {
    name: 'scopes',
    in: 'query',
    schema: text,
    description: 'Only these of the granted scopes, by commas.',
  },
  eachScope: {
    name: 'scopes',
    in: 'query',
    schema: { type: 'array', items: text },
    description: 'Only these of the granted scopes, one parameter for each.',
  },
  cursor: { name: 'cursor', in: 'query', schema: text, description: 'The cursor of the page before.' },
  scope: { name: 'scope', in: 'query', schema: text, description: 'One granted scope; absent: all.' },
  ack: { name: 'ack', in: 'query', schema: text, description: 'Device numbers whose outcomes are stored.' },
  status: { name: 'status', in: 'query', schema: { type: 'string', enum: ['open', 'resolved', 'all'] } },
  escrowStatus: {
    name: 'status',
    in: 'query',
    schema: { type: 'string', enum: ['waiting', 'accepted', 'refused', 'all'] },
  },
  inCollection: {
    name: 'collection',
    in: 'query',
    schema: text,
    description: 'Only those of this collection.',
  },
  device: { name: 'Holdfast-Device', in: 'header', schema: uuid },
  deviceRequired: { name: 'Holdfast-Device', in: 'header', required: true, schema: uuid },
  schemaVersion: { name: 'Holdfast-Schema', in: 'header', schema: count },
  account: { name: 'Holdfast-Account', in: 'header', schema: text },
  clock: { name: 'Holdfast-Clock', in: 'header', schema: { type: 'string', format: 'date-time' } },
  trace: { name: 'traceparent', in: 'header', schema: text },
  key: { name: 'Idempotency-Key', in: 'header', schema: { type: 'string', minLength: 1, maxLength: 255 } },
  collection: { name: 'collection', in: 'path', required: true, schema: text },
  record: { name: 'record', in: 'path', required: true, schema: uuid },
  hash: { name: 'hash', in: 'path', required: true, schema: sha256, description: 'SHA-256 of the bytes.' },
  tus: { name: 'Tus-Resumable', in: 'header', required: true, schema: { const: '1.0.0' } },
  uploadLength: { name: 'Upload-Length', in: 'header', required: true, schema: bytes },
  uploadOffset: { name: 'Upload-Offset', in: 'header', required: true, schema: bytes },
  uploadMetadata: {
    name: 'Upload-Metadata',
    in: 'header',
    required: true,
    schema: text,
    description: '`collection`, `record` and `hash`, each with its value in base64, by commas.',
  },
  range: { name: 'Range', in: 'header', schema: text, description: '`bytes=n-` or `bytes=n-m`.' },
  ifMatch: {
    name: 'If-Match',
    in: 'header',
    schema: text,
    description: 'A version in quotes, such as "41".',
  },
}

const speaker = ['device', 'schemaVersion', 'account', 'clock', 'trace'] as const
const pushSpeaker = ['deviceRequired', 'schemaVersion', 'account', 'clock', 'trace'] as const
const pullQuery = [...speaker, 'since', 'limit', 'scopes'] as const
const snapshotQuery = [...speaker, 'cursor', 'scope', 'eachScope', 'limit', 'ack'] as const
const resync = { '410': 'ErrorResponse' } as const
const attachment = ['collection', 'record', 'hash'] as const
const missing = { '404': 'ErrorResponse' } as const
const gone = { '404': 'PlainError' } as const
const race = { '409': 'PlainConflict', '422': 'PlainError' } as const

/** Every route by `METHOD pattern`. */
export const operations: Readonly<Record<string, OperationText>> = {
  'POST /sync/push': {
    summary: 'Offer mutations and get a verdict on each.',
    tag: 'sync',
    parameters: pushSpeaker,
    body: 'PushRequest',
    answers: { '200': 'PushResponse', '202': 'Receipt', '413': 'ErrorResponse', '426': 'ErrorResponse' },
  },
  'GET /sync/pull': {
    summary: 'What changed since a cursor.',
    tag: 'sync',
    parameters: pullQuery,
    answers: { '200': 'PullAnswer', ...resync },
  },
  'POST /sync/pull': {
    summary: 'What changed since a cursor; may acknowledge.',
    tag: 'sync',
    parameters: speaker,
    body: 'PullRequest',
    answers: { '200': 'PullAnswer', ...resync },
  },
  'GET /changes': {
    summary: 'The same as GET /sync/pull.',
    tag: 'sync',
    parameters: pullQuery,
    answers: { '200': 'PullAnswer', ...resync },
  },
  'GET /sync/snapshot': {
    summary: 'Every visible row, by key, in pages.',
    tag: 'sync',
    parameters: snapshotQuery,
    answers: { '200': 'PullResponse', ...resync },
  },
  'POST /sync/snapshot': {
    summary: 'The same, asked for in a body: an address may be too long for what stands between.',
    tag: 'sync',
    parameters: speaker,
    body: 'SnapshotRequest',
    answers: { '200': 'PullResponse', ...resync },
  },
  'GET /snapshot': {
    summary: 'The same as GET /sync/snapshot.',
    tag: 'sync',
    parameters: snapshotQuery,
    answers: { '200': 'PullResponse', ...resync },
  },
  'GET /sync/stream': {
    summary: 'Pokes as server-sent events.',
    tag: 'sync',
    parameters: speaker,
    answers: { '200': 'text/event-stream', '429': 'ErrorResponse' },
  },
  'GET /sync/receipts/{id}': {
    summary: 'What a queued push was answered; 202 as long as it waits.',
    tag: 'sync',
    parameters: ['id'],
    answers: { '200': 'ReceiptAnswer', '202': 'Receipt', '404': 'ErrorResponse' },
  },
  'GET /conflicts': {
    summary: 'Conflicts that wait for a person.',
    tag: 'conflicts',
    parameters: ['status', 'inCollection', 'limit', 'after'],
    answers: { '200': 'ConflictPage' },
  },
  'POST /conflicts/{id}/resolve': {
    summary: 'Settle a conflict.',
    tag: 'conflicts',
    parameters: ['id'],
    body: 'Resolution',
    answers: { '200': 'AnyRow', '404': 'PlainError', '409': 'PlainConflict' },
  },
  'GET /escrow': {
    summary: 'Edits of people who lost the right to the record, for reviewers.',
    tag: 'conflicts',
    parameters: ['escrowStatus', 'limit', 'after'],
    answers: { '200': 'EscrowPage', '403': 'PlainError' },
  },
  'POST /escrow/{id}': {
    summary: 'Accept or refuse such an edit.',
    tag: 'conflicts',
    parameters: ['id'],
    body: 'EscrowDecision',
    answers: {
      '200': 'EscrowedEdit',
      '403': 'EscrowRefusal',
      '404': 'PlainError',
      '409': 'EscrowRefusal',
      '422': 'EscrowRefusal',
    },
  },
  'GET /records/{collection}': {
    summary: 'A page of rows; any scalar field filters by equality.',
    tag: 'records',
    parameters: ['limit', 'after'],
    answers: { '200': 'RowPage', '422': 'PlainError' },
  },
  'POST /records/{collection}': {
    summary: 'Create a record.',
    tag: 'records',
    parameters: ['key'],
    body: 'Write',
    answers: { '201': 'Row', ...race },
  },
  'GET /records/{collection}/{id}': {
    summary: 'One record.',
    tag: 'records',
    parameters: ['id', 'deleted'],
    answers: { '200': 'Row', ...gone },
  },
  'PUT /records/{collection}/{id}': {
    summary: 'Create or replace a record.',
    tag: 'records',
    parameters: ['id', 'key', 'ifMatch'],
    body: 'Write',
    answers: { '200': 'Row', '201': 'Row', ...race },
  },
  'PATCH /records/{collection}/{id}': {
    summary: 'Set some fields of a record.',
    tag: 'records',
    parameters: ['id', 'key', 'ifMatch'],
    body: 'Write',
    answers: { '200': 'Row', ...gone, ...race },
  },
  'DELETE /records/{collection}/{id}': {
    summary: 'Delete a record.',
    tag: 'records',
    parameters: ['id', 'key', 'ifMatch'],
    answers: { '200': 'Row', ...gone, '409': 'PlainConflict' },
  },
  'GET /records/{collection}/{id}/history': {
    summary: 'Who changed what when, and what lost.',
    tag: 'records',
    parameters: ['id', 'limit', 'before'],
    answers: { '200': 'History', ...gone },
  },
  'POST /records/{collection}/{id}/restore': {
    summary: 'Bring values or a deleted record back.',
    tag: 'records',
    parameters: ['id', 'key', 'ifMatch'],
    body: 'Restore',
    answers: { '200': 'Row', ...gone, ...race },
  },
  'POST /sync/{collection}': {
    summary: 'Send rows and get what changed, by time.',
    tag: 'records',
    parameters: ['key'],
    body: 'TimeSync',
    answers: { '200': 'TimeSyncAnswer', '400': 'PlainError', '422': 'PlainError' },
  },
  'POST /attachments': {
    summary: 'Begin to send the bytes of an attachment (tus 1.0.0).',
    tag: 'attachments',
    parameters: ['tus', 'uploadLength', 'uploadMetadata'],
    answers: { '201': '', ...missing, '412': 'ErrorResponse', '413': 'ErrorResponse' },
  },
  'GET /attachments/{collection}/{record}/{hash}/upload': {
    summary: 'How much of it is there; also as HEAD.',
    tag: 'attachments',
    parameters: [...attachment, 'tus'],
    answers: { '200': '', ...missing, '412': 'ErrorResponse' },
  },
  'PATCH /attachments/{collection}/{record}/{hash}/upload': {
    summary: 'Send a part of it.',
    tag: 'attachments',
    parameters: [...attachment, 'tus', 'uploadOffset'],
    body: 'application/offset+octet-stream',
    answers: {
      '204': '',
      ...missing,
      '409': 'ErrorResponse',
      '412': 'ErrorResponse',
      '413': 'ErrorResponse',
      '415': 'ErrorResponse',
      '422': 'ErrorResponse',
    },
  },
  'GET /attachments/{collection}/{record}/{hash}': {
    summary: 'The bytes of an attachment.',
    tag: 'attachments',
    parameters: [...attachment, 'range'],
    answers: {
      '200': 'application/octet-stream',
      '206': 'application/octet-stream',
      ...missing,
      '416': 'ErrorResponse',
    },
  },
  'GET /events/dead-letters': {
    summary: 'Events that were given up, for operators.',
    tag: 'operations',
    parameters: ['limit', 'after'],
    answers: { '200': 'DeadLetters', '404': 'ErrorResponse' },
  },
  'POST /events/dead-letters/{id}/retry': {
    summary: 'Deliver such an event again.',
    tag: 'operations',
    parameters: ['deadLetter'],
    answers: { '200': 'Status', '404': 'ErrorResponse' },
  },
  'DELETE /events/dead-letters/{id}': {
    summary: 'Drop such an event.',
    tag: 'operations',
    parameters: ['deadLetter'],
    answers: { '200': 'Status', '404': 'ErrorResponse' },
  },
  'GET /healthz': { summary: 'The process is alive.', tag: 'operations', answers: { '200': 'Status' } },
  'GET /readyz': {
    summary: 'The store answers.',
    tag: 'operations',
    answers: { '200': 'Status', '503': 'ErrorResponse' },
  },
  'GET /metrics': { summary: 'Prometheus metrics.', tag: 'operations', answers: { '200': 'text/plain' } },
  'GET /openapi.json': { summary: 'This document.', tag: 'operations', answers: { '200': 'OpenApi' } },
}
