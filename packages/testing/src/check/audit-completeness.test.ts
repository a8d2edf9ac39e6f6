import { describe, expect, test } from 'vitest'

import { auditCompleteness } from './audit-completeness.ts'
import { givenHistory, type GivenHistory, givenRow } from './given-history.ts'
import type { Values } from './observation.ts'

function givenItem(): GivenHistory {
  return givenHistory()
    .write(1, { op: 'create', changes: { name: 'Rope', stock: 1 } })
    .send(1)
    .rule(1)
}

const end = (version: number, values: Values) => ({
  server: { collections: { items: [givenRow('r1', version, values)] } },
})

describe('a log that does not explain the rows', () => {
  test('[SIM-33] a row that changed without a line', () => {
    expect(
      givenItem()
        .end(end(1, { name: 'Rope', stock: 2 }))
        .found(auditCompleteness),
    ).toEqual(['items/r1 has stock 2, but the audit log makes it 1'])
    expect(
      givenItem()
        .end(end(4, { name: 'Rope', stock: 1 }))
        .found(auditCompleteness),
    ).toEqual(['items/r1 is at version 4, but the audit log ends at 1'])
  })

  test('[SIM-105] a column that came with the next schema has what it came with, and nothing else', () => {
    const migrated = () =>
      givenItem().add({ kind: 'server-migrated', atMs: 5, columns: { items: { hue: 'grey' } } })
    const named = { name: 'Rope', stock: 1 }
    expect(
      migrated()
        .end(end(1, { ...named, hue: 'grey' }))
        .found(auditCompleteness),
    ).toEqual([])
    expect(
      givenItem()
        .end(end(1, { ...named, hue: 'grey' }))
        .found(auditCompleteness),
    ).toEqual(['items/r1 has hue "grey", but the audit log makes it nothing'])
    const painted = migrated()
      .write(2, { changes: { hue: 'red' } })
      .send(2)
      .rule(2, { before: { hue: 'blue' } })
    expect(painted.end(end(2, { ...named, hue: 'red' })).found(auditCompleteness)).toEqual([
      'line 2 on items/r1 says that hue was "blue", but the lines before it make it "grey"',
    ])
  })

  test('[SIM-33] a line that remembers another value than the lines before it', () => {
    const history = givenItem()
      .write(2, { changes: { name: 'Cord' } })
      .send(2)
      .rule(2, { before: { name: 'Wire' } })
    expect(history.end(end(2, { name: 'Cord', stock: 1 })).found(auditCompleteness)).toEqual([
      'line 2 on items/r1 says that name was "Wire", but the lines before it make it "Rope"',
    ])
  })

  test('[SIM-33] a verdict without a line, a line without a verdict, and two that differ', () => {
    const silent = givenItem().write(2).send(2).rule(2, { line: false, version: 2 })
    expect(silent.found(auditCompleteness)).toEqual([])
    expect(silent.end(end(1, { name: 'Rope', stock: 1 })).found(auditCompleteness)).toEqual([
      'm2 was applied as version 2, but the audit log has no line of it',
    ])
    const unruled = givenItem().line({ user: 'ann', device: 'D1', mutation: 'm9', after: { stock: 1 } })
    expect(unruled.end(end(2, { name: 'Rope', stock: 1 })).found(auditCompleteness)).toEqual([
      'line 2 is of m9, on which the server never ruled',
    ])
    const other = givenItem().write(2).send(2).rule(2, { status: 'rejected', line: false })
    other.line({ op: 'none', version: null, user: 'ann', device: 'D1', mutation: 'm2', status: 'applied' })
    expect(other.end(end(1, { name: 'Rope', stock: 1 })).found(auditCompleteness)).toEqual([
      'line 2 says that m2 was applied, but the verdict was rejected',
    ])
  })

  test('[SIM-33] a refusal and a conflict without a line', () => {
    for (const status of ['rejected', 'conflict'] as const) {
      const history = givenHistory().write(1).send(1).rule(1, { status, code: 'SCOPE_DENIED', line: false })
      expect(history.end().found(auditCompleteness)).toEqual([
        `m1 was ${status}, but the audit log has no line of it`,
      ])
    }
    const unread = givenHistory().write(1).write(2, { record: 'r2' }).send(1).send(2)
    unread.rule(1, { status: 'rejected', code: 'VALUE_INVALID', line: false })
    unread.rule(2, { status: 'rejected', code: 'DEPENDENCY_FAILED', line: false })
    expect(unread.end().found(auditCompleteness)).toEqual([])
  })

  test('[SIM-33] versions that go back, rows that vanish, tombstones nobody made', () => {
    const back = givenItem().line({ version: 1, after: { stock: 2 } })
    expect(back.end(end(1, { name: 'Rope', stock: 2 })).found(auditCompleteness)).toEqual([
      'line 2 on items/r1 goes from version 1 back to 1',
    ])
    expect(
      givenItem()
        .end({ server: { collections: { items: [] } } })
        .found(auditCompleteness),
    ).toEqual(['items/r1 is gone from the server, but no line of the audit log deletes it'])
    const deleted = { items: [{ id: 'r2', version: 3 }] }
    expect(givenHistory().end({ server: { deleted } }).found(auditCompleteness)).toEqual([
      'items/r2 is deleted at version 3, but to the audit log it is unknown',
    ])
  })

  test('[SIM-33] a row that says another time than its last line', () => {
    const late = givenRow('r1', 1, { name: 'Rope', stock: 1 }, '2026-11-20T11:00:00.000Z')
    expect(
      givenItem()
        .end({ server: { collections: { items: [late] } } })
        .found(auditCompleteness),
    ).toEqual([
      'items/r1 says it was edited at 2026-11-20T11:00:00.000Z, but the audit log says at 2026-11-20T10:00:00.000Z',
    ])
  })
})

