import { describe, expect, test } from 'vitest'

import { exactlyOnce } from './exactly-once.ts'
import { givenHistory } from './given-history.ts'

const change = { changes: { name: 'Rope' } }

describe('what takes effect twice', () => {
  test('[SIM-31] a mutation with two lines', () => {
    const history = givenHistory()
      .write(1, change)
      .send(1)
      .rule(1)
      .line({ user: 'ann', device: 'D1', mutation: 'm1' })
    expect(history.end().found(exactlyOnce)).toEqual(['the mutation m1 took effect twice: lines 1 and 2'])
  })

  test('[SIM-31] a number under two keys, also inside a fold', () => {
    const history = givenHistory()
      .write(1)
      .write(2)
      .send(1, 2)
      .rule(1, { covers: '1-2' })
      .rule(2, { id: 'other' })
    expect(history.end().found(exactlyOnce)).toEqual(['number 2 of D1 is final under two keys: m1 and other'])
  })

  test('[SIM-31] a key that is ruled on twice', () => {
    const history = givenHistory().write(1).send(1).rule(1).rule(1, { line: false, version: null })
    expect(history.end().found(exactlyOnce)).toEqual(['the server ruled twice on the key m1'])
  })

  test('[SIM-31] B17: what a copy of the disk offers again under a new name', () => {
    const history = givenHistory().write(1, change)
    history.copy(history.entry(1, change)).send(1).rule(1)
    history.add({
      kind: 'entry-moved',
      atMs: 0,
      disk: 'd2',
      device: 'D2',
      from: { seq: 1, id: 'm1' },
      to: { seq: 2, id: 'again' },
    })
    history
      .status(2, 'sending', { disk: 'd2', device: 'D2', id: 'again' })
      .rule(2, { device: 'D2', id: 'again', op: 'update' })
    expect(history.end().found(exactlyOnce)).toEqual([
      'what m1 wrote to r1 took effect in line 1 and again, as again, in line 2',
    ])
  })
})

describe('what takes effect once', () => {
  test('[SIM-31] a repeat that finds its outcome, on another copy of the disk', () => {
    const history = givenHistory().write(1, change)
    history.copy(history.entry(1, change)).send(1).rule(1).status(1, 'sending', { disk: 'd2' })
    expect(history.gone(1).leave(1, { disk: 'd2' }).end().found(exactlyOnce)).toEqual([])
  })

  test('[SIM-31] a dead letter that is tried again under a new key, on both copies of a disk', () => {
    const history = givenHistory().write(1, change).send(1).rule(1, { status: 'rejected' }).status(1, 'dead')
    history.copy(history.entry(1, change)).status(1, 'dead', { disk: 'd2' })
    history.move(1, 2, 'again').status(2, 'sending', { id: 'again' }).rule(2, { id: 'again' })
    history.add({
      kind: 'entry-moved',
      atMs: 0,
      disk: 'd2',
      device: 'D2',
      from: { seq: 1, id: 'm1' },
      to: { seq: 2, id: 'more' },
    })
    history
      .status(2, 'sending', { disk: 'd2', device: 'D2', id: 'more' })
      .rule(2, { device: 'D2', id: 'more' })
    expect(history.end().found(exactlyOnce)).toEqual([])
  })

  test('[SIM-31] what a restored server forgot and is told again', () => {
    const history = givenHistory().write(1, change).send(1).rule(1).restore(0).send(1).rule(1)
    expect(history.end().found(exactlyOnce)).toEqual([])
  })

  test('[SIM-31] the same number and key on two devices', () => {
    const history = givenHistory().write(1, change).send(1).rule(1)
    history
      .write(1, { ...change, disk: 'd2', device: 'D2', id: 'other' })
      .status(1, 'sending', { disk: 'd2', device: 'D2', id: 'other' })
    expect(history.rule(1, { device: 'D2', id: 'other', user: 'bo' }).end().found(exactlyOnce)).toEqual([])
  })
})
