import { describe, expect, test } from 'vitest'

import { dueQuestion } from './due-question.ts'
import { type GivenVerdict, givenHistory, type GivenHistory } from './given-history.ts'
import type { Values } from './observation.ts'
import type { CollectionFacts } from './schema-facts.ts'

/** A beam stands at the dock, and d1 has read that much of it. */
function givenBeam(): GivenHistory {
  return read(givenHistory().line({ op: 'create', after: { name: 'beam', shelf: 'dock', stock: 4 } }), 1)
}

function read(history: GivenHistory, position: number): GivenHistory {
  return history.add({ kind: 'cursor', atMs: 0, disk: 'd1', epoch: 'e1', position })
}

/** Its author saw it at the dock, and puts it on shelf A. */
function toShelf(history: GivenHistory, more: Parameters<GivenHistory['write']>[1] = {}): GivenHistory {
  return history.write(1, { changes: { shelf: 'A' }, base: { shelf: 'dock' }, ...more })
}

function taken(history: GivenHistory, verdict: GivenVerdict = {}): GivenHistory {
  return history.send(1).rule(1, verdict)
}

/** The server refuses the first mutation. */
function dead(write: Parameters<GivenHistory['write']>[1]): GivenHistory {
  const rejection = { status: 'rejected', op: 'none', code: 'CONSTRAINT_FAILED' } as const
  return givenBeam().write(1, write).send(1).rule(1, rejection).status(1, 'dead')
}

function edit(history: GivenHistory, changes: Values): GivenHistory {
  const { payload } = history.entry(1, { changes })
  return history.add({ kind: 'entry-payload', atMs: 0, disk: 'd1', device: 'D1', seq: 1, id: 'm1', payload })
}

/** It is edited, and taken as it is then. */
function again(history: GivenHistory, changes: Values): GivenHistory {
  return edit(history, changes).move(1, 3).send(3).rule(3, { after: changes })
}

function found(history: GivenHistory, facts: Partial<CollectionFacts> = {}): readonly string[] {
  return history
    .end()
    .found(dueQuestion({ items: { references: {}, unique: [], adding: ['stock', 'tags'], ...facts } }))
}

const moved = { before: { shelf: 'dock' }, after: { shelf: 'hall' } }
const renamed = { before: { name: 'beam' }, after: { name: 'girder' } }
const counted = { before: { stock: 4 }, after: { stock: 5 } }
const replaced = [
  'm1 was applied and replaced shelf of items/r1, of which its author had not seen that shelf was "hall"',
]

