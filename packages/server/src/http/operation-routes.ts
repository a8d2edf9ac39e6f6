import { SyncError } from '@holdfast/core'

import type { User } from '../engine.ts'
import { type Answer, jsonAnswer, textAnswer } from './answer.ts'
import type { HttpCall, HttpServices, Route } from './http-call.ts'
import { openapiDocument } from './openapi-document.ts'

/** What operation routes need beside the services. */
export interface OperationOptions<U extends User> {
  /** Who may read /metrics. */
  readonly metricsAccess: (request: Request) => boolean
  /** Every other route, for the description. */
  readonly routes: readonly Route<U>[]
}

/** For whoever runs the server: is it alive, is it ready, how does it do, what does it speak. Rules: OP-3 to OP-9. */
export function operationRoutes<U extends User>(
  services: HttpServices<U>,
  { metricsAccess, routes }: OperationOptions<U>,
): readonly Route<U>[] {
  const route = (pattern: string, handle: (call: HttpCall) => Answer | Promise<Answer>): Route<U> => ({
    method: 'GET',
    pattern,
    access: 'anyone',
    handle,
  })
  let openapiText = ''
  const own = [
    route('/healthz', () => jsonAnswer({ status: 'ok' })),
    route('/readyz', (call) => readiness(services, call)),
    route('/metrics', (call) => metricsText(services, call, metricsAccess)),
    route('/openapi.json', () => textAnswer(openapiText)),
  ]
  // Made at the start, so that a route without a description is noticed then.
  openapiText = JSON.stringify(openapiDocument(services.schema, [...routes, ...own]))
  return own
}

/** Ready means that the store answers and nobody is closing it. */
async function readiness<U extends User>(
  { engine, storeState, isClosing, logger }: HttpServices<U>,
  { requestId }: HttpCall,
): Promise<Answer> {
  if (isClosing()) throw new SyncError('SERVER_CLOSING', 'The server is shutting down.')
  const state = await storeState().catch((err: unknown) => {
    logger?.error({ requestId, err }, 'the store does not answer')
    throw new SyncError('STORE_BUSY', 'The store does not answer.', { cause: err })
  })
  return jsonAnswer({
    status: 'ready',
    epoch: state.epoch,
    head: state.head,
    schemaVersion: engine.schemaVersion,
  })
}

async function metricsText<U extends User>(
  { metrics }: HttpServices<U>,
  { request }: HttpCall,
  metricsAccess: (request: Request) => boolean,
): Promise<Answer> {
  if (!metricsAccess(request)) throw new SyncError('NOT_FOUND', 'There is nothing at this address.')
  return textAnswer(await metrics.text(), { headers: { 'content-type': metrics.contentType } })
}
