import { describe, expect, test } from 'vitest'

import { givenHistory, type GivenHistory, type GivenVerdict } from './given-history.ts'
import { noResurrection } from './no-resurrection.ts'

/** `items/r1`, deleted by somebody beside the server in line 2, at version 2. */
function givenDeleted(): GivenHistory {
  return givenHistory()
    .line({ op: 'create', after: { name: 'Rope' } })
    .line({ op: 'delete', before: { name: 'Rope' } })
}

describe('records that come back by themselves', () => {
  test('[SIM-84] B43: an edit that knew of no deletion', () => {
    const history = givenDeleted().write(1, { baseVersion: 1 }).send(1).rule(1, { op: 'restore' })
    expect(history.end().found(noResurrection)).toEqual([
      'items/r1, deleted in line 2, is back in line 3: update m1 saw version 1 and knew of no deletion',
    ])
  })

  test('[SIM-84] an update that brings back without saying so', () => {
    const history = givenDeleted().write(1, { baseVersion: 2 }).send(1).rule(1, { op: 'update' })
    expect(history.end().found(noResurrection)).toEqual([
      'items/r1, deleted in line 2, is back in line 3: by an update',
    ])
  })

  test('[SIM-84] an edit that is returned, over a deletion that had come after it', () => {
    expect(givenReturned({ op: 'delete' }).found(noResurrection)).toEqual([
      'items/r1, deleted in line 2, is back in line 3: update m1 saw version 1 and knew of no deletion',
    ])
  })

  test('[SIM-84] what a lost history had taken from somebody who knew of no deletion', () => {
    const history = givenDeleted()
      .write(1, { baseVersion: 1 })
      .send(1)
      .rule(1, { op: 'none', status: 'conflict' })
    const returned = history.restore(2).send(1).rule(1, { op: 'restore' }).end()
    expect(returned.found(noResurrection)).toEqual([
      'items/r1, deleted in line 2, is back in line 3: update m1 saw version 1 and knew of no deletion',
    ])
  })

  test('[SIM-84] an old create that is repeated', () => {
    const history = givenHistory()
      .write(1, { op: 'create' })
      .wait(10)
      .line({ op: 'create' })
      .line({ op: 'delete' })
    expect(history.send(1).rule(1, { op: 'create' }).end().found(noResurrection)).toEqual([
      'items/r1, deleted in line 2, is back in line 3: create m1 saw version 0 and knew of no deletion',
    ])
  })
})

