import { describe, expect, test } from 'vitest'

import { givenConflict, givenHistory, type GivenHistory } from './given-history.ts'
import { needlessLoss } from './needless-loss.ts'
import type { DumpedConflict, EntryWritten, Payload, Values } from './observation.ts'
import type { SchemaFacts } from './schema-facts.ts'

const checker = needlessLoss({ items: { references: {}, unique: [] } })

/** A beam stands at the dock, and d1 has read that much of it. */
function givenBeam(): GivenHistory {
  return givenHistory()
    .line({ op: 'create', after: { name: 'beam', shelf: 'dock', row: 1 } })
    .add({ kind: 'cursor', atMs: 0, disk: 'd1', epoch: 'e1', position: 1 })
}

/** Its author saw it at the dock, and puts it on shelf A. */
function toShelf(history: GivenHistory, more: Parameters<GivenHistory['write']>[1] = {}): GivenHistory {
  return history.write(1, { changes: { shelf: 'A' }, base: { shelf: 'dock' }, ...more })
}

function disputed(history: GivenHistory): GivenHistory {
  return history.send(1).rule(1, { status: 'conflict' })
}

function conflictOf(more: Partial<DumpedConflict> = {}): DumpedConflict {
  return givenConflict('c1', { reason: 'fields', fields: ['shelf'], records: ['items/r1'], ...more })
}

function found(history: GivenHistory, conflict = conflictOf(), facts?: SchemaFacts): readonly string[] {
  return history
    .end({ server: { conflicts: [conflict] } })
    .found(facts ? needlessLoss({ items: { references: {}, unique: [], ...facts['items'] } }) : checker)
}

const moved = { before: { shelf: 'dock' }, after: { shelf: 'hall' } }
const renamed = { before: { name: 'beam' }, after: { name: 'girder' } }
const needless = [
  'conflict c1 over items/r1 is about its shelf (fields), which nobody else had changed since version 1, up to which its device had read',
]

