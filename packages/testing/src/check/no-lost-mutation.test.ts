import { describe, expect, test } from 'vitest'

import { type GivenHistory, givenHistory } from './given-history.ts'
import { noLostMutation } from './no-lost-mutation.ts'
import type { FormStep, Payload } from './observation.ts'

const escrowed = { status: 'rejected', version: null, code: 'ESCROWED' } as const

describe('mutations that are lost', () => {
  test('[SIM-30] a mutation that leaves before the server took it', () => {
    const history = givenHistory().write(1).send(1).gone(1).rule(1).end()
    expect(history.found(noLostMutation)).toEqual([
      'd1 forgot m1 (number 1, update of items/r1), sending by then; the server never ruled on it',
    ])
  })

  test('[SIM-30] a refused mutation that nobody gave up', () => {
    const history = givenHistory()
      .write(1)
      .send(1)
      .rule(1, { status: 'rejected', code: 'UNIQUE_VIOLATION' })
      .status(1, 'dead', { code: 'UNIQUE_VIOLATION' })
      .gone(1)
      .end()
    expect(history.found(noLostMutation)).toEqual([
      'd1 forgot m1 (number 1, update of items/r1), dead by then; it was not settled: rejected',
    ])
  })

  test('[SIM-30] B18: a repaired dead letter that forgets what it counted', () => {
    const repaired = (
      increments: Payload['increments'],
      ...forms: readonly FormStep[]
    ): readonly string[] => {
      const refused = givenHistory()
        .write(1, { changes: { name: 'a' }, increments: { stock: 3 } })
        .status(1, 'dead', { code: 'VALUE_INVALID' })
      const payload = { changes: { name: 'b' }, base: null, increments, additions: {}, removals: {} }
      const { atMs } = refused
      refused.add(...forms, {
        kind: 'entry-payload',
        atMs,
        disk: 'd1',
        device: 'D1',
        seq: 1,
        id: 'm1',
        payload,
      })
      return refused.found(noLostMutation)
    }
    expect(repaired({})).toEqual(['m1 was repaired on d1 and lost what it did to stock'])
    expect(repaired({ stock: 4 })).toEqual([])
    const form = (step: FormStep['step']): FormStep => ({
      kind: 'form',
      atMs: 0,
      disk: 'd1',
      form: 1,
      step,
      record: 'items/r1',
    })
    expect(repaired({}, form('saving'))).toEqual([])
    expect(repaired({}, form('saving'), form('saved'))).toHaveLength(1)
  })

  test('[SIM-30] what a restored server forgot is settled only by what it had said before', () => {
    const heard = givenHistory().write(1).send(1).line().rule(1).status(1, 'answered')
    expect(heard.restore(0).gone(1).end().found(noLostMutation)).toEqual([])
    const later = givenHistory().write(1).send(1).line().rule(1).status(1, 'answered').restore(0).wait(1_000)
    later.add({ kind: 'request', atMs: later.atMs, disk: 'd1', route: 'pull' }).gone(1)
    expect(later.end().found(noLostMutation)).toEqual([
      'd1 forgot m1 (number 1, update of items/r1), answered by then; the server never ruled on it',
    ])
  })

  test('[SIM-30] a conflict that was in no list', () => {
    const history = givenHistory().write(1).send(1).rule(1, { status: 'conflict' }).gone(1).end()
    expect(history.found(noLostMutation)).toEqual([
      'd1 forgot m1 (number 1, update of items/r1), sending by then; it was not settled: conflict',
    ])
  })

  test('[SIM-30] B17: a number that another copy of the disk used for something else', () => {
    const history = givenHistory().write(1)
    history
      .copy(history.entry(1))
      .write(2, { id: 'one' })
      .write(2, { id: 'other', disk: 'd2' })
      .send(1)
      .status(2, 'sending', { id: 'one', offer: 1 })
      .rule(1, { covers: '1-2' })
      .leave(1, { disk: 'd2' })
      .leave(2, { disk: 'd2', id: 'other' })
    expect(history.end().found(noLostMutation)).toEqual([
      'd2 forgot other (number 2, update of items/r1), pending by then; the server never ruled on it',
    ])
  })

  test('[SIM-30] a create and its delete that vanish unsent: a copy of the disk may send the create', () => {
    const pair = givenHistory().write(1, { op: 'create' }).write(2, { op: 'delete' }).gone(1, 2).end()
    expect(pair.found(noLostMutation)).toHaveLength(2)
  })

  test('[SIM-30] one that is not in the outbox in the end, or still on its way', () => {
    const entry = { ...givenHistory().entry(1), status: 'sending', code: null } as const
    const history = givenHistory()
      .write(1)
      .send(1)
      .write(2)
      .end({ devices: [{ outbox: [entry] }] })
    expect(history.found(noLostMutation)).toEqual([
      'm2 (number 2) is not in the outbox of d1, and nobody saw it leave',
      'd1 still has m1 (number 1) as sending although everything is quiet',
    ])
  })

  test('[SIM-30] a pending mutation that was given up although nobody was asked', () => {
    const history = givenHistory().write(1).discard('m1').gone(1).end()
    expect(history.found(noLostMutation)).toHaveLength(1)
  })
})