describe('records that somebody brings back', () => {
  test('[SIM-84] who saw the deletion, made it himself, or settles a conflict about it', () => {
    const seen = givenDeleted().write(1, { op: 'create', baseVersion: 2 }).send(1).rule(1, { op: 'restore' })
    expect(seen.end().found(noResurrection)).toEqual([])
    const edited = givenDeleted().line({ before: { name: 'Rope' }, after: { name: 'Cord' } })
    const late = edited.write(1, { baseVersion: 3 }).send(1).rule(1, { op: 'restore' })
    expect(late.end().found(noResurrection)).toEqual([])
    const own = givenHistory()
      .write(1, { op: 'create' })
      .write(2, { op: 'delete' })
      .write(3, { op: 'create' })
    own.send(1).send(2).send(3).rule(1).rule(2).rule(3, { op: 'restore' })
    expect(own.end().found(noResurrection)).toEqual([])
    const settled = givenDeleted().write(1, { resolves: 'c1' }).send(1).rule(1, { op: 'restore' })
    expect(settled.end().found(noResurrection)).toEqual([])
  })

  test('[SIM-84] who made it on a disk that was copied since, and goes by another name there', () => {
    const other = { disk: 'd2', device: 'D2' } as const
    const anew = (isCopied: boolean): readonly string[] => {
      const history = givenHistory()
        .line({ op: 'create', after: { name: 'Rope' } })
        .write(1, { op: 'delete', changes: {}, baseVersion: 1 })
      history.copy(...(isCopied ? [history.entry(1)] : []))
      history.send(1).rule(1, { op: 'delete', before: { name: 'Rope' } })
      return history
        .write(2, { ...other, op: 'create', baseVersion: 1 })
        .status(2, 'sending', other)
        .rule(2, { device: 'D2', op: 'restore' })
        .end()
        .found(noResurrection)
    }
    expect(anew(true)).toEqual([])
    expect(anew(false)).toHaveLength(1)
  })

  test('[SIM-84] by a rule that lets the edit win, and says so', () => {
    const decisions = [
      { field: 'name', rule: 'onDelete.edit', winner: 'mine', mine: 'Cord', theirs: null, result: 'Cord' },
    ]
    const history = givenDeleted().write(1, { baseVersion: 1 }).send(1)
    expect(
      history.rule(1, { status: 'merged', op: 'restore', decisions }).end().found(noResurrection),
    ).toEqual([])
  })

  test('[SIM-84] beside the server, without a device, or anew once the tombstone was collected', () => {
    expect(givenDeleted().line({ op: 'create' }).end().found(noResurrection)).toEqual([])
    expect(
      givenDeleted().line({ op: 'restore', user: 'ann', mutation: 'p1' }).end().found(noResurrection),
    ).toEqual([])
    const anew = givenDeleted().wait(10).write(1, { op: 'create' }).send(1).rule(1, { op: 'create' })
    expect(anew.end().found(noResurrection)).toEqual([])
  })

  test('[SIM-84] by a server that was put back to before the deletion', () => {
    const history = givenDeleted()
      .restore(1)
      .write(1, { changes: { name: 'Cord' } })
      .send(1)
      .rule(1)
    expect(history.end().found(noResurrection)).toEqual([])
  })

  test('[SIM-84] in a history that is lost, after which somebody had edited it, who returns that', () => {
    const history = givenDeleted().line({ op: 'restore', user: 'ann', mutation: 'p1' })
    const edited = history.write(1, { baseVersion: 3 }).send(1).rule(1, { op: 'update' })
    expect(edited.restore(2).send(1).rule(1, { op: 'restore' }).end().found(noResurrection)).toEqual([])
  })

  test('[SIM-84] who returns an edit, over a deletion that is returned and that had had no effect beside it', () => {
    const history = givenReturned({ op: 'none', status: 'merged' })
    expect(history.found(noResurrection)).toEqual([])
  })

  test('[SIM-84] who returns it twice, over a deletion that had had no effect in the history between', () => {
    const bob = { device: 'D2', user: 'bob' }
    const twice = (deletion: GivenVerdict): readonly string[] =>
      givenTaken()
        .restore(1)
        .rule(1)
        .rule(2, { ...bob, ...deletion })
        .restore(1)
        .rule(2, { ...bob, op: 'delete' })
        .rule(1, { op: 'restore' })
        .end()
        .found(noResurrection)
    expect(twice({ op: 'none', status: 'merged' })).toEqual([])
    expect(twice({ op: 'delete' })).toHaveLength(1)
  })

  test('[SIM-84] what was in dispute first and was taken in a later history, over what was deleted before that', () => {
    const first = (status: 'conflict' | 'applied'): readonly string[] =>
      givenTaken({ op: 'none', status: 'conflict' })
        .rule(2, { device: 'D2', user: 'bob', op: 'delete' })
        .restore(1)
        .rule(1, status === 'conflict' ? { op: 'none', status } : {})
        .restore(1)
        .rule(2, { device: 'D2', user: 'bob', op: 'delete' })
        .rule(1, { op: 'restore' })
        .end()
        .found(noResurrection)
    expect(first('applied')).toEqual([])
    expect(first('conflict')).toHaveLength(1)
  })
})

/** Ann has edited a record, and the server has ruled on that; Bob has deleted it. */
function givenTaken(edit: GivenVerdict = {}): GivenHistory {
  return givenHistory()
    .line({ op: 'create', after: { name: 'Rope' } })
    .write(1, { baseVersion: 1 })
    .write(2, { op: 'delete', baseVersion: 1, device: 'D2', disk: 'd2' })
    .send(1)
    .rule(1, edit)
}

/** Ann's edit and Bob's deletion are taken, the server is put back to before both, and both return theirs. */
function givenReturned(deletion: GivenVerdict): GivenHistory {
  const bob = { device: 'D2', user: 'bob' }
  return givenTaken()
    .rule(2, { ...bob, ...deletion })
    .restore(1)
    .rule(2, { ...bob, op: 'delete' })
    .rule(1, { op: 'restore' })
    .end()
}