describe('a conflict', () => {
  test('[SIM-101] of which only one side is there', () => {
    expect(found(disputed(toShelf(givenBeam())))).toEqual(needless)
  })

  test('[SIM-101] legal: somebody else moved it meanwhile', () => {
    expect(found(disputed(toShelf(givenBeam()).line(moved)))).toEqual([])
    expect(found(disputed(toShelf(givenBeam().line(moved))))).toEqual([])
  })

  test('[SIM-101] over a field that nobody else changed', () => {
    expect(found(disputed(toShelf(givenBeam()).line(renamed)))).toEqual(needless)
  })

  test('[SIM-101] over what its author had read', () => {
    const read = givenBeam()
      .line(moved)
      .line({ before: { shelf: 'hall' }, after: { shelf: 'dock' } })
    read.add({ kind: 'cursor', atMs: 0, disk: 'd1', epoch: 'e1', position: 3 })
    expect(found(disputed(toShelf(read)))).toHaveLength(1)
  })

  test('[SIM-101] over what its author wrote before', () => {
    const own = givenBeam()
      .write(2, { changes: { shelf: 'dock' }, base: { shelf: 'dock' } })
      .send(2)
    expect(
      found(disputed(toShelf(own.rule(2, { before: { shelf: 'dock' }, after: { shelf: 'dock' } })))),
    ).toEqual(needless)
  })

  test('[SIM-101] legal: in a strict collection, and over a field that merges as one with another', () => {
    const history = (): GivenHistory => disputed(toShelf(givenBeam()).line(renamed))
    const items = { references: {}, unique: [] }
    expect(found(history(), conflictOf(), { items: { ...items, isStrict: true } })).toEqual([])
    expect(found(history(), conflictOf(), { items: { ...items, groups: [['name', 'shelf']] } })).toEqual([])
    const quiet = disputed(toShelf(givenBeam()))
    expect(found(quiet, conflictOf(), { items: { ...items, isStrict: true } })).toHaveLength(1)
  })

  test('[SIM-101] over a deletion that nobody made', () => {
    const over = conflictOf({ reason: 'delete' })
    expect(found(disputed(toShelf(givenBeam())), over)).toHaveLength(1)
    expect(found(disputed(toShelf(givenBeam()).line({ op: 'delete' })), over)).toEqual([])
    expect(found(disputed(toShelf(givenBeam()).line({ op: 'delete' })))).toEqual([])
  })

  test('[SIM-101] legal: somebody kept theirs, over which it was written', () => {
    const history = toShelf(givenBeam()).line({
      op: 'none',
      version: null,
      status: 'lost',
      after: { shelf: 'B' },
    })
    expect(found(disputed(history))).toEqual([])
    const other = toShelf(givenBeam()).line({
      op: 'none',
      version: null,
      status: 'refused',
      after: { shelf: 'B' },
    })
    expect(found(disputed(other))).toHaveLength(1)
    const settled = toShelf(givenBeam()).write(2, { resolves: 'c0' }).send(2).rule(2, { op: 'none' })
    expect(found(disputed(settled))).toEqual([])
  })

  test('[SIM-101] legal: its author had seen a value that did not stand on the server', () => {
    expect(found(disputed(toShelf(givenBeam(), { base: { shelf: 'refused' } })))).toEqual([])
    const once = givenBeam()
      .line(moved)
      .add({ kind: 'cursor', atMs: 0, disk: 'd1', epoch: 'e1', position: 2 })
    expect(found(disputed(toShelf(once)))).toEqual([])
  })

  test('[SIM-101] legal: a dead letter that is tried again comes behind what its author did since', () => {
    const sent = toShelf(givenBeam())
      .send(1)
      .rule(1, { status: 'rejected', op: 'none', code: 'CONSTRAINT_FAILED' })
    const again = sent.status(1, 'dead').move(1, 2).send(2).rule(2, { status: 'conflict' })
    expect(found(again, conflictOf({ mutation: 'm2' }))).toEqual([])
    const moved = toShelf(givenBeam()).move(1, 2).send(2).rule(2, { status: 'conflict' })
    expect(found(moved, conflictOf({ mutation: 'm2' }))).toHaveLength(1)
  })

  test('[SIM-101] legal: what an operator accepts out of escrow', () => {
    const history = (acceptedBy: string | null): GivenHistory =>
      toShelf(givenBeam()).send(1).rule(1, { status: 'conflict', line: false }).line({
        op: 'none',
        version: null,
        user: 'ann',
        device: 'D1',
        mutation: 'm1',
        status: 'conflict',
        acceptedBy,
      })
    expect(found(history('op'))).toEqual([])
    expect(found(history(null))).toHaveLength(1)
  })

  test('[SIM-101] legal: it meets what an operator accepted out of escrow since, of its author as well', () => {
    const history = (acceptedBy: string | null): GivenHistory =>
      disputed(toShelf(givenBeam()).line({ ...moved, user: 'ann', device: 'D1', mutation: 'm9', acceptedBy }))
    expect(found(history('op'))).toEqual([])
    expect(found(history(null))).toEqual(needless)
  })

  test('[SIM-101] legal: in a strict collection it was written on a value that only its author saw', () => {
    const history = disputed(toShelf(givenBeam(), { base: { shelf: 'refused' } }))
    expect(found(history, conflictOf(), { items: { references: {}, unique: [], isStrict: true } })).toEqual(
      [],
    )
  })

  test('[SIM-101] legal: it was written on an edit that was refused, or changed, to a value that had stood once', () => {
    const dead = (history: GivenHistory): GivenHistory =>
      history
        .line(moved)
        .line({ before: { shelf: 'hall' }, after: { shelf: 'dock' } })
        .add({ kind: 'cursor', atMs: 0, disk: 'd1', epoch: 'e1', position: 3 })
        .write(2, { changes: { shelf: 'dock' }, base: { shelf: 'dock' } })
    const payload = (shelf: string, base: string): Payload => ({
      changes: { shelf },
      base: { shelf: base },
      increments: {},
      additions: {},
      removals: {},
    })
    const edit = { kind: 'entry-payload', atMs: 0, disk: 'd1', device: 'D1' } as const
    const history = toShelf(dead(givenBeam()).send(2).rule(2, { op: 'none' }))
    expect(found(disputed(history))).toHaveLength(1)
    const edited = toShelf(dead(givenBeam())).add(
      { ...edit, seq: 1, id: 'm1', payload: payload('A', 'hall') },
      { ...edit, seq: 2, id: 'm2', payload: payload('hall', 'dock') },
    )
    edited.send(2).rule(2, { status: 'rejected' })
    expect(found(disputed(edited))).toEqual([])
    const numbered = dead(givenBeam()).send(2).rule(2, { status: 'merged', op: 'none' })
    expect(found(disputed(toShelf(numbered)))).toEqual([])
  })

  test('[SIM-101] legal: over a deletion, it was written on a value that only its author saw', () => {
    const over = conflictOf({ reason: 'delete' })
    const history = (shelf: string): GivenHistory =>
      disputed(
        toShelf(
          givenBeam()
            .line({ op: 'delete' })
            .add({ kind: 'cursor', atMs: 0, disk: 'd1', epoch: 'e1', position: 2 }),
          { base: { shelf } },
        ),
      )
    expect(found(history('refused'), over)).toEqual([])
    expect(found(history('dock'), over)).toHaveLength(1)
  })

  test('[SIM-101] it was written on a value that its author wrote before, and the server named otherwise for a unique key', () => {
    const name = { field: 'shelf', rule: 'unique.rename', winner: 'both', theirs: 'dock', result: 'dock (2)' }
    const history = (mine: string): GivenHistory =>
      disputed(
        toShelf(givenBeam().write(2, { changes: { shelf: 'bay' }, base: { shelf: 'dock' } }), {
          base: { shelf: 'bay' },
        })
          .send(2)
          .rule(2, {
            status: 'merged',
            before: { shelf: 'dock' },
            after: { shelf: 'bay (2)' },
            decisions: [{ ...name, mine }],
          }),
      )
    expect(found(history('bay'))).toEqual(needless)
    expect(found(history('gate'))).toEqual([])
  })

  test('[SIM-101] legal: of a transaction, of a settlement, over a unique key, over several records', () => {
    expect(found(disputed(toShelf(givenBeam(), { group: 'g1' })))).toEqual([])
    expect(found(disputed(toShelf(givenBeam(), { resolves: 'c0' })))).toEqual([])
    expect(found(disputed(toShelf(givenBeam())), conflictOf({ reason: 'unique' }))).toEqual([])
    const two = conflictOf({ records: ['items/r1', 'items/r2'] })
    expect(found(disputed(toShelf(givenBeam())), two)).toEqual([])
  })

  test('[SIM-101] legal: on a copy of a disk, on one that was put back, once the server was', () => {
    const entry = (history: GivenHistory): EntryWritten => history.entry(1, { changes: { shelf: 'A' } })
    const copied = toShelf(givenBeam())
    expect(found(disputed(copied.copy(entry(copied))))).toEqual([])
    expect(found(disputed(toShelf(givenBeam()).powerCut('fast')))).toEqual([])
    expect(found(disputed(toShelf(givenBeam()).restore(1)))).toEqual([])
    // Offered once more, it meets what stands there then, and no longer what it met before.
    expect(found(disputed(disputed(toShelf(givenBeam())).restore(1).line(moved)))).toEqual([])
  })
})

