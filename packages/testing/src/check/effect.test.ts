import { describe, expect, test } from 'vitest'

import { effect } from './effect.ts'
import { givenHistory, type GivenHistory } from './given-history.ts'

/** `items/r1` with a name, a state and tags, made by somebody else. */
function givenItem(): GivenHistory {
  return givenHistory().line({ op: 'create', after: { name: 'Rope', state: 'new', tags: ['a'] } })
}

const kept = {
  field: 'name',
  rule: 'latest',
  winner: 'theirs',
  base: 'Rope',
  mine: 'Cord',
  theirs: 'Wire',
  result: 'Wire',
}

describe('verdicts that are not what happened', () => {
  test('[SIM-34] an applied mutation of which a field is missing, or another', () => {
    const missing = givenItem()
      .write(1, { changes: { name: 'Cord', state: 'old' } })
      .send(1)
      .rule(1, { after: { name: 'Cord' } })
    expect(missing.end().found(effect)).toEqual([
      'm1 was applied, but state is "new" instead of "old", and no decision says why',
    ])
    const other = givenItem()
      .write(1, { changes: { name: 'Cord' } })
      .send(1)
      .rule(1, { after: { name: 'Wire' } })
    expect(other.end().found(effect)).toEqual([
      'm1 was applied, but name is "Wire" instead of "Cord", and no decision says why',
    ])
  })

  test('[SIM-34] a fold that keeps the first of two values', () => {
    const history = givenItem()
      .write(1, { changes: { name: 'Cord' } })
      .write(2, { changes: { name: 'Wire' } })
      .send(1, 2)
    expect(
      history
        .rule(1, { covers: '1-2', after: { name: 'Cord' } })
        .end()
        .found(effect),
    ).toEqual(['m1 was applied, but name is "Cord" instead of "Wire", and no decision says why'])
  })

  test('[SIM-34] B28: an edit that overtakes the record it points to', () => {
    const history = givenItem()
      .write(1, { op: 'create', record: 'r7', collection: 'areas' })
      .write(2, { changes: { area: 'r7' } })
      .send(2)
      .rule(2, { status: 'rejected', code: 'REFERENCE_MISSING' })
    expect(history.end().found(effect)).toEqual([
      'm2 was refused because it came before areas/r7, made before it',
    ])
    const folded = givenItem()
      .write(1, { changes: { name: 'Cord' } })
      .write(2, { op: 'create', record: 'r7', collection: 'areas' })
      .write(3, { changes: { area: 'r7' } })
      .send(1, 3)
      .send(2)
      .rule(1, { covers: '1,3', status: 'rejected', code: 'REFERENCE_MISSING' })
    expect(folded.end().found(effect)).toEqual([
      'm1 was refused because it came before areas/r7, made before it',
    ])
    // What was made in between is there: another reference is missing.
    const there = givenItem()
      .write(1, { changes: { name: 'Cord' } })
      .write(2, { op: 'create', record: 'r7', collection: 'areas' })
      .write(3, { changes: { area: 'r7' } })
      .send(2)
      .rule(2)
      .status(2, 'answered', { verdict: 'applied' })
      .send(1, 3)
      .rule(1, { covers: '1,3', status: 'rejected', code: 'REFERENCE_MISSING' })
    expect(there.end().found(effect)).toEqual([])
    const behind = givenItem()
      .write(1, { op: 'create', record: 'r7', collection: 'areas' })
      .send(1)
      .rule(1, { status: 'rejected', code: 'SCOPE_DENIED' })
      .status(1, 'dead')
      .write(2, { changes: { area: 'r7' } })
      .send(2)
      .rule(2, { status: 'rejected', code: 'REFERENCE_MISSING' })
    expect(behind.end().found(effect)).toEqual([])
  })

  test('[SIM-34] legal: an edit, also a folded one, that points to a record whose making is in escrow', () => {
    const made = (): GivenHistory =>
      givenItem()
        .write(1, { changes: { name: 'Cord' } })
        .write(2, { op: 'create', record: 'r7', collection: 'areas' })
        .write(3, { changes: { area: 'r7' } })
        .send(2)
        .send(1, 3)
    const refused = { covers: '1,3', status: 'rejected', code: 'REFERENCE_MISSING' } as const
    const escrowed = { status: 'rejected', code: 'ESCROWED' } as const
    expect(made().rule(2, escrowed).rule(1, refused).end().found(effect)).toEqual([])
    const before = made().rule(1, refused).write(4).rule(2, escrowed)
    expect(before.end().found(effect)).toEqual([
      'm1 was refused because it came before areas/r7, made before it',
    ])
  })

  test('[SIM-34] [OB-6] legal: a decision that points to a record which is made anew behind the dispute', () => {
    const decided = (resolves: string | null): readonly string[] =>
      givenItem()
        .write(1, { op: 'create', record: 'r7', collection: 'areas' })
        .write(2, { op: 'create', record: 'r8', changes: { area: 'r7' }, group: 'g' })
        .write(3, { op: 'delete', record: 'r7', collection: 'areas', group: 'g', resolves })
        .send(2)
        .rule(2, { status: 'rejected', code: 'REFERENCE_MISSING' })
        .end()
        .found(effect)
    expect(decided('c1')).toEqual([])
    expect(decided(null)).toHaveLength(1)
  })

  test('[SIM-34] [OB-6] legal: a decision that points to a record whose transaction waits for it, however far behind', () => {
    const decided = (waiting: string, resolves: string | null): readonly string[] =>
      givenItem()
        .write(1, { changes: { name: 'Cord' } })
        .write(2, { op: 'create', record: 'r7', collection: 'areas', group: 'h' })
        .write(3, { changes: { area: 'r7' }, record: 'r5', group: 'g' })
        .write(4, { op: 'create', record: 'r8', collection: 'areas', group: 'g' })
        .write(5, { changes: { note: 'x' }, record: waiting, group: 'h' })
        .write(6, { changes: { area: 'r8' }, resolves })
        .send(6)
        .rule(6, { status: 'rejected', code: 'REFERENCE_MISSING' })
        .end()
        .found(effect)
    expect(decided('r1', 'c1')).toEqual([])
    expect(decided('r6', 'c1')).toHaveLength(1)
    expect(decided('r1', null)).toHaveLength(1)
  })

  test('[SIM-34] a value that is replaced although its author had not seen it', () => {
    const history = givenItem()
      .line({ after: { name: 'Wire' } })
      .write(1, {
        changes: { name: 'Cord', state: 'old' },
        base: { name: 'Rope', state: 'new' },
        resolves: 'c1',
      })
      .send(1)
    expect(history.rule(1).end().found(effect)).toEqual([
      'm1 was applied and replaced name "Wire", but its author had seen "Rope"',
    ])
  })

  test('[SIM-34] legal: what is replaced is what the server named otherwise with what its author wrote before', () => {
    const name = { field: 'name', rule: 'unique.rename', winner: 'both', mine: 'Rope', theirs: 'Rope' }
    const history = (device: string, result: string): GivenHistory =>
      givenItem()
        .line({ device, mutation: 'm9', after: { name: 'Rope (2)' }, decisions: [{ ...name, result }] })
        .write(1, { changes: { name: 'Cord' }, base: { name: 'Rope' } })
        .send(1)
        .rule(1)
        .end()
    expect(history('D1', 'Rope (2)').found(effect)).toEqual([])
    const unseen = 'm1 was applied and replaced name "Rope (2)", but its author had seen "Rope"'
    expect(history('D2', 'Rope (2)').found(effect)).toEqual([unseen])
    expect(history('D1', 'Rope (3)').found(effect)).toEqual([unseen])
  })

  test('[SIM-34] a merge that loses a value without a decision, or keeps another one', () => {
    const history = givenItem()
      .line({ after: { name: 'Wire' } })
      .write(1, { changes: { name: 'Cord' }, base: { name: 'Rope' } })
      .send(1)
    expect(history.rule(1, { status: 'merged', op: 'none' }).end().found(effect)).toEqual([
      'm1 was merged, but name is "Wire" instead of "Cord", and no decision says why',
    ])
    const other = givenItem()
      .line({ after: { name: 'Wire' } })
      .write(1, { changes: { name: 'Cord' }, base: { name: 'Rope' } })
      .send(1)
    expect(
      other
        .rule(1, { status: 'merged', op: 'none', decisions: [{ ...kept, mine: 'Rope' }] })
        .end()
        .found(effect),
    ).toEqual(['m1 was merged, but of name "Rope" is kept instead of "Cord"'])
    const lost = givenItem()
      .line({ after: { name: 'Wire' } })
      .write(1, { changes: { name: 'Cord' }, base: { name: 'Rope' } })
      .send(1)
    const wins = { ...kept, winner: 'mine', theirs: 'Rope', result: 'Cord' }
    expect(
      lost
        .rule(1, { status: 'merged', after: { name: 'Cord' }, decisions: [wins] })
        .end()
        .found(effect),
    ).toEqual(['the decision on name of m1 (latest) keeps "Rope" as theirs, but "Wire" stood there'])
  })

  test('[SIM-34] a refused mutation with an effect', () => {
    const history = givenItem()
      .write(1, { changes: { name: 'Cord' } })
      .send(1)
      .rule(1, { status: 'rejected', op: 'update' })
    expect(history.end().found(effect)).toEqual(['m1 is rejected, but line 2 gives it an effect'])
  })

  test('[SIM-34] members that are not there, or still', () => {
    const history = givenItem()
      .write(1, { additions: { tags: ['b'] }, removals: { tags: ['a'] } })
      .send(1)
    expect(
      history
        .rule(1, { after: { tags: ['a'] } })
        .end()
        .found(effect),
    ).toEqual(['m1 was applied, but "b" is not in tags', 'm1 was applied, but "a" is still in tags'])
  })

  test('[SIM-34] a delete after which the record is still there', () => {
    const history = givenItem().write(1, { op: 'delete' }).send(1).rule(1, { op: 'none' })
    expect(history.end().found(effect)).toEqual(['m1 was applied, but items/r1 is still there'])
  })

  test('[SIM-34] a decision whose winner does not stand', () => {
    const history = givenItem()
      .line({ after: { name: 'Wire' } })
      .write(1, { changes: { name: 'Cord' }, base: { name: 'Rope' } })
      .send(1)
    history.rule(1, { status: 'merged', after: { name: 'Cord' }, decisions: [kept] })
    expect(history.end().found(effect)).toEqual([
      'the decision on name of m1 (latest) says "Wire", but "Cord" stands',
    ])
  })
})

