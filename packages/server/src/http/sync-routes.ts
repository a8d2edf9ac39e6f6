import {
  type Limits,
  parsePullRequest,
  parsePushRequest,
  parseSnapshotRequest,
  type PushResponse,
  SyncError,
} from '@holdfast/core'

import type { Page, PullOptions, SnapshotOptions, User } from '../engine.ts'
import { parseIsoTime } from '../plain/iso-time.ts'
import { type Answer, jsonAnswer, textAnswer } from './answer.ts'
import type { HttpServices, Route, UserCall } from './http-call.ts'
import { parseLimit } from './parse-limit.ts'
import { readJson, readJsonBody } from './read-body.ts'

/** Mutations named in one log line at most; the counts beside them are complete. */
const loggedMutations = 20

/**
 * What devices speak: push, pull, snapshot and the stream, with the aliases that plain clients know.
 * Rules: PH-23 to PH-26.
 */
export function syncRoutes<U extends User>(services: HttpServices<U>): readonly Route<U>[] {
  const pullByQuery = (call: UserCall<U>): Promise<Answer> =>
    pull(services, call, pullFromQuery(call, services.limits))
  const snapshot = (call: UserCall<U>): Promise<Answer> =>
    takeSnapshot(services, call, snapshotFromQuery(call, services.limits))
  return [
    {
      method: 'POST',
      pattern: '/sync/push',
      access: 'user',
      admitted: 'push',
      handle: (call) => push(services, call),
    },
    { method: 'GET', pattern: '/sync/pull', access: 'user', admitted: 'pull', handle: pullByQuery },
    {
      method: 'POST',
      pattern: '/sync/pull',
      access: 'user',
      admitted: 'pull',
      handle: (call) => pullByBody(services, call),
    },
    { method: 'GET', pattern: '/changes', access: 'user', admitted: 'pull', handle: pullByQuery },
    { method: 'GET', pattern: '/sync/snapshot', access: 'user', admitted: 'pull', handle: snapshot },
    {
      method: 'POST',
      pattern: '/sync/snapshot',
      access: 'user',
      admitted: 'pull',
      handle: (call) => snapshotByBody(services, call),
    },
    { method: 'GET', pattern: '/snapshot', access: 'user', admitted: 'pull', handle: snapshot },
    { method: 'GET', pattern: '/sync/stream', access: 'user', handle: (call) => stream(services, call) },
    {
      method: 'GET',
      pattern: '/sync/receipts/{id}',
      access: 'user',
      admitted: 'pull',
      handle: (call) => receipt(services, call),
    },
  ]
}

async function push<U extends User>(services: HttpServices<U>, call: UserCall<U>): Promise<Answer> {
  if (call.caller.device === null)
    throw new SyncError('DEVICE_REQUIRED', 'A push names its device in Holdfast-Device.')
  const { text, value } = await readJson(call.request, services.limits)
  const taken = await services.ingest.push(call.caller, text, parsePushRequest(value, services.limits))
  if (taken.kind === 'queued') return receiptAnswer(call, taken.receipt)
  const { response } = taken
  services.metrics.pushAnswered(response.results)
  logVerdicts(call, response)
  return jsonAnswer(response)
}

function logVerdicts<U extends User>(call: UserCall<U>, response: PushResponse): void {
  const counts: Record<string, number> = {}
  const mutations: object[] = []
  for (const { id, status, error } of response.results) {
    counts[status] = (counts[status] ?? 0) + 1
    if (status === 'applied' || status === 'merged' || mutations.length >= loggedMutations) continue
    mutations.push({ mutationId: id, result: status, code: error?.code })
  }
  call.log['verdicts'] = counts
  if (mutations.length > 0) call.log['mutations'] = mutations
}

async function pullByBody<U extends User>(services: HttpServices<U>, call: UserCall<U>): Promise<Answer> {
  const body = await readJsonBody(call.request, services.limits)
  return pull(services, call, parsePullRequest(body ?? {}))
}

