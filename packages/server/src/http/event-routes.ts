import { SyncError } from '@holdfast/core'

import type { User } from '../engine.ts'
import type { Events } from '../events/events.ts'
import { type Answer, jsonAnswer } from './answer.ts'
import type { HttpCall, HttpServices, Route } from './http-call.ts'
import { parseLimit } from './parse-limit.ts'

/** What event routes need beside the services. */
export interface EventRouteOptions {
  readonly events: Pick<Events, 'deadLetters' | 'retry' | 'discard'>
  /** Who may use them. */
  readonly operatorAccess: (request: Request) => boolean
}

/** For whoever runs the server: events that were given up, another try, and dropping them. Rules: EV-15. */
export function eventRoutes<U extends User>(
  { limits }: Pick<HttpServices<U>, 'limits'>,
  { events, operatorAccess }: EventRouteOptions,
): readonly Route<U>[] {
  const route = (
    method: Route<U>['method'],
    pattern: string,
    handle: (call: HttpCall) => Promise<Answer>,
  ): Route<U> => ({
    method,
    pattern,
    access: 'anyone',
    handle: async (call) => {
      if (!operatorAccess(call.request)) throw new SyncError('NOT_FOUND', 'There is nothing at this address.')
      return handle(call)
    },
  })
  const settle = async (done: Promise<boolean>, status: string): Promise<Answer> => {
    if (!(await done)) throw new SyncError('NOT_FOUND', 'There is no such dead letter.')
    return jsonAnswer({ status })
  }
  return [
    route('GET', '/events/dead-letters', async ({ query }) => {
      const limit = parseLimit(query, limits.pullRowsMax)
      return jsonAnswer(await events.deadLetters({ limit, after: query.get('after') ?? undefined }))
    }),
    route('POST', '/events/dead-letters/{id}/retry', ({ params }) =>
      settle(events.retry(params['id'] ?? ''), 'waiting'),
    ),
    route('DELETE', '/events/dead-letters/{id}', ({ params }) =>
      settle(events.discard(params['id'] ?? ''), 'discarded'),
    ),
  ]
}
