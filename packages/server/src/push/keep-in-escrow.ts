import { errorTable, newUuid } from '@holdfast/core'
import { auditBase } from '../audit/audit-line.ts'
import type { User } from '../engine.ts'
import type { MemberVerdict, ReadOffer } from './judge-mutation.ts'
import type { Session } from './session.ts'

/**
 * Keeps a unit for an operator as it came. Its author may not see the record any more, so that nothing of the record is
 * read and every answer is the same, whether there is such a record or not. Rules: ES-1, ES-2.
 */
export function keepInEscrow<U extends User>(
  session: Session<U>,
  members: readonly ReadOffer[],
): readonly MemberVerdict[] {
  const { caller, effects, env, now } = session
  const unit = newUuid(env)
  const { meaning: message, retry } = errorTable.ESCROWED
  return members.map((offer, place) => {
    const { id, mutation } = offer
    const { escrow: _, ...kept } = mutation
    const { collection, record, changes } = mutation
    effects.escrow.push({
      unit,
      place,
      id,
      user: caller.user.id,
      device: caller.device ?? '',
      collection,
      record,
      mutation: JSON.stringify(kept),
      at: now,
    })
    effects.audit.push({
      ...auditBase(session, mutation),
      op: 'none',
      version: null,
      before: null,
      after: changes,
      decisions: [],
      status: 'rejected',
      code: 'ESCROWED',
    })
    const error = { code: 'ESCROWED', message, retry } as const
    return { offer, status: 'rejected', version: null, isExact: false, record: null, error }
  })
}
