import { type ErrorReport, SyncError } from '@holdfast/core'

import type { Caller, User } from '../engine.ts'
import type { Answer } from './answer.ts'
import { errorAnswer, reportOf } from './error-answer.ts'
import type { HttpCall, HttpServices, Route } from './http-call.ts'
import { type Authenticate, headerText, identifyCaller, readTrace } from './identify-caller.ts'
import { readJson } from './read-body.ts'
import { turnedAway } from '../queue/user-shares.ts'
import type { RouteMatch, RouteTable } from './route-table.ts'
import { sendAnswer } from './send-answer.ts'
import { within } from './within.ts'

/** What a request is handled with. */
export interface HandlerParts<U extends User> {
  readonly services: HttpServices<U>
  readonly authenticate: Authenticate<U>
  readonly table: RouteTable<U>
  /** '' or '/api': no slash at the end. */
  readonly basePath: string
  /** A name for the next request that no other request of any node has. */
  readonly nextRequestId: () => string
}

/** What one request has come to, as far as it got. */
interface Progress<U extends User> {
  readonly requestId: string
  readonly startedMs: number
  readonly log: Record<string, unknown>
  readonly headers: Record<string, string>
  match: RouteMatch<U> | undefined
  route: Route<U> | undefined
}

/**
 * Takes a request from its address to its answer: find the route, know the author, let the handler work, and tell
 * metrics and log. Never rejects: whatever is thrown becomes an error answer. Rules: PH-1 to PH-7, OP-1, OP-2.
 */
export async function handleRequest<U extends User>(
  request: Request,
  parts: HandlerParts<U>,
): Promise<Response> {
  const { env } = parts.services
  const requestId = parts.nextRequestId()
  const progress: Progress<U> = {
    requestId,
    startedMs: env.monotonicMs(),
    log: { requestId },
    headers: { 'holdfast-request': requestId },
    match: undefined,
    route: undefined,
  }
  let answer: Answer
  let thrown: unknown
  try {
    answer = await answerRequest(request, parts, progress)
  } catch (error) {
    thrown = error
    answer = errorAnswer(error, {
      requestId,
      isPlain: progress.route?.isPlain === true,
      message: progress.route?.failedMessage,
      allow: progress.match && !progress.route ? allowedMethods(progress.match) : undefined,
    })
  }
  report({ request, parts, progress, answer, thrown })
  return sendAnswer(answer, request, progress.headers)
}

async function answerRequest<U extends User>(
  request: Request,
  parts: HandlerParts<U>,
  progress: Progress<U>,
): Promise<Answer> {
  const { services } = parts
  const { path, query } = splitUrl(request.url)
  progress.match = path.startsWith(`${parts.basePath}/`)
    ? parts.table(path.slice(parts.basePath.length))
    : undefined
  if (!progress.match) throw new SyncError('NOT_FOUND', 'There is nothing at this address.')
  const route = progress.match.routesByMethod.get(request.method === 'HEAD' ? 'GET' : request.method)
  if (!route)
    throw new SyncError('METHOD_NOT_ALLOWED', `This address takes ${allowedMethods(progress.match)}.`)
  progress.route = route
  Object.assign(progress.headers, route.headers)
  const { requestId, log } = progress
  const call: HttpCall = { request, params: progress.match.params, query, requestId, log }
  if (route.access === 'anyone') return route.handle(call)
  if (services.isClosing()) throw new SyncError('SERVER_CLOSING', 'The server is shutting down.')
  log['syncRunId'] = readTrace(request.headers)?.slice(3, 35)
  // Before anybody is asked who it is: turning away must cost nothing.
  const leaves = route.admitted ? [services.admission.enter(route.admitted)] : []
  let isOver = false
  const known = ({ id }: U): void => {
    // Of one that was answered because that took too long nothing is under way any more.
    if (route.admitted && !isOver) leaves.push(services.admission.enterAs(route.admitted, id))
  }
  try {
    return await route.handle({ ...call, caller: await identify(request, parts, { ...progress, known }) })
  } finally {
    isOver = true
    for (const leave of leaves) leave()
  }
}