describe('a field', () => {
  test('[SIM-103] that somebody else had changed unseen, whatever the edit says that was seen', () => {
    expect(found(taken(toShelf(givenBeam().line(moved))))).toEqual(replaced)
    expect(found(taken(toShelf(givenBeam()).line(moved)))).toEqual(replaced)
    expect(found(taken(toShelf(givenBeam().line(moved), { base: { shelf: 'hall' } })))).toEqual(replaced)
    expect(found(taken(toShelf(givenBeam().line({ ...moved, device: 'D2', mutation: 'm9' }))))).toEqual(
      replaced,
    )
  })

  test('[SIM-105] a column that came with the next schema was read as it came', () => {
    const painted = (...hues: readonly string[]): GivenHistory => {
      const columns = { items: { hue: 'grey' } }
      const history = givenBeam().add({ kind: 'server-migrated', atMs: 0, columns })
      for (const [place, hue] of hues.entries())
        history.line({ before: { hue: hues[place - 1] ?? 'grey' }, after: { hue } })
      return taken(history.write(1, { changes: { hue: 'blue' }, base: { hue: 'grey' } }))
    }
    expect(found(painted('red'))).toHaveLength(1)
    expect(found(painted('red', 'grey'))).toEqual([])
    expect(found(painted('red', 'grey', 'black'))).toHaveLength(1)
    // What brings the record back is the first to say the column.
    const restored = (hue: string): readonly string[] => {
      const history = givenBeam().line({ op: 'delete', before: { name: 'beam', shelf: 'dock' } })
      history.write(1, { changes: { hue: 'blue' }, base: { hue: 'grey' } })
      const back = history.line({ op: 'restore', after: { name: 'beam', shelf: 'dock', hue } })
      return found(taken(back, {}), { defaults: { hue: 'grey' } })
    }
    expect(restored('grey')).toEqual([])
    expect(restored('red')).toHaveLength(1)
  })

  test('[SIM-103] legal: a record that somebody else made too, and of which its author had said nothing', () => {
    const made = (hue: string): GivenHistory => {
      const history = givenHistory().line({ op: 'create', after: { name: 'beam', hue } })
      return history
        .write(1, { op: 'create', changes: { name: 'beam' } })
        .write(2, { changes: { hue: 'blue' }, base: { hue: 'grey' } })
        .send(2)
        .rule(2)
    }
    expect(found(made('grey'), { defaults: { hue: 'grey' } })).toEqual([])
    expect(found(made('red'), { defaults: { hue: 'grey' } })).toHaveLength(1)
  })

  test('[SIM-103] of a transaction, and of a dead letter that is tried again', () => {
    expect(found(taken(toShelf(givenBeam(), { group: 'g1' }).line(moved)))).toHaveLength(1)
    const dead = toShelf(givenBeam())
      .send(1)
      .rule(1, { status: 'rejected', op: 'none', code: 'CONSTRAINT_FAILED' })
      .status(1, 'dead')
      .move(1, 2)
      .line(moved)
    expect(found(dead.send(2).rule(2, { after: { shelf: 'A' } }))).toHaveLength(1)
  })

  test('[SIM-103] legal: a person is asked, or a decision says what became of both', () => {
    expect(found(taken(toShelf(givenBeam().line(moved)), { status: 'conflict' }))).toEqual([])
    const decision = {
      field: 'shelf',
      rule: 'latest',
      winner: 'mine',
      mine: 'A',
      theirs: 'hall',
      result: 'A',
    }
    const merged = { status: 'merged', decisions: [decision] } as const
    expect(found(taken(toShelf(givenBeam().line(moved)), merged))).toEqual([])
    const other = { status: 'merged', decisions: [{ ...decision, field: 'name' }] } as const
    expect(found(taken(toShelf(givenBeam().line(moved)), other))).toHaveLength(1)
  })

  test('[SIM-103] legal: its author had read it, or it stands again as they had read it', () => {
    expect(found(taken(toShelf(read(givenBeam().line(moved), 2))))).toEqual([])
    const back = givenBeam()
      .line(moved)
      .line({ before: { shelf: 'hall' }, after: { shelf: 'dock' } })
    expect(found(taken(toShelf(back)))).toEqual([])
  })

  test('[SIM-103] legal: another field, and a counter', () => {
    expect(found(taken(toShelf(givenBeam().line(renamed))))).toEqual([])
    const counting = givenBeam()
      .line(counted)
      .write(1, { increments: { stock: 1 } })
    expect(found(taken(counting, { after: { stock: 6 } }))).toEqual([])
  })

  test('[SIM-103] that merges as one with another, which somebody else had changed', () => {
    expect(found(taken(toShelf(givenBeam().line(renamed))), { groups: [['name', 'shelf']] })).toHaveLength(1)
  })

  test('[SIM-103] legal: what its author did before, and what another decided to be theirs', () => {
    const own = givenBeam()
      .write(2, { changes: { shelf: 'hall' } })
      .send(2)
      .rule(2)
    expect(found(taken(toShelf(own)))).toEqual([])
    const decided = givenBeam()
      .write(2, { changes: { shelf: 'hall' } })
      .write(1, { changes: { shelf: 'A' } })
      .line(moved)
    expect(found(taken(decided))).toEqual([])
  })

  test('[SIM-103] that an edit of a dead letter brought to it, told from what was read then', () => {
    const other = (): GivenHistory => dead({ changes: { name: 'joist' }, base: { name: 'beam' } }).line(moved)
    const mended = { name: 'joist', shelf: 'A' }
    expect(found(again(read(other(), 2), mended))).toEqual([])
    expect(found(again(other(), mended))).toEqual([
      'm3 was applied and replaced shelf of items/r1, of which its author had not seen that shelf was "hall"',
    ])
    // Of what it had said before, its author had read no more than then.
    expect(found(again(read(other().line(renamed), 3), { name: 'truss' }))).toHaveLength(1)
  })

  test('[SIM-103] legal: what its author had written before, as it was sent in the end', () => {
    const behind = (shelf: string): GivenHistory => {
      const history = dead({ changes: { shelf: 'B' }, base: { shelf: 'dock' } })
      return edit(history.write(2, { changes: { shelf: 'A' }, base: { shelf: 'B' } }), { shelf }).line(moved)
    }
    expect(found(behind('hall').send(2).rule(2))).toEqual([])
    const mended = edit(dead({ changes: { shelf: 'B' }, base: { shelf: 'dock' } }), { shelf: 'hall' })
    const after = mended.line(moved).write(2, { changes: { shelf: 'A' }, base: { shelf: 'hall' } })
    expect(found(after.send(2).rule(2))).toEqual([])
    expect(found(behind('attic').send(2).rule(2))).toHaveLength(1)
  })

  test('[SIM-103] legal: it was deleted and brought back as its author had read it', () => {
    const values = { name: 'beam', shelf: 'dock' }
    const gone = read(givenBeam().line({ op: 'delete', before: values }), 2)
    expect(found(taken(toShelf(gone).line({ op: 'restore', after: values })))).toEqual([])
    expect(found(taken(toShelf(gone).line({ op: 'restore', after: { ...values, shelf: 'hall' } })))).toEqual(
      replaced,
    )
    // The device has no values of it, and shows the defaults.
    const asHall = (shelf: string): readonly string[] => {
      const deleted = read(givenBeam().line({ op: 'delete', before: values }), 2)
      const hall = toShelf(deleted).line({ op: 'restore', after: { ...values, shelf: 'hall' } })
      return found(taken(hall), { defaults: { shelf } })
    }
    expect(asHall('hall')).toEqual([])
    expect(asHall('quay')).toEqual(replaced)
  })

  test('[SIM-103] of two edits that travel as one, the first of which had not seen it', () => {
    const history = toShelf(givenBeam()).line(moved)
    const folded = read(history, 2)
      .write(2, { changes: { shelf: 'B' } })
      .send(1, 2)
    expect(found(folded.rule(1, { covers: '1-2', after: { shelf: 'B' } }))).toHaveLength(1)
  })

  test('[SIM-103] in a form that was open before', () => {
    const form = (step: 'opening' | 'opened' | 'saving' | 'saved', record: string | null) =>
      ({ kind: 'form', atMs: 0, disk: 'd1', form: 1, step, record }) as const
    const opened = givenBeam().add(form('opening', null)).line(moved)
    const saved = toShelf(read(opened, 2).add(form('saving', 'items/r1'))).add(form('saved', 'items/r1'))
    expect(found(taken(saved))).toHaveLength(1)
    // What was read while the form opened it shows, and no form is being saved for minutes.
    const late = read(givenBeam().add(form('opening', null)).line(moved), 2).add(form('opened', null))
    expect(found(taken(toShelf(late.add(form('saving', 'items/r1')))))).toEqual([])
    const dead = givenBeam().add(form('opening', null), form('saving', 'items/r1')).line(moved)
    expect(found(taken(toShelf(read(dead, 2).wait(61_000))))).toEqual([])
  })

  /** m1 was refused, and is mended to put it on shelf B, in a form if one is being saved. */
  const mended = (history: GivenHistory): GivenHistory => {
    const payload = { changes: { shelf: 'B' }, base: null, increments: {}, additions: {}, removals: {} }
    return history.add({
      kind: 'entry-payload',
      atMs: 0,
      disk: 'd1',
      device: 'D1',
      seq: 1,
      id: 'm1',
      payload,
    })
  }
  const refused = (history: GivenHistory): GivenHistory =>
    toShelf(history)
      .send(1)
      .rule(1, { status: 'rejected', op: 'none', code: 'CONSTRAINT_FAILED' })
      .status(1, 'dead')

  const form = (step: 'opening' | 'saving' | 'saved', record: string | null) =>
    ({ kind: 'form', atMs: 0, disk: 'd1', form: 1, step, record }) as const

  test('[SIM-103] of a dead letter that is mended, and what the form of it did not show', () => {
    const again = (history: GivenHistory) =>
      found(
        history
          .move(1, 2)
          .send(2)
          .rule(2, { before: { shelf: 'hall' }, after: { shelf: 'B' } }),
      )
    const letter = (): GivenHistory => refused(givenBeam())
    const saved = (history: GivenHistory) =>
      mended(history.add(form('saving', 'items/r1'))).add(form('saved', 'items/r1'))
    expect(again(saved(read(letter().line(moved), 3).add(form('opening', null))))).toEqual([])
    expect(again(saved(read(letter().add(form('opening', null)).line(moved), 3)))).toHaveLength(1)
    expect(again(mended(read(letter().line(moved), 3)))).toHaveLength(1)
  })

  test('[SIM-103] legal: it was shown to who mended, in a form, what it stands on', () => {
    const discarded = (isShown: boolean): readonly string[] => {
      const letter = read(
        refused(givenBeam())
          .write(2, { changes: { shelf: 'C' } })
          .line(moved),
        3,
      )
      const opened = isShown ? letter.add(form('opening', null)).add(form('saving', 'items/r1')) : letter
      return found(
        mended(opened)
          .discard('m1')
          .gone(1)
          .send(2)
          .rule(2, { before: { shelf: 'hall' }, after: { shelf: 'C' } }),
      )
    }
    expect(discarded(true)).toEqual([])
    expect(discarded(false)).toHaveLength(1)
  })

  test('[SIM-103] legal: it stands as its author had written it on a letter, before they mended that in a form', () => {
    const said = (shelf: string): GivenHistory => refused(givenBeam()).write(2, { changes: { shelf } })
    const inForm = (history: GivenHistory): GivenHistory =>
      mended(history.add(form('opening', null)).add(form('saving', 'items/r1'))).add(
        form('saved', 'items/r1'),
      )
    const decidedAndTaken = (history: GivenHistory) =>
      found(
        history
          .line({ before: { shelf: 'dock' }, after: { shelf: 'C' } })
          .move(1, 3)
          .send(3)
          .rule(3, { before: { shelf: 'C' }, after: { shelf: 'B' } }),
      )
    expect(decidedAndTaken(inForm(said('C')))).toEqual([])
    expect(decidedAndTaken(inForm(said('D')))).toHaveLength(1)
    expect(decidedAndTaken(mended(said('C')))).toHaveLength(1)
  })

  test('[SIM-103] legal: it stands as a letter was mended that the edit stands on', () => {
    const decided = { before: { shelf: 'dock' }, after: { shelf: 'B' } }
    const later = refused(givenBeam()).write(2, { changes: { shelf: 'C' } })
    const taken2 = (history: GivenHistory) =>
      found(
        history
          .line(decided)
          .send(2)
          .rule(2, { before: { shelf: 'B' }, after: { shelf: 'C' } }),
      )
    expect(taken2(mended(later))).toEqual([])
    expect(taken2(refused(givenBeam()).write(2, { changes: { shelf: 'C' } }))).toHaveLength(1)
  })
})

