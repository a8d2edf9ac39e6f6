import { describe, expect, test } from 'vitest'

import {
  givenConflict,
  givenHistory,
  type GivenHistory,
  givenRow,
  type GivenVerdict,
  type GivenWrite,
} from './given-history.ts'
import type { DumpedConflict } from './observation.ts'
import { setMembers } from './set-members.ts'

const add = (...tags: readonly string[]): GivenWrite => ({ additions: { tags } })
const remove = (...tags: readonly string[]): GivenWrite => ({ removals: { tags } })

/** `items/r1` with no tags, by device `D1`. */
function givenTags(...tags: readonly string[]): GivenHistory {
  return givenHistory().write(1, { op: 'create', changes: { tags } }).send(1).rule(1)
}

/** Ann on `d1` writes, sends, and is answered. */
function ann(
  history: GivenHistory,
  seq: number,
  write: GivenWrite,
  verdict: GivenVerdict = {},
): GivenHistory {
  return history
    .write(seq, write)
    .send(seq)
    .rule(seq, { op: 'update', ...verdict })
}

/** The same of bob on `d2`. */
function bob(
  history: GivenHistory,
  seq: number,
  write: GivenWrite,
  verdict: GivenVerdict = {},
): GivenHistory {
  const of = { disk: 'd2', device: 'D2', id: `b${seq}` }
  history.write(seq, { ...write, ...of }).status(seq, 'sending', { ...of, offer: seq })
  return history.rule(seq, { op: 'update', user: 'bob', device: 'D2', id: `b${seq}`, ...verdict })
}

const inDispute: GivenVerdict = { status: 'conflict', op: 'none' }
const withoutEffect: GivenVerdict = { op: 'none', version: null }

/** What is found when the tags are these in the end. */
function found(
  history: GivenHistory,
  tags: readonly string[],
  conflicts: readonly DumpedConflict[] = [],
): readonly string[] {
  const server = { collections: { items: [givenRow('r1', 9, { tags })] }, conflicts }
  return history.end({ server }).found(setMembers)
}

/** Ann's edit (m2) is in dispute, bob's decision on it (b1) as well, and her later edit (m3) overtakes what ends that (b2). */
function givenOvertaken(first: GivenWrite, second: GivenWrite, settled: GivenVerdict = {}): GivenHistory {
  const history = ann(givenTags('old'), 2, first, inDispute)
  bob(history, 1, { ...first, resolves: 'c1', baseVersion: 1 }, inDispute)
  ann(history, 3, second, withoutEffect)
  return bob(history, 2, { ...first, resolves: 'c2', baseVersion: 1 }, settled)
}

const both = [
  givenConflict('c1', { status: 'resolved', mutation: 'm2' }),
  givenConflict('c2', { status: 'resolved', mutation: 'b1' }),
]

/** Bob made the record as well, with another tag, and returns that to a server that has ann's. */
function givenReturned(covers: '1' | '1-2'): GivenHistory {
  const of = { disk: 'd2', device: 'D2' }
  const history = ann(givenTags(), 2, add('a'))
  history.write(1, { op: 'create', changes: { tags: ['b'] }, ...of, id: 'b1' })
  if (covers === '1-2') history.write(2, { op: 'delete', ...of, id: 'b2' })
  for (const seq of covers === '1' ? [1] : [1, 2])
    history.status(seq, 'sending', { ...of, id: `b${seq}`, offer: 1 })
  const merged = { user: 'bob', device: 'D2', id: 'b1', status: 'merged', covers } as const
  return history.rule(1, { ...merged, ...withoutEffect })
}

