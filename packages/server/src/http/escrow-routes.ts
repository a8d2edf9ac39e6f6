import { type Limits, SyncError } from '@holdfast/core'

import type { User } from '../engine.ts'
import type { EscrowDecision } from '../escrow/escrowed-edit.ts'
import { plainStatus } from '../plain/plain-answer.ts'
import { type Answer, jsonAnswer } from './answer.ts'
import type { HttpServices, Route, UserCall } from './http-call.ts'
import { parseLimit } from './parse-limit.ts'
import { readObjectBody } from './read-body.ts'

/** Edits of people who lost the right to the record, for reviewers: a list, and one call to decide. Rules: ES-4 to ES-8. */
export function escrowRoutes<U extends User>(services: HttpServices<U>): readonly Route<U>[] {
  return [
    {
      method: 'GET',
      pattern: '/escrow',
      access: 'user',
      isPlain: true,
      admitted: 'pull',
      handle: (call) => listEscrow(services, call),
    },
    {
      method: 'POST',
      pattern: '/escrow/{id}',
      access: 'user',
      isPlain: true,
      admitted: 'push',
      handle: (call) => decideEscrow(services, call),
    },
  ]
}

async function listEscrow<U extends User>(
  { engine, limits }: HttpServices<U>,
  { query, caller }: UserCall<U>,
): Promise<Answer> {
  const status = query.get('status') ?? 'waiting'
  if (status !== 'waiting' && status !== 'accepted' && status !== 'refused' && status !== 'all') {
    throw new SyncError('REQUEST_INVALID', 'status is waiting, accepted, refused or all.')
  }
  const { edits, next } = await engine.escrow(caller, {
    ...(status !== 'all' && { status }),
    limit: parseLimit(query, limits.pullRowsMax),
    after: query.get('after') ?? undefined,
  })
  return jsonAnswer({ escrow: edits, next })
}

async function decideEscrow<U extends User>(services: HttpServices<U>, call: UserCall<U>): Promise<Answer> {
  const decision = parseDecision(await readObjectBody(call.request, services.limits), services.limits)
  const { edit, error } = await services.engine.decideEscrow(call.caller, call.params['id'] ?? '', decision)
  if (!error) return jsonAnswer(edit)
  call.log['code'] = error.code
  const { message } = error
  const status = plainStatus(error)
  const report = { ...error, requestId: call.requestId }
  return jsonAnswer(
    { status: status === 409 ? 'conflict' : 'error', message, edit, error: report },
    { status },
  )
}

function parseDecision(
  { kind, reason = null }: Readonly<Record<string, unknown>>,
  { escrowReasonLength }: Limits,
): EscrowDecision {
  if (kind === 'accept') return { kind }
  if (kind !== 'refuse') throw new SyncError('REQUEST_INVALID', 'kind is accept or refuse.')
  const isText = typeof reason === 'string' && reason.length <= escrowReasonLength
  if (reason !== null && !isText)
    throw new SyncError('REQUEST_INVALID', `reason is a text of at most ${escrowReasonLength} characters.`)
  return { kind, reason }
}