test('[SIM-101] legal: its author deleted it, and what they made of it since was refused', () => {
  const gone = { reason: 'delete', mutation: 'm3' } as const
  const counted = (refused: boolean): readonly string[] => {
    const history = givenBeam()
      .write(1, { op: 'delete', changes: {}, base: null, at: '2026-11-20T10:00:01.000Z-0000-D1' })
      .send(1)
      .rule(1, { before: { shelf: 'dock' } })
    if (refused)
      history
        .write(2, { changes: { shelf: 'A' }, resolves: 'c0', at: '2026-11-20T10:00:02.000Z-0000-D1' })
        .send(2)
        .rule(2, { status: 'rejected', code: 'CONFLICT_UNKNOWN' })
    history.write(3, { changes: {}, increments: { row: 1 }, at: '2026-11-20T10:00:03.000Z-0000-D1' })
    return found(history.send(3).rule(3, { status: 'conflict' }), conflictOf(gone))
  }
  expect(counted(true)).toEqual([])
  expect(counted(false)).toHaveLength(1)
})

/** The same on shelf A, saved in a form that was opened when `opened` stands there. */
function savedForm(opened: GivenHistory, meanwhile: (history: GivenHistory) => unknown): GivenHistory {
  const form = { kind: 'form', atMs: 0, disk: 'd1', form: 7 } as const
  opened.add({ ...form, step: 'opening', record: null })
  meanwhile(opened)
  opened.add({ ...form, step: 'saving', record: 'items/r1' })
  toShelf(opened).add({ ...form, step: 'saved', record: 'items/r1' })
  return disputed(opened)
}