describe('sets that are wrong', () => {
  test('[SIM-86] a member of a record that its author made, but not of one that they deleted with it', () => {
    expect(found(givenReturned('1'), ['a'])).toHaveLength(1)
    expect(found(givenReturned('1-2'), ['a'])).toEqual([])
  })

  test('[SIM-86] a member that was taken out, on the same device or by somebody who saw it, and is there', () => {
    const own = ann(ann(givenTags(), 2, add('a')), 3, remove('a'))
    expect(found(own, ['a'])).toEqual([
      '"a" is in tags of items/r1, but m3 took it out and nobody later did otherwise',
    ])
    const seen = bob(ann(givenTags(), 2, add('a')), 1, { ...remove('a'), baseVersion: 2 })
    expect(found(seen, ['a'])).toEqual([
      '"a" is in tags of items/r1, but b1 took it out and nobody later did otherwise',
    ])
  })

  test('[SIM-86] a member that was put there and is not, and one that nobody put there', () => {
    expect(found(ann(givenTags('old'), 2, add('a')), ['a'])).toEqual([
      '"old" is not in tags of items/r1, but m1 put it there and nobody later did otherwise',
    ])
    expect(found(ann(givenTags(), 2, add('a')), [])).toEqual([
      '"a" is not in tags of items/r1, but m2 put it there and nobody later did otherwise',
    ])
    expect(found(ann(givenTags(), 2, add('a')), ['a', 'b'])).toEqual([
      '"b" is in tags of items/r1, and nobody put it there',
    ])
  })

  test('[SIM-86] a member that its author took out again comes back by the decision on a conflict that superseded', () => {
    expect(found(givenOvertaken(add('a'), remove('a')), ['old', 'a'], both)).toEqual([
      '"a" is in tags of items/r1, but m3 took it out and nobody later did otherwise',
    ])
  })

  test('[SIM-86] a member that its author put back goes by such a decision', () => {
    expect(found(givenOvertaken(remove('old'), add('old')), [], both)).toEqual([
      '"old" is not in tags of items/r1, but m3 put it there and nobody later did otherwise',
    ])
  })

  test('[SIM-86] the same where the dispute is about another record of the transaction', () => {
    const history = givenTags()
    history.write(2, { record: 'r2', group: 'g', changes: { label: 'x' } }).send(2)
    history.write(3, { ...add('a'), group: 'g' }).send(3)
    history.rule(2, inDispute).rule(3, inDispute)
    ann(history, 4, remove('a'), withoutEffect)
    bob(history, 1, { ...add('a'), resolves: 'c1', baseVersion: 1 })
    expect(found(history, ['a'], [givenConflict('c1', { mutation: 'm2' })])).toEqual([
      '"a" is in tags of items/r1, but m4 took it out and nobody later did otherwise',
    ])
  })

  test('[SIM-86] the same where the author settles it herself', () => {
    const history = ann(givenTags(), 2, add('a'), inDispute)
    ann(history, 3, remove('a'), withoutEffect)
    ann(history, 4, { ...add('a'), resolves: 'c1', baseVersion: 1 })
    expect(found(history, ['a'], [givenConflict('c1', { mutation: 'm2' })])).toHaveLength(1)
  })
})

