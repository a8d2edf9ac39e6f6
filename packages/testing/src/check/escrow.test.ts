import { describe, expect, test } from 'vitest'

import { auditCompleteness } from './audit-completeness.ts'
import { effect } from './effect.ts'
import { exactlyOnce } from './exactly-once.ts'
import { type GivenHistory, givenHistory, type GivenVerdict } from './given-history.ts'
import { noLostMutation } from './no-lost-mutation.ts'
import type { DumpedEscrow, EscrowRuled } from './observation.ts'

const edit: DumpedEscrow = { id: 'm1', user: 'ann', device: 'D1', status: 'waiting' }

/** Ann's first mutation went to escrow. */
function givenEscrowed(): GivenHistory {
  return givenHistory()
    .write(1, { changes: { name: 'Rope' } })
    .send(1)
    .rule(1, { status: 'rejected', code: 'ESCROWED' })
    .gone(1)
}

function accepted(history: GivenHistory, version: number): EscrowRuled {
  const { user, device, id } = edit
  const ruling = { status: 'accepted', verdict: 'applied', version } as const
  return { kind: 'escrow-ruled', atMs: history.atMs, user, device, id, ...ruling }
}

describe('what goes to escrow', () => {
  test('[SIM-95] is lost when nobody has it, and not when the server was put back to before it', () => {
    const kept = givenEscrowed().end({ server: { escrow: [{ ...edit, status: 'refused' }] } })
    expect(kept.found(noLostMutation)).toEqual([])
    expect(givenEscrowed().end().found(noLostMutation)).toEqual([
      'D1 m1 went to escrow, and the server does not have it there',
    ])
    expect(givenEscrowed().restore(0).end().found(noLostMutation)).toEqual([])
    // Its author goes by what was said before.
    const heard = givenHistory()
      .write(1, { changes: { name: 'Rope' } })
      .send(1)
      .rule(1, { status: 'rejected', code: 'ESCROWED' })
      .restore(0)
      .status(1, 'dead', { code: 'ESCROWED' })
      .gone(1)
    expect(heard.end().found(noLostMutation)).toEqual([])
  })

  test('[SIM-95] may be forgotten a month after somebody decided', () => {
    const dayMs = 86_400_000
    const decidedAfter = (days: number): readonly string[] => {
      const history = givenEscrowed()
      history.add(accepted(history, 2)).wait(days * dayMs)
      return history.end().found(noLostMutation)
    }
    expect(decidedAfter(29)).toHaveLength(1)
    expect(decidedAfter(31)).toEqual([])
  })

  test('[SIM-95] is decided about once all is quiet', () => {
    const waiting = { server: { escrow: [edit] } }
    expect(givenEscrowed().end(waiting).found(noLostMutation)).toEqual([
      'm1 still waits in escrow although everything is quiet',
    ])
    expect(
      givenEscrowed()
        .end({ ...waiting, quietAtMs: null })
        .found(noLostMutation),
    ).toEqual([])
  })

  test('[SIM-95] may be decided about before its author hears of it, who forgets it for no other reason', () => {
    const { user, device, id } = edit
    const disputed = { user, device, id, status: 'accepted', verdict: 'conflict', version: null } as const
    const heard = (verdict: GivenVerdict, code: string): readonly string[] => {
      const history = givenHistory().write(1, { changes: { name: 'Rope' } })
      history.send(1).rule(1, verdict).wait(1)
      history.add({ kind: 'escrow-ruled', atMs: history.atMs, ...disputed })
      history.status(1, 'dead', { code }).gone(1)
      return history.end({ server: { escrow: [{ ...edit, status: 'accepted' }] } }).found(noLostMutation)
    }
    const lost = ['d1 forgot m1 (number 1, update of items/r1), dead by then; it was not settled: conflict']
    expect(heard({ status: 'rejected', code: 'ESCROWED' }, 'ESCROWED')).toEqual([])
    expect(heard({ status: 'rejected', code: 'ESCROWED' }, 'NOT_AUTHORIZED')).toEqual(lost)
    expect(heard({ status: 'rejected', code: 'NOT_AUTHORIZED' }, 'ESCROWED')).toEqual(lost)
  })

  test('[SIM-95] takes effect when it is accepted, as its author wrote it, and once', () => {
    const history = givenHistory().line({ op: 'create', version: 1, after: { name: 'a' } })
    history
      .write(1, { changes: { name: 'Rope' }, base: { name: 'a' } })
      .send(1)
      .rule(1, { status: 'rejected', code: 'ESCROWED' })
      .gone(1)
    const line = { user: 'ann', device: 'D1', mutation: 'm1', acceptedBy: 'op' } as const
    const checkers = [effect, exactlyOnce, auditCompleteness]
    history.line({ ...line, version: 5, before: { name: 'a' }, after: { name: 'Rope' } })
    history.add(accepted(history, 5)).status(9, 'pending')
    for (const checker of checkers) expect(history.found(checker)).toEqual([])

    history.line({ ...line, version: 6, before: {}, after: {} })
    history.add(accepted(history, 6)).wait(1)
    expect(history.end().found(exactlyOnce)).toContain('the mutation m1 took effect twice: lines 3 and 4')
  })

  test('[SIM-95] has no effect before that', () => {
    const history = givenEscrowed().line({
      user: 'ann',
      device: 'D1',
      mutation: 'm1',
      after: { name: 'Rope' },
    })
    expect(history.end().found(effect)).toEqual(['m1 is rejected, but line 2 gives it an effect'])
  })
})