describe('a record', () => {
  const deletion = { op: 'delete', changes: {}, base: null } as const

  test('[SIM-103] that is deleted although somebody else had changed it', () => {
    expect(found(taken(toShelf(givenBeam().line(moved), deletion)))).toEqual([
      'm1 was applied and deleted items/r1, of which its author had not seen that shelf changed',
    ])
  })

  test('[SIM-103] legal: what only adds up is not in the way of a deletion, nor what was read', () => {
    expect(found(taken(toShelf(givenBeam().line(counted), deletion)))).toEqual([])
    expect(found(taken(toShelf(read(givenBeam().line(moved), 2), deletion)))).toEqual([])
  })

  test('[SIM-103] legal: a decision holds what was deleted, and nothing is deleted that was gone', () => {
    const decision = {
      field: 'shelf',
      rule: 'onDelete.delete',
      winner: 'mine',
      mine: null,
      theirs: 'hall',
      result: null,
    }
    expect(
      found(taken(toShelf(givenBeam().line(moved), deletion), { status: 'merged', decisions: [decision] })),
    ).toEqual([])
    expect(found(taken(toShelf(givenBeam().line({ op: 'delete' }), deletion), { op: 'none' }))).toEqual([])
  })

  test('[SIM-103] that is strict, of which somebody else had changed anything', () => {
    const strict = { isStrict: true }
    expect(found(taken(toShelf(givenBeam().line(renamed))), strict)).toEqual([
      'm1 was applied and changed items/r1, of which its author had not seen that name changed',
    ])
    expect(found(taken(toShelf(givenBeam().line(counted))), strict)).toHaveLength(1)
    expect(found(taken(toShelf(givenBeam().line(counted), deletion)), strict)).toHaveLength(1)
    expect(found(taken(toShelf(read(givenBeam().line(renamed), 2))), strict)).toEqual([])
  })

  test('[SIM-103] left out: decisions, copies of a disk, what came out of escrow, a server that was put back', () => {
    expect(found(taken(toShelf(givenBeam().line(moved), { resolves: 'c1' })))).toEqual([])
    expect(found(taken(toShelf(givenBeam().line(moved).copy())))).toEqual([])
    const accepted = toShelf(givenBeam().line(moved)).send(1).rule(1, { line: false, version: 3 })
    accepted.line({ after: { shelf: 'A' }, device: 'D1', mutation: 'm1', acceptedBy: 'op' })
    expect(found(accepted)).toEqual([])
    expect(found(taken(toShelf(givenBeam().line(moved).restore(1))))).toEqual([])
  })
})