function ownMove(history: GivenHistory): GivenHistory {
  return history
    .write(2, { changes: { shelf: 'hall' }, base: { shelf: 'dock' } })
    .send(2)
    .rule(2, moved)
}

describe('a form that was open for a while', () => {
  const readAll = { kind: 'cursor', atMs: 0, disk: 'd1', epoch: 'e1', position: 9 } as const

  test('[SIM-101] legal: somebody else, or its author elsewhere, changed the same meanwhile', () => {
    expect(found(savedForm(givenBeam(), (history) => history.line(moved).add(readAll)))).toEqual([])
    expect(found(savedForm(givenBeam(), ownMove))).toEqual([])
    const strict = { items: { references: {}, unique: [], isStrict: true } }
    expect(
      found(
        savedForm(ownMove(givenBeam()), () => undefined),
        conflictOf(),
        strict,
      ),
    ).toEqual([])
  })

  test('[SIM-101] legal: a refused edit of its author was mended meanwhile, and taken', () => {
    const refused = (): GivenHistory =>
      givenBeam()
        .write(2, { changes: { shelf: 'cellar' }, base: { shelf: 'dock' } })
        .send(2)
        .rule(2, { status: 'rejected', op: 'none', code: 'CONSTRAINT_FAILED' })
        .status(2, 'dead')
    const changes = { changes: { shelf: 'hall' }, base: { shelf: 'dock' } }
    const payload: Payload = { ...changes, increments: {}, additions: {}, removals: {} }
    const mended = {
      kind: 'entry-payload',
      atMs: 0,
      disk: 'd1',
      device: 'D1',
      seq: 2,
      id: 'm2',
      payload,
    } as const
    const mend = (history: GivenHistory): GivenHistory => history.add(mended).move(2, 3)
    const taken = (history: GivenHistory): GivenHistory => history.send(3).rule(3, moved)
    expect(found(savedForm(refused(), (history) => taken(mend(history))))).toEqual([])
    expect(found(savedForm(mend(refused()), taken))).toEqual(needless)
  })

  test('[SIM-101] asks over what was there when it was opened, or over another field', () => {
    const there = givenBeam()
      .line(moved)
      .line({ before: { shelf: 'hall' }, after: { shelf: 'dock' } })
    expect(found(savedForm(there.add(readAll), () => undefined))).toHaveLength(1)
    expect(found(savedForm(givenBeam(), (history) => history.line(renamed).add(readAll)))).toEqual(needless)
    expect(found(savedForm(ownMove(givenBeam()), () => undefined))).toEqual(needless)
  })

  test('[SIM-101] legal: its author had not heard of another name that the server gave what they had made, when they opened the form', () => {
    const decisions = [
      {
        field: 'shelf',
        rule: 'unique.rename',
        winner: 'both',
        mine: 'dock',
        theirs: 'dock',
        result: 'dock (2)',
      },
    ]
    const named = {
      status: 'merged',
      before: { shelf: 'quay' },
      after: { shelf: 'dock (2)' },
      decisions,
    } as const
    const quay = givenHistory().line({ op: 'create', after: { name: 'beam', shelf: 'quay', stock: 4 } })
    quay.add({ ...readAll, position: 1 })
    const own = quay.write(2, { changes: { shelf: 'dock' }, base: { shelf: 'quay' } })
    expect(found(savedForm(own, (history) => history.send(2).rule(2, named).gone(2)))).toEqual([])
  })

  test('[SIM-101] legal: it showed an edit that was refused, and discarded before it was saved, and says what had stood once', () => {
    const written = (verdict: 'rejected' | 'applied'): GivenHistory =>
      givenBeam()
        .line(moved)
        .line({ before: { shelf: 'hall' }, after: { shelf: 'dock' } })
        .add({ ...readAll, position: 3 })
        .write(2, { changes: { shelf: 'dock' }, base: { shelf: 'dock' } })
        .send(2)
        .rule(2, { status: verdict, op: 'none' })
        .status(2, verdict === 'rejected' ? 'dead' : 'answered')
    expect(found(savedForm(written('rejected'), (history) => history.gone(2)))).toEqual([])
    expect(found(savedForm(written('applied'), (history) => history.gone(2)))).toHaveLength(1)
    expect(found(disputed(toShelf(written('rejected').gone(2))))).toHaveLength(1)
  })

  test('[SIM-101] is done with once it is saved', () => {
    const later = savedForm(givenBeam(), () => undefined)
      .line(moved)
      .add(readAll)
      .write(3, { changes: { shelf: 'B' }, base: { shelf: 'hall' } })
      .send(3)
      .rule(3, { status: 'conflict' })
    expect(found(later, conflictOf({ mutation: 'm3' }))).toHaveLength(1)
  })
})

