import { SyncError } from '@holdfast/core'

import type { User } from '../engine.ts'
import { type Answer, jsonAnswer, textAnswer } from './answer.ts'
import type { HttpCall, HttpServices, Route } from './http-call.ts'
import { openapiDocument } from './openapi-document.ts'

/** Who may see what. */
export interface OperationAccess {
  readonly metricsAccess: (request: Request) => boolean
}

/** For whoever runs the server: is it alive, is it ready, how does it do, what does it speak. Rules: OP-3 to OP-9. */
export function operationRoutes<U extends User>(
  services: HttpServices<U>,
  access: OperationAccess,
): readonly Route<U>[] {
  let openapiText: string | undefined
  return [
    { method: 'GET', pattern: '/healthz', access: 'anyone', handle: () => jsonAnswer({ status: 'ok' }) },
    { method: 'GET', pattern: '/readyz', access: 'anyone', handle: () => readiness(services) },
    {
      method: 'GET',
      pattern: '/metrics',
      access: 'anyone',
      handle: (call) => metricsText(services, call, access),
    },
    {
      method: 'GET',
      pattern: '/openapi.json',
      access: 'anyone',
      handle: () => textAnswer((openapiText ??= JSON.stringify(openapiDocument(services.schema)))),
    },
  ]
}

/** Ready means that the store answers and nobody is closing it. */
async function readiness<U extends User>({ engine, isClosing }: HttpServices<U>): Promise<Answer> {
  if (isClosing()) throw new SyncError('SERVER_CLOSING', 'The server is shutting down.')
  const { epoch, head } = await engine.stats()
  return jsonAnswer({ status: 'ready', epoch, head, schemaVersion: engine.schemaVersion })
}

async function metricsText<U extends User>(
  { metrics }: HttpServices<U>,
  { request }: HttpCall,
  { metricsAccess }: OperationAccess,
): Promise<Answer> {
  if (!metricsAccess(request)) throw new SyncError('NOT_FOUND', 'There is nothing at this address.')
  return textAnswer(await metrics.text(), { headers: { 'content-type': metrics.contentType } })
}