async function identify<U extends User>(
  request: Request,
  { services, authenticate }: HandlerParts<U>,
  { requestId, log, headers, route, known }: Progress<U> & { readonly known: (user: U) => void },
): Promise<Caller<U>> {
  const { engine, env, limits } = services
  const isAwaited = route?.isStreamed !== true && request.method !== 'GET' && request.method !== 'HEAD'
  let waitsFor: 'authenticate()' | 'its body' | 'scopes()' = 'authenticate()'
  const arrived = async (user: U): Promise<void> => {
    known(user)
    waitsFor = 'its body'
    // The handler, which reads it too, says what is wrong with it.
    if (isAwaited) await readJson(request, limits).catch(() => undefined)
    waitsFor = 'scopes()'
  }
  const now = (): number => env.now()
  const identified = identifyCaller(request, { authenticate, engine, requestId, now, arrived })
  const late = (): Error =>
    waitsFor === 'its body'
      ? turnedAway(env, 'The request came too slowly.')
      : new Error(`a request waited too long for ${waitsFor}`)
  const caller = await within(env, { ms: limits.requestTimeoutMs, late }, identified)
  log['accountId'] = caller.user.id
  log['deviceId'] = caller.device ?? undefined
  headers['holdfast-account'] = headerText(caller.user.id)
  return caller
}

/** Path and query of an absolute URL. Parsing by hand, because this is on the way of every request. */
function splitUrl(url: string): { readonly path: string; readonly query: URLSearchParams } {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const fragment = url.indexOf('#', start)
  const end = fragment === -1 ? url.length : fragment
  const question = url.indexOf('?', start)
  if (question === -1 || question > end) return { path: url.slice(start, end), query: new URLSearchParams() }
  return { path: url.slice(start, question), query: new URLSearchParams(url.slice(question + 1, end)) }
}

function allowedMethods<U extends User>(match: RouteMatch<U>): string {
  const methods = [...match.routesByMethod.keys()]
  return (methods.includes('GET') ? ['HEAD', ...methods] : methods).sort().join(', ')
}

interface Handled<U extends User> {
  readonly request: Request
  readonly parts: HandlerParts<U>
  readonly progress: Progress<U>
  readonly answer: Answer
  readonly thrown: unknown
}

function report<U extends User>({ request, parts, progress, answer, thrown }: Handled<U>): void {
  const { env, metrics, logger } = parts.services
  const route = progress.route?.pattern ?? progress.match?.pattern ?? 'none'
  const { status } = answer
  const durationMs = env.monotonicMs() - progress.startedMs
  const error = thrown === undefined ? undefined : reportOf(thrown, progress.requestId)
  const result = error === undefined ? resultOfStatus(status) : resultOfError(error, status)
  metrics.requestAnswered({ route, method: request.method, status, durationMs, result })
  if (!logger) return
  const fields = {
    code: error?.code,
    ...progress.log,
    method: request.method,
    route,
    status,
    durationMs,
    result,
  }
  // Only what is our own failure goes out with its cause: messages of the other errors may quote what was sent.
  if (error?.code === 'SERVER_FAILED') logger.error({ ...fields, err: thrown }, 'request failed')
  else if (status >= 400) logger.warn(fields, 'request refused')
  else logger.info(fields, 'request answered')
}

/** What came of a request, in the one word that logs and metrics share. */
export type RequestResult = 'success' | 'retry' | 'conflict' | 'rejected' | 'auth-failed'

function resultOfStatus(status: number): RequestResult {
  if (status < 400) return 'success'
  if (status === 409) return 'conflict'
  return status >= 500 ? 'retry' : 'rejected'
}

function resultOfError(error: ErrorReport, status: number): RequestResult {
  if (error.retry === 'after_auth') return 'auth-failed'
  return error.retry === 'backoff' ? 'retry' : resultOfStatus(status)
}
