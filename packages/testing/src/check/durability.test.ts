import { describe, expect, test } from 'vitest'

import { durability } from './durability.ts'
import { givenHistory, type GivenHistory } from './given-history.ts'

function call(history: GivenHistory, number: number, what = 'insert items'): GivenHistory {
  return history.add({ kind: 'call', atMs: history.atMs, disk: 'd1', call: number, what })
}

function done(history: GivenHistory, number: number, ...mutations: readonly string[]): GivenHistory {
  const { atMs } = history
  return history.add({
    kind: 'call-ended',
    atMs,
    disk: 'd1',
    call: number,
    result: 'done',
    code: null,
    mutations,
  })
}

function refused(history: GivenHistory, number: number): GivenHistory {
  const { atMs } = history
  const ended = {
    kind: 'call-ended',
    atMs,
    disk: 'd1',
    call: number,
    result: 'refused',
    code: 'STORE_FULL',
  } as const
  return history.add({ ...ended, mutations: [] })
}

describe('storage that breaks its word', () => {
  test('[SIM-35] a call that is done before its mutation is stored', () => {
    const history = done(call(givenHistory(), 1), 1, 'm1').write(1).end()
    expect(history.found(durability)).toEqual(['call 1 on d1 said that m1 was stored, but it was not'])
  })

  test('[SIM-35] a call that was refused and wrote', () => {
    const history = refused(call(givenHistory(), 1).write(1), 1).end()
    expect(history.found(durability)).toEqual([
      'call 1 on d1 was refused (STORE_FULL), but 1 mutations were written meanwhile',
    ])
  })

  test('[SIM-35] a call that names what was there before', () => {
    const history = done(call(givenHistory().write(1), 1), 1, 'm1').end()
    expect(history.found(durability)).toEqual(['call 1 on d1 said that it stored m1, which was there before'])
  })

  test('[SIM-35] B20: a power cut that takes what was promised', () => {
    const history = givenHistory().write(1).powerCut('full', 1).end()
    expect(history.found(durability)).toEqual([
      'a power cut took 1 mutations of d1 that were promised to survive one: m1',
    ])
  })

  test('[SIM-35] B20: a power cut that takes what the server has, or gets later', () => {
    const message =
      'a power cut took m1 (number 1) of d1, which the server has: it was sent before it was safe'
    expect(givenHistory().write(1).send(1).rule(1).powerCut('fast', 1).end().found(durability)).toEqual([
      message,
    ])
    expect(givenHistory().write(1).send(1).powerCut('fast', 1).rule(1).end().found(durability)).toEqual([
      message,
    ])
  })
})

describe('storage that keeps it', () => {
  test('[SIM-35] a call that was refused while what a history has lost came back', () => {
    const written = givenHistory().write(1).send(1).rule(1).gone(1)
    expect(
      refused(call(written.restore(0), 1).write(1), 1)
        .end()
        .found(durability),
    ).toEqual([])
    expect(refused(call(written, 2).write(3), 2).end().found(durability)).toHaveLength(1)
  })

  test('[SIM-35] calls that run side by side, one of them refused', () => {
    const history = done(refused(call(call(givenHistory(), 1), 2).write(1), 2), 1, 'm1').end()
    expect(history.found(durability)).toEqual([])
  })

  test('[SIM-35] a power cut that takes what was never sent, and numbers that are used again', () => {
    const history = givenHistory().write(1).write(2).send(1).rule(1).powerCut('fast', 2)
    history.write(2, { id: 'other' }).status(2, 'sending', { id: 'other' }).rule(2, { id: 'other' })
    expect(history.end().found(durability)).toEqual([])
  })

  test('[SIM-35] a power cut that takes the new place of a dead letter, unless that was offered there', () => {
    const told = (isOffered: boolean): readonly string[] => {
      const history = givenHistory().write(1).send(1).rule(1, { status: 'rejected' }).status(1, 'dead')
      history.move(1, 2, 'm1')
      if (isOffered) history.status(2, 'sending', { id: 'm1' })
      history.lose({ durability: 'fast', entries: [{ seq: 2, id: 'm1' }], back: [history.entry(1)] })
      return history.end().found(durability)
    }
    expect(told(false)).toEqual([])
    expect(told(true)).toEqual([
      'a power cut took m1 (number 2) of d1, which the server has: it was sent before it was safe',
    ])
  })

  test('[SIM-35] a discard that names what it took, and a retry that names what it moved', () => {
    const history = givenHistory().write(1).write(2)
    done(call(history, 1, 'repair discard').gone(1), 1, 'm1')
    done(call(history, 2, 'repair retry').move(2, 3, 'again'), 2, 'again')
    expect(history.end().found(durability)).toEqual([])
  })

  test('[SIM-35] what was lost here but lives on in a copy of the disk', () => {
    const history = givenHistory().write(1)
    history.copy(history.entry(1)).powerCut('fast', 1).status(1, 'sending', { disk: 'd2' }).rule(1)
    expect(history.end().found(durability)).toEqual([])
  })
})