function pullFromQuery<U extends User>({ query }: UserCall<U>, limits: Limits): PullOptions {
  const since = query.get('since') ?? ''
  const scopes = query.get('scopes') ?? ''
  return {
    ...(since === '' ? {} : { since }),
    ...(scopes === '' ? {} : { scopes: scopes.split(',') }),
    limit: parseLimit(query, limits.pullRowsMax),
  }
}

async function pull<U extends User>(
  services: HttpServices<U>,
  call: UserCall<U>,
  options: PullOptions,
): Promise<Answer> {
  const since = options.since === undefined ? undefined : parseIsoTime(options.since)
  if (since === undefined) {
    const page = await services.engine.pull(call.caller, options)
    reportRepairs(services, call, page)
    return pageAnswer(call, page)
  }
  const { text, syncTimestamp } = await services.engine.changesSince(call.caller, null, since)
  return textAnswer(
    `{"status":"success","server_changes":${text},"sync_timestamp":${JSON.stringify(syncTimestamp)}}`,
  )
}

/** A device's copy was not what it should have been: each range is a bug of ours, and must not pass unseen. Rules: CS-6. */
function reportRepairs<U extends User>(
  { logger, metrics }: HttpServices<U>,
  { caller, requestId }: UserCall<U>,
  { repairs }: Page,
): void {
  if (repairs.length === 0) return
  metrics.rangesRepaired(repairs.length)
  const collections = [...new Set(repairs.map(({ collection }) => collection))]
  const fields = { requestId, accountId: caller.user.id, deviceId: caller.device, collections }
  logger?.error({ ...fields, ranges: repairs.length }, 'a device held other rows than the server')
}

function snapshotFromQuery<U extends User>({ query }: UserCall<U>, limits: Limits): SnapshotOptions {
  return {
    cursor: query.get('cursor') || undefined,
    scope: query.get('scope') || undefined,
    // Not by commas: a value that a scope is named after may hold some.
    scopes: query.has('scopes') ? query.getAll('scopes') : undefined,
    ack: query.get('ack') || undefined,
    limit: parseLimit(query, limits.pullRowsMax),
  }
}

async function snapshotByBody<U extends User>(services: HttpServices<U>, call: UserCall<U>): Promise<Answer> {
  const body = await readJsonBody(call.request, services.limits)
  return takeSnapshot(services, call, parseSnapshotRequest(body ?? {}))
}

async function takeSnapshot<U extends User>(
  services: HttpServices<U>,
  call: UserCall<U>,
  options: SnapshotOptions,
): Promise<Answer> {
  return pageAnswer(call, await services.engine.snapshot(call.caller, options))
}

function pageAnswer<U extends User>(call: UserCall<U>, page: Page): Answer {
  call.log['changes'] = page.changeCount
  return textAnswer(page.text)
}

function stream<U extends User>(services: HttpServices<U>, { caller, request }: UserCall<U>): Answer {
  // No proxy holds it back, and none compresses it, which holds it back too.
  const headers = {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
  }
  if (request.method === 'HEAD') return { status: 200, body: null, headers }
  return { status: 200, body: services.streams.open(caller), headers }
}

/** What the push was answered, as the push would have been: its results, or the error of the whole. */
async function receipt<U extends User>(services: HttpServices<U>, call: UserCall<U>): Promise<Answer> {
  const id = call.params['id'] ?? ''
  const state = await services.ingest.receipt(call.caller.user.id, id)
  if (state === null) throw new SyncError('NOT_FOUND', 'There is no such receipt, or not any more.')
  return state.text === null ? receiptAnswer(call, id) : textAnswer(state.text)
}

function receiptAnswer<U extends User>(call: UserCall<U>, id: string): Answer {
  call.log['receipt'] = id
  return jsonAnswer({ receipt: id }, { status: 202 })
}
