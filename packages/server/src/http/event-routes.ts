import { SyncError } from '@holdfast/core'

import type { User } from '../engine.ts'
import type { Events } from '../events/events.ts'
import { jsonAnswer } from './answer.ts'
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
  const check = ({ request }: HttpCall): void => {
    if (!operatorAccess(request)) throw new SyncError('NOT_FOUND', 'There is nothing at this address.')
  }
  const settle = async (done: Promise<boolean>, status: string): Promise<ReturnType<typeof jsonAnswer>> => {
    if (!(await done)) throw new SyncError('NOT_FOUND', 'There is no such dead letter.')
    return jsonAnswer({ status })
  }
  return [
    {
      method: 'GET',
      pattern: '/events/dead-letters',
      access: 'anyone',
      handle: async (call) => {
        check(call)
        const limit = parseLimit(call.query, limits.pullRowsMax)
        const after = call.query.get('after') ?? undefined
        return jsonAnswer(await events.deadLetters({ limit, after }))
      },
    },
    {
      method: 'POST',
      pattern: '/events/dead-letters/{id}/retry',
      access: 'anyone',
      handle: (call) => {
        check(call)
        return settle(events.retry(call.params['id'] ?? ''), 'waiting')
      },
    },
    {
      method: 'DELETE',
      pattern: '/events/dead-letters/{id}',
      access: 'anyone',
      handle: (call) => {
        check(call)
        return settle(events.discard(call.params['id'] ?? ''), 'discarded')
      },
    },
  ]
}