describe('sets that are right', () => {
  test('[SIM-86] edits of people who knew nothing of each other leave either', () => {
    const history = (): GivenHistory =>
      bob(ann(givenTags(), 2, add('a')), 5, { ...remove('a'), baseVersion: 1 })
    expect(found(history(), [])).toEqual([])
    expect(found(history(), ['a'])).toEqual([])
  })

  test('[SIM-86] the last word of a fold, and of a device that changes its mind', () => {
    const folded = givenTags()
      .write(2, add('a', 'b'))
      .write(3, remove('a'))
      .send(2, 3)
      .rule(2, { covers: '2-3', op: 'update' })
    expect(found(folded, ['b'])).toEqual([])
    const again = ann(ann(ann(givenTags(), 2, add('a')), 3, remove('a')), 4, add('a'))
    expect(found(again, ['a'])).toEqual([])
  })

  test('[SIM-86] what waited comes after the decision, whoever made it', () => {
    for (const settle of [ann, bob]) {
      const history = ann(givenTags(), 2, add('a'), inDispute).write(3, remove('a'))
      settle(history, 4, { ...add('a'), resolves: 'c1', baseVersion: 1 })
      history.send(3).rule(3, { op: 'update' })
      expect(found(history, [], [givenConflict('c1', { mutation: 'm2' })])).toEqual([])
    }
    const other = ann(givenTags('b'), 2, { changes: { label: 'x' } }, inDispute).write(3, remove('b'))
    ann(other, 4, { ...add('b'), resolves: 'c1', baseVersion: 1 })
    other.send(3).rule(3, { op: 'update' })
    expect(found(other, [], [givenConflict('c1', { mutation: 'm2' })])).toEqual([])
  })

  test('[SIM-86] a decision for the member by somebody who saw it taken out, and one for a member of their own', () => {
    const seen = ann(givenTags('a'), 2, add('a'), inDispute)
    ann(seen, 3, remove('a'))
    bob(seen, 1, { ...add('a'), resolves: 'c1', baseVersion: 2 })
    expect(found(seen, ['a'], [givenConflict('c1', { mutation: 'm2' })])).toEqual([])
    const own = ann(givenTags(), 2, add('a'), inDispute)
    bob(own, 1, { ...add('b'), resolves: 'c1', baseVersion: 1 })
    ann(own, 3, remove('b'), withoutEffect)
    expect(found(own, ['b'], [givenConflict('c1', { mutation: 'm2' })])).toEqual([])
  })

  test('[SIM-86] what was refused or is still in dispute says nothing', () => {
    expect(found(ann(givenTags(), 2, add('a'), { status: 'rejected', op: 'none' }), [])).toEqual([])
    const open = ann(givenTags('a'), 2, remove('a'), inDispute)
    expect(found(open, ['a'], [givenConflict('c1', { mutation: 'm2' })])).toEqual([])
  })

  test('[SIM-86] a record that was deleted comes back with what was in it; one that is made anew does not', () => {
    const back = ann(ann(givenTags('a'), 2, { op: 'delete' }, { op: 'delete' }), 3, add('b'), {
      op: 'restore',
    })
    expect(found(back, ['a', 'b'])).toEqual([])
    const anew = ann(givenTags('a'), 2, { op: 'delete' }, { op: 'delete' })
    ann(anew, 3, { op: 'create', changes: { tags: ['b'] } }, { op: 'create' })
    expect(found(anew, ['b'])).toEqual([])
  })

  /** An operator accepts the second write of ann, who put `a` in. */
  const accepted = (history: GivenHistory, acceptedBy: string | null = 'op'): GivenHistory => {
    const taken = { user: 'ann', device: 'D1', mutation: 'm2', acceptedBy } as const
    return history.line({ ...taken, version: 9, before: { tags: [] }, after: { tags: ['a'] } }).add({
      kind: 'escrow-ruled',
      atMs: 0,
      user: 'ann',
      device: 'D1',
      id: 'm2',
      status: 'accepted',
      verdict: 'applied',
      version: 9,
    })
  }

  test('[SIM-86] a restored server forgot that it was accepted out of escrow', () => {
    const told = givenTags().write(2, add('a')).send(2).rule(2, { status: 'rejected', code: 'ESCROWED' })
    const unruled = [{ device: 'D1', id: 'm2' }]
    const restored = { kind: 'server-restored', atMs: 0, auditN: 2, forgotten: [] } as const
    expect(found(accepted(told).add({ ...restored, unruled }), [])).toEqual([])
    expect(found(accepted(told).add(restored), [])).toHaveLength(1)
  })

  test('[SIM-86] who takes out what lies in escrow does not know of it: accepted later, either may stand', () => {
    const history = (acceptedBy: string | null): GivenHistory => {
      const told = givenTags().write(2, add('a')).send(2).rule(2, { status: 'rejected', code: 'ESCROWED' })
      ann(told.gone(2), 3, remove('a'), withoutEffect)
      return accepted(told, acceptedBy)
    }
    expect(found(history('op'), ['a'])).toEqual([])
    expect(found(history('op'), [])).toEqual([])
    expect(found(history(null), ['a'])).toHaveLength(1)
  })

  test('[SIM-86] a create that met a record: who saw that replaces its sets, who did not joins them', () => {
    const create: GivenWrite = { op: 'create', changes: { tags: ['b'] }, resolves: 'c1' }
    const history = (baseVersion: number): GivenHistory =>
      bob(ann(givenTags(), 2, add('a')), 1, { ...create, baseVersion })
    expect(found(history(2), ['b'])).toEqual([])
    expect(found(history(1), ['a', 'b'])).toEqual([])
    expect(found(history(2), [])).toHaveLength(1)
  })

  test('[SIM-86] somebody beside the server wrote another set', () => {
    const history = ann(givenTags('a'), 2, add('b')).line({
      before: { tags: ['a', 'b'] },
      after: { tags: ['c'] },
    })
    expect(found(ann(history, 3, add('d')), ['c', 'd'])).toEqual([])
  })

  test('[SIM-86] a restored server forgot it, also that the record was ever deleted; versions are given again', () => {
    const forgotten = ann(ann(givenTags('a'), 2, add('b')), 3, remove('a')).restore(1)
    expect(found(forgotten, ['a'])).toEqual([])
    const alive = ann(givenTags('a'), 2, { op: 'delete' }, { op: 'delete' })
    ann(alive, 3, { op: 'create', changes: { tags: [] } }, { op: 'create' })
    bob(alive.restore(1), 1, { ...add('b'), baseVersion: 1 })
    expect(found(alive, ['a', 'b'])).toEqual([])
    const reused = ann(givenTags(), 2, { changes: { label: 'x' } }).restore(1)
    bob(reused, 1, { ...remove('a'), baseVersion: 5 }, withoutEffect)
    ann(reused, 3, add('a'), { version: 3 })
    expect(found(reused, ['a'])).toEqual([])
  })

  test('[SIM-86] numbers do not say who came first on a disk that was put back, or for a write that was tried again', () => {
    const back = ann(givenTags(), 5, add('a')).putBack([], [])
    expect(found(ann(back, 6, remove('a')), ['a'])).toEqual([])
    const again = givenTags().write(2, add('a')).send(2).rule(2, { status: 'rejected', op: 'none' })
    again.status(2, 'dead')
    ann(again, 3, remove('a'), withoutEffect).move(2, 4).send(4)
    expect(found(again.rule(4, { op: 'update' }), ['a'])).toEqual([])
  })
})