describe('a log that explains them', () => {
  test('[SIM-33] what lines say in whatever order they and their verdicts are told', () => {
    const history = givenItem()
      .write(2, { changes: { stock: 2 } })
      .send(2)
      .rule(2, { before: { stock: 1 } })
    const [line, outcome] = history.list.splice(-2)
    if (!line || !outcome) throw new Error('both were told')
    history.add(outcome, line)
    expect(history.end(end(2, { name: 'Rope', stock: 2 })).found(auditCompleteness)).toEqual([])
  })

  test('[SIM-33] B14: a server that was put back, and goes on from there', () => {
    const history = givenItem()
      .write(2, { changes: { stock: 2 } })
      .send(2)
      .rule(2, { before: { stock: 1 } })
    history
      .write(3, { op: 'delete' })
      .send(3)
      .rule(3, { before: { name: 'Rope', stock: 2 } })
      .restore(1)
    history.send(2).rule(2, { before: { stock: 1 }, version: 9 })
    expect(history.end(end(9, { name: 'Rope', stock: 2 })).found(auditCompleteness)).toEqual([])
  })

  test('[SIM-33] what others write beside the server, deleted rows of theirs included', () => {
    const history = givenItem()
      .line({ op: 'delete', before: {}, after: {} })
      .line({ before: { stock: 1 }, after: { stock: 5 } })
    history.line({ op: 'restore', before: {}, after: {} })
    expect(history.end(end(4, { name: 'Rope', stock: 5 })).found(auditCompleteness)).toEqual([])
  })

  test('[SIM-33] a mutation without effect, a refusal, and values a settlement turned down', () => {
    const history = givenItem()
      .write(2, { op: 'delete', record: 'r9' })
      .send(2)
      .rule(2, { line: false, version: null })
    history
      .write(3)
      .send(3)
      .rule(3, { status: 'rejected', after: { name: 'x' } })
    history
      .write(4)
      .send(4)
      .rule(4, { status: 'conflict', after: { name: 'y' } })
    history.line({ op: 'none', version: null, user: 'ann', device: 'D1', mutation: 'm4', status: 'lost' })
    expect(history.end(end(1, { name: 'Rope', stock: 1 })).found(auditCompleteness)).toEqual([])
  })

  test('[SIM-33] a tombstone that was collected, and an amount that is spelled in another way', () => {
    const history = givenItem()
      .write(2, { op: 'delete' })
      .send(2)
      .rule(2, { before: { name: 'Rope', stock: 1 } })
    history.line({ op: 'create', record: 'r2', after: { price: '9.50' } })
    const row = givenRow('r2', 3, { price: '9.5' })
    expect(history.end({ server: { collections: { items: [row] } } }).found(auditCompleteness)).toEqual([])
  })
})