const gone = (rule: string): Values => ({
  field: 'shelf',
  rule,
  winner: 'theirs',
  mine: 'A',
  theirs: 'dock',
  result: 'dock',
})

describe('a value that gives way', () => {
  const gaveWay = (history: GivenHistory, rule = 'latest'): GivenHistory =>
    history
      .send(1)
      .rule(1, { status: 'merged', line: false })
      .line({
        op: 'none',
        version: null,
        user: 'ann',
        device: 'D1',
        mutation: 'm1',
        status: 'merged',
        decisions: [gone(rule)],
      })
      .end()
  const told = [
    'm1 gave way in shelf of items/r1 (latest), which nobody else had changed since version 1, up to which its device had read',
  ]

  test('[SIM-101] to nobody', () => {
    expect(gaveWay(toShelf(givenBeam())).found(checker)).toEqual(told)
    expect(gaveWay(toShelf(givenBeam()).line(renamed)).found(checker)).toEqual(told)
    expect(gaveWay(toShelf(givenBeam()), 'onDelete.delete').found(checker)).toHaveLength(1)
  })

  test('[SIM-101] legal: to what became of it in a scope that its author’s device had left', () => {
    const scopes = [{ literals: ['shelf:', ''], fields: ['shelf'] }]
    const read = { kind: 'cursor', atMs: 0, disk: 'd1', epoch: 'e1', position: 2 } as const
    const history = (scope: string, isBack = false): GivenHistory =>
      toShelf(
        givenBeam()
          .line({ op: 'delete' })
          .add({ ...read, scopes: [] })
          .add({ kind: 'scopes-left', atMs: 0, disk: 'd1', scopes: [scope], kept: [], ghosts: [] })
          .add({ ...read, scopes: isBack ? [scope] : [] }),
      )
    const watched = needlessLoss({ items: { references: {}, unique: [], scopes } })
    expect(gaveWay(history('shelf:dock'), 'onDelete.delete').found(watched)).toEqual([])
    expect(gaveWay(history('shelf:quay'), 'onDelete.delete').found(watched)).toHaveLength(1)
    expect(gaveWay(history('shelf:dock', true), 'onDelete.delete').found(watched)).toHaveLength(1)
  })

  test('[SIM-101] legal: to what somebody else wrote', () => {
    expect(gaveWay(toShelf(givenBeam()).line(moved)).found(checker)).toEqual([])
    expect(gaveWay(toShelf(givenBeam()).line({ op: 'delete' }), 'onDelete.delete').found(checker)).toEqual([])
    const onRefused = toShelf(givenBeam(), { base: { shelf: 'refused' } })
    expect(gaveWay(onRefused, 'onDelete.delete').found(checker)).toEqual([])
  })
})
