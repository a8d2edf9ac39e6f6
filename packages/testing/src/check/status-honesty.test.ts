import { describe, expect, test } from 'vitest'

import { givenHistory, type GivenHistory } from './given-history.ts'
import type { StatusFacts } from './observation.ts'
import { statusHonesty } from './status-honesty.ts'

function told(history: GivenHistory, mutation: string, status: string, disk = 'd1'): GivenHistory {
  return history.add({ kind: 'verdict', atMs: history.atMs, disk, mutation, status })
}

function status(said: Partial<StatusFacts>, truth: Partial<StatusFacts>, isIdle = false): readonly string[] {
  const none = { pending: 0, dead: 0, conflicts: 0 }
  const read = { kind: 'status-read', atMs: 0, disk: 'd1', isIdle } as const
  return givenHistory()
    .add({ ...read, said: { ...none, ...said }, truth: { ...none, ...truth } })
    .found(statusHonesty)
}

describe('claims that are not so', () => {
  test('[SIM-82] B54: numbers that differ, and rest although something waits', () => {
    expect(status({ pending: 1 }, { pending: 2, dead: 1 })).toEqual([
      'd1 says 1 pending, but there are 2',
      'd1 says 0 dead, but there are 1',
    ])
    expect(status({ pending: 1 }, { pending: 1 }, true)).toEqual([
      'd1 says that nothing is left to do, but 1 mutations wait',
    ])
  })

  test('[SIM-82] a verdict before the server gave one, or another than it gave', () => {
    expect(told(givenHistory().write(1).send(1), 'm1', 'applied').rule(1).found(statusHonesty)).toEqual([
      'd1 was told that m1 was applied, but the server had said nothing',
    ])
    const refused = givenHistory().write(1).send(1).rule(1, { status: 'rejected' })
    expect(told(refused, 'm1', 'applied').found(statusHonesty)).toEqual([
      'd1 was told that m1 was applied, but the server had said rejected',
    ])
  })

  test('[SIM-82] a refusal that nobody made, and a verdict on what was never written', () => {
    expect(told(givenHistory().write(1).send(1), 'm1', 'rejected').found(statusHonesty)).toEqual([
      'd1 was told that m1 was rejected, but the server had said nothing',
    ])
    expect(told(givenHistory(), 'm9', 'merged').found(statusHonesty)).toEqual([
      'd1 was told that m9 was merged, which it never wrote',
    ])
  })
})

describe('claims that are', () => {
  test('[SIM-82] of a fold, each of its mutations, also after the server forgot', () => {
    const history = givenHistory()
      .write(1)
      .write(2)
      .send(1, 2)
      .rule(1, { covers: '1-2', status: 'merged' })
      .restore(0)
    expect(told(told(history, 'm1', 'merged'), 'm2', 'merged').found(statusHonesty)).toEqual([])
  })

  test('[SIM-82] of what was given up after too many attempts, cancelled out, or gone before anybody asked', () => {
    const history = givenHistory()
      .write(1)
      .send(1)
      .status(1, 'dead', { code: 'ATTEMPTS_EXHAUSTED' })
      .write(2)
      .write(3)
    expect(
      told(told(told(history, 'm1', 'rejected'), 'm2', 'nothing'), 'm3', 'settled').found(statusHonesty),
    ).toEqual([])
  })

  test('[SIM-82] of what another copy of the disk sent, and of what moved', () => {
    const history = givenHistory().write(1)
    history.copy(history.entry(1)).send(1).rule(1)
    expect(told(history, 'm1', 'applied', 'd2').found(statusHonesty)).toEqual([])
    const moved = givenHistory()
      .write(1)
      .send(1)
      .rule(1, { status: 'rejected' })
      .status(1, 'dead')
      .move(1, 2, 'again')
    moved.status(2, 'sending', { id: 'again' }).rule(2, { id: 'again' })
    expect(told(told(moved, 'm1', 'rejected'), 'again', 'applied').found(statusHonesty)).toEqual([])
  })
})