describe('mutations that are accounted for', () => {
  test('[SIM-30] an outcome that came with a pull, without an answer, and stands for a fold', () => {
    const history = givenHistory().write(1).write(2).send(1, 2).rule(1, { covers: '1-2' }).gone(1, 2).end()
    expect(history.found(noLostMutation)).toEqual([])
  })

  test('[SIM-30] a dead letter that was retried under another key and then taken', () => {
    const history = givenHistory()
      .write(1)
      .send(1)
      .rule(1, { status: 'rejected' })
      .status(1, 'dead')
      .move(1, 2, 'again')
      .status(2, 'sending', { id: 'again' })
      .rule(2, { id: 'again' })
      .leave(2, { id: 'again' })
      .end()
    expect(history.found(noLostMutation)).toEqual([])
  })

  test('[SIM-30] a discarded create with the edits that stood on it, whenever that was told', () => {
    const dead = givenHistory()
      .write(1, { op: 'create' })
      .write(2)
      .send(1)
      .rule(1, { status: 'rejected' })
      .status(1, 'dead')
    expect(dead.discard('m1', 'm2').gone(1, 2).end().found(noLostMutation)).toEqual([])
    const later = givenHistory().write(1).send(1).rule(1, { status: 'rejected' }).status(1, 'dead').gone(1)
    expect(later.wait(10).discard('m1').wait(70_000).end().found(noLostMutation)).toEqual([])
  })

  test('[SIM-30] a discarded create that another copy of the disk had sent to escrow, with the edits that stood on it', () => {
    const history = givenHistory()
      .write(1, { op: 'create' })
      .write(2)
      .send(1)
      .rule(1, { status: 'rejected', code: 'ESCROWED' })
      .status(1, 'dead', { code: 'ESCROWED' })
      .discard('m1', 'm2')
      .gone(1, 2)
      .end({ server: { escrow: [{ user: 'ann', device: 'D1', id: 'm1', status: 'accepted' }] } })
    expect(history.found(noLostMutation)).toEqual([])
  })

  test('[SIM-30] what another copy of the disk had sent to escrow under a name of its own, and an operator decided about', () => {
    const history = (id: string): GivenHistory =>
      givenHistory()
        .write(1)
        .send(1)
        .rule(1, { status: 'conflict' })
        .add({ kind: 'outcome', atMs: 0, user: 'ann', device: 'D2', seq: 9, covers: '9', id, ...escrowed })
        .status(1, 'dead', { code: 'ESCROWED' })
        .gone(1)
        .end({ server: { escrow: [{ user: 'ann', device: 'D2', id, status: 'accepted' }] } })
    expect(history('m1').found(noLostMutation)).toEqual([])
    expect(history('m7').found(noLostMutation)).toHaveLength(1)
  })

  test('[SIM-30] a discarded create with a second one of the same record, dead or on its way', () => {
    for (const status of ['sending', 'dead'] as const) {
      const history = givenHistory()
      for (const seq of [1, 3]) history.write(seq, { op: 'create', record: 'r1' })
      history.write(2, { record: 'r1' }).send(1, 3).rule(1, { status: 'rejected' }).status(1, 'dead')
      if (status === 'dead') history.rule(3, { status: 'rejected' }).status(3, 'dead')
      history.discard('m1', 'm2', 'm3').gone(1, 2, 3).end()
      expect(history.found(noLostMutation)).toEqual([])
    }
  })

  test('[SIM-30] what another copy of the disk sent under the number it had there', () => {
    const history = givenHistory().write(1)
    history.copy(history.entry(1)).add({
      kind: 'entry-moved',
      atMs: 0,
      disk: 'd2',
      device: 'D1',
      from: { seq: 1, id: 'm1' },
      to: { seq: 2, id: 'm1' },
    })
    history.send(1).rule(1).leave(2, { disk: 'd2', id: 'm1' })
    expect(history.gone(1).end().found(noLostMutation)).toEqual([])
  })

  test('[SIM-30] what another copy of the disk sent before this one had a new name, alone or in a fold', () => {
    const renamed = (isRuled: boolean): readonly string[] => {
      const history = givenHistory().write(1).write(2)
      history.copy(history.entry(1), history.entry(2)).send(1, 2)
      if (isRuled) history.rule(1, { covers: '1-2' })
      const mine = { disk: 'd2', device: 'D2' }
      history.add({ kind: 'identity', atMs: 0, ...mine, user: 'ann' })
      for (const seq of [1, 2]) history.status(seq, 'sending', mine).status(seq, 'answered', mine)
      return history.leave(1, mine).leave(2, mine).end().found(noLostMutation)
    }
    expect(renamed(true)).toEqual([])
    expect(renamed(false)).toEqual([
      expect.stringContaining('d2 forgot m1 (number 1'),
      expect.stringContaining('d2 forgot m2 (number 2'),
    ])
  })

  test('[SIM-30] a conflict that was listed, and one that was settled before its author heard of it', () => {
    const listed = givenHistory()
      .write(1)
      .send(1)
      .rule(1, { status: 'conflict' })
      .status(1, 'conflicted')
      .gone(1)
    expect(listed.end().found(noLostMutation)).toEqual([])
    const settled = givenHistory()
      .write(1)
      .send(1)
      .rule(1, { status: 'conflict' })
      .write(1, { disk: 'd2', device: 'D2', id: 'keep', resolves: 'c1' })
      .status(1, 'sending', { disk: 'd2', device: 'D2', id: 'keep' })
      .rule(1, { device: 'D2', id: 'keep', user: 'bo' })
      .leave(1, { disk: 'd2', device: 'D2', id: 'keep' })
      .gone(1)
    expect(settled.end().found(noLostMutation)).toEqual([])
  })

  test('[SIM-30] a conflict that a copy of the disk had, under another name by now, and one that it had by its other copy', () => {
    const history = givenHistory().write(1).send(1).rule(1, { status: 'conflict' }).status(1, 'conflicted')
    history.copy(history.entry(1)).status(1, 'conflicted', { disk: 'd2' })
    history.leave(1, { disk: 'd2', device: 'D2' })
    expect(history.end().found(noLostMutation)).toEqual([])
    const shared = givenHistory().write(1)
    shared.copy(shared.entry(1)).send(1).rule(1, { status: 'conflict' })
    shared.status(1, 'conflicted', { disk: 'd2', offer: null }).leave(1, { disk: 'd2', device: 'D2' })
    expect(shared.end().found(noLostMutation)).toEqual([])
  })

  test('[SIM-30] what a power cut took, and what waits for a person or behind one', () => {
    const cut = givenHistory().write(1).write(2).powerCut('fast', 1, 2).end()
    expect(cut.found(noLostMutation)).toEqual([])
    const history = givenHistory()
      .write(1, { op: 'create' })
      .write(2)
      .write(3, { record: 'r2', changes: { parent: 'r1' } })
    const [one, two, three] = history.list.filter((o) => o.kind === 'entry-written')
    if (!one || !two || !three) throw new Error('three were written')
    const outbox = [
      { ...one, status: 'dead', code: 'SCOPE_DENIED' },
      { ...two, status: 'pending', code: null },
      { ...three, status: 'pending', code: null },
    ] as const
    expect(history.end({ devices: [{ outbox }] }).found(noLostMutation)).toEqual([])
  })
})