describe('verdicts that are', () => {
  test('[SIM-34] a value that lost and is kept, and a field that nobody changed', () => {
    const history = givenItem().line({ after: { name: 'Wire', state: 'old' } })
    history
      .write(1, { changes: { name: 'Cord', state: 'new' }, base: { name: 'Rope', state: 'new' } })
      .send(1)
    expect(
      history
        .rule(1, { status: 'merged', op: 'none', decisions: [kept] })
        .end()
        .found(effect),
    ).toEqual([])
  })

  test('[SIM-34] a set of a create that met a record, whose set holds all of it', () => {
    const met = (tags: readonly string[]): readonly string[] =>
      givenItem()
        .write(1, { op: 'create', changes: { name: 'Cord', tags } })
        .send(1)
        .rule(1, { status: 'merged', op: 'none', decisions: [{ ...kept, theirs: 'Rope', result: 'Rope' }] })
        .end()
        .found(effect)
    expect(met([])).toEqual([])
    expect(met(['b'])).toEqual([
      'm1 was merged, but tags is ["a"] instead of ["b"], and no decision says why',
    ])
  })

  test('[SIM-34] keepTheirs, which changes nothing, and a value that was there already', () => {
    const history = givenItem().write(1, { resolves: 'c1' }).send(1).rule(1, { op: 'none' })
    history
      .write(2, { changes: { name: 'Rope' }, base: { name: 'Cord' } })
      .send(2)
      .rule(2, { op: 'none' })
    expect(history.end().found(effect)).toEqual([])
  })

  test('[SIM-34] a rejected group with DEPENDENCY_FAILED and a conflict, neither with an effect', () => {
    const history = givenItem()
      .write(1, { group: 'g', changes: { name: 'Cord' } })
      .write(2, { group: 'g', record: 'r2' })
    history
      .send(1)
      .send(2)
      .rule(1, { status: 'rejected', code: 'UNIQUE_VIOLATION', after: { name: 'Cord' } })
    history.rule(2, { status: 'rejected', code: 'DEPENDENCY_FAILED' })
    history
      .write(3, { changes: { name: 'Cord' } })
      .send(3)
      .rule(3, { status: 'conflict', after: { name: 'Cord' } })
    expect(history.end().found(effect)).toEqual([])
  })

  test('[SIM-34] an edit that loses to a deletion, a delete that loses to an edit, and one that carries edits', () => {
    const gone = {
      field: 'name',
      rule: 'onDelete.delete',
      winner: 'theirs',
      mine: 'Cord',
      theirs: null,
      result: null,
    }
    const lost = givenItem()
      .line({ op: 'delete', before: { name: 'Rope' } })
      .write(1, { changes: { name: 'Cord' } })
      .send(1)
    expect(
      lost
        .rule(1, { status: 'merged', op: 'none', decisions: [gone] })
        .end()
        .found(effect),
    ).toEqual([])
    const stays = {
      field: 'name',
      rule: 'onDelete.edit',
      winner: 'theirs',
      mine: null,
      theirs: 'Wire',
      result: 'Wire',
    }
    const kept = givenItem()
      .line({ after: { name: 'Wire' } })
      .write(1, { op: 'delete' })
      .send(1)
    expect(
      kept
        .rule(1, { status: 'merged', op: 'none', decisions: [stays] })
        .end()
        .found(effect),
    ).toEqual([])
    const yields = { ...stays, rule: 'restored' }
    const returned = givenItem()
      .line({ after: { name: 'Wire' } })
      .write(1, { op: 'delete' })
      .send(1)
    expect(
      returned
        .rule(1, { status: 'merged', op: 'none', decisions: [yields] })
        .end()
        .found(effect),
    ).toEqual([])
    const both = givenItem()
      .write(1, { changes: { name: 'Cord' } })
      .write(2, { op: 'delete' })
      .send(1, 2)
    expect(both.rule(1, { covers: '1-2', op: 'delete' }).end().found(effect)).toEqual([])
  })

  test('[SIM-34] a member that was added and taken back in one fold, and a repaired dead letter', () => {
    const history = givenItem()
      .write(1, { additions: { tags: ['b'] } })
      .write(2, { removals: { tags: ['b'] } })
      .send(1, 2)
    history.rule(1, { covers: '1-2', op: 'none' })
    history
      .write(3, { changes: { name: 'Cord' } })
      .send(3)
      .rule(3, { status: 'rejected', after: { name: 'Cord' } })
      .status(3, 'dead')
    const payload = {
      changes: { name: 'Wire' },
      base: { name: 'Rope' },
      increments: {},
      additions: {},
      removals: {},
    }
    history
      .add({ kind: 'entry-payload', atMs: 0, disk: 'd1', device: 'D1', seq: 3, id: 'm3', payload })
      .move(3, 4, 'again')
    history
      .status(4, 'sending', { id: 'again' })
      .rule(4, { id: 'again', op: 'update', after: { name: 'Wire' } })
    expect(history.end().found(effect)).toEqual([])
  })

  test('[SIM-34] what was repaired says what it said before on a disk that is put back', () => {
    const history = givenItem().write(1, { changes: { name: 'Cord' } })
    history
      .send(1)
      .rule(1, { status: 'rejected', after: { name: 'Cord' } })
      .status(1, 'dead')
    const payload = { changes: { name: 'Wire' }, base: {}, increments: {}, additions: {}, removals: {} }
    history.add({ kind: 'entry-payload', atMs: 0, disk: 'd1', device: 'D1', seq: 1, id: 'm1', payload })
    history.move(1, 2, 'again').restore(1)
    history.lose({ durability: 'full', entries: [], back: [history.entry(1, { changes: { name: 'Cord' } })] })
    const found = (name: string): readonly string[] =>
      history.send(1).rule(1, { op: 'update', after: { name } }).end().found(effect)
    expect(found('Cord')).toEqual([])
  })

  test('[SIM-34] a field that was left as it was seen, or wanted as it is by now, is not replaced', () => {
    const left = givenItem()
      .line({ after: { name: 'Wire' } })
      .write(1, { changes: { name: 'Rope', state: 'old' }, base: { name: 'Rope', state: 'new' } })
      .send(1)
    expect(
      left
        .rule(1, { after: { state: 'old' } })
        .end()
        .found(effect),
    ).toEqual([])
    const wanted = givenItem()
      .line({ after: { name: 'Wire' } })
      .write(1, { changes: { name: 'Wire' }, base: { name: 'Rope' } })
      .send(1)
    expect(wanted.rule(1).end().found(effect)).toEqual([])
  })

  test('[SIM-34] a record that was renamed because its key was taken', () => {
    const name = {
      field: 'name',
      rule: 'unique.rename',
      winner: 'both',
      mine: 'Rope',
      theirs: 'Rope',
      result: 'Rope (2)',
    }
    const history = givenItem()
      .write(1, { op: 'create', record: 'r2', changes: { name: 'Rope' } })
      .send(1)
    history.rule(1, { status: 'merged', after: { name: 'Rope (2)' }, decisions: [name] })
    expect(history.end().found(effect)).toEqual([])
  })
})
