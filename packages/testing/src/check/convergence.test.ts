import { describe, expect, test } from 'vitest'

import { convergence } from './convergence.ts'
import { givenConflict, givenHistory, givenRow } from './given-history.ts'

const scopes = { 'items/r1': ['site:t0a'], 'items/r2': ['site:t1a'], 'items/r3': ['global'] }
const rows = [
  givenRow('r1', 4, { name: 'Rope' }),
  givenRow('r2', 5, { name: 'Wire' }),
  givenRow('r3', 6, { name: 'Cord' }),
]
const server = { collections: { items: rows }, scopes }
const [first, second, third] = rows
if (!first || !second || !third) throw new Error('there are three')

describe('devices that differ', () => {
  test('[SIM-36] a row too few, too many, too old or with other values', () => {
    const items = [{ ...first, version: 3, values: { name: 'Rop' } }, second, givenRow('r9', 1, {})]
    expect(
      givenHistory()
        .end({ server, devices: [{ collections: { items } }] })
        .found(convergence),
    ).toEqual([
      'items/r1 on d1 is at version 3 instead of 4',
      'items/r1 on d1 has name "Rop" instead of "Rope"',
      'd1 keeps items/r2, which is in none of its scopes',
      'd1 lacks items/r3 at version 6',
      'd1 has items/r9, which the server does not have',
    ])
  })

  test('[SIM-36] conflicts that are missing, unknown or listed otherwise', () => {
    const conflicts = [givenConflict('c1'), givenConflict('c2', { status: 'resolved' })]
    const device = { conflicts: [givenConflict('c2'), givenConflict('c9')] }
    expect(
      givenHistory()
        .end({ server: { conflicts }, devices: [device] })
        .found(convergence),
    ).toEqual([
      'd1 lists the conflict c2 as open instead of resolved',
      'd1 lists the conflict c9, which the server does not have',
      'd1 does not list the open conflict c1 of its own user',
    ])
  })

  test('[SIM-36] a conflict that a colleague does not hear of', () => {
    const conflicts = [
      givenConflict('c1', { author: 'bo', status: 'resolved', records: ['items/r1'] }),
      givenConflict('c2', { author: 'bo', records: ['items/r1', 'items/r1'] }),
    ]
    expect(
      givenHistory()
        .end({ server: { conflicts, scopes }, devices: [{}] })
        .found(convergence),
    ).toEqual([
      'd1 does not list the conflict c1, which lies in the scopes of its user',
      'd1 does not list the conflict c2, which lies in the scopes of its user',
    ])
  })

  test('[SIM-36] what was left aside, and files that are damaged', () => {
    const device = {
      stagedCount: 1,
      quarantineCount: 2,
      shadowCount: 1,
      damage: ['row 1 missing from index'],
    }
    expect(
      givenHistory()
        .end({ server: { damage: ['malformed'] }, devices: [device] })
        .found(convergence),
    ).toEqual([
      "the server's file is damaged: malformed",
      'the file of d1 is damaged: row 1 missing from index',
      'd1 has 1 staged pages although everything is quiet',
      'd1 has 2 rows in quarantine',
      'd1 keeps 1 shadows for 0 records with unsettled mutations',
    ])
  })

  test('[SIM-36] times that differ', () => {
    const items = [{ ...first, updatedAt: '2026-11-21T10:00:00.000Z' }, third]
    expect(
      givenHistory()
        .end({ server, devices: [{ collections: { items } }] })
        .found(convergence),
    ).toEqual(['items/r1 on d1 was updated at 2026-11-21T10:00:00.000Z instead of 2026-11-20T10:00:00.000Z'])
  })
})

describe('devices that agree', () => {
  test('[SIM-36] with what each is granted', () => {
    const devices = [
      { collections: { items: [third, first] } },
      { disk: 'd2', grants: ['*'], collections: { items: rows } },
      { disk: 'd3', grants: [], collections: { items: [third] } },
    ]
    expect(givenHistory().end({ server, devices }).found(convergence)).toEqual([])
  })

  test('[SIM-36] where records with unsettled mutations differ', () => {
    const written = givenHistory().entry(1)
    const outbox = [
      { ...written, status: 'conflicted', code: null },
      { ...written, seq: 2, id: 'm2', record: 'r9', status: 'dead', code: 'SCOPE_DENIED' },
    ] as const
    const items = [givenRow('r1', 4, { name: 'Mine' }), third, givenRow('r9', 0, {}, null)]
    const device = { collections: { items }, outbox, shadowCount: 2 }
    expect(
      givenHistory()
        .end({ server, devices: [device] })
        .found(convergence),
    ).toEqual([])
  })

  test("[SIM-36] where somebody else's conflict is not listed, or nothing came to rest", () => {
    const conflicts = [
      // Of a record elsewhere, of two that lie apart, of a deleted one, and of a unique key.
      givenConflict('c1', { author: 'bo', records: ['items/r2'] }),
      givenConflict('c2', { author: 'bo', records: ['items/r1', 'items/r2'] }),
      givenConflict('c3', { author: 'bo', records: ['items/r4'] }),
      givenConflict('c4', { author: 'bo', records: ['items/r1'], reason: 'unique' }),
    ]
    expect(
      givenHistory()
        .end({ server: { conflicts, scopes }, devices: [{}] })
        .found(convergence),
    ).toEqual([])
    expect(
      givenHistory()
        .end({ server, devices: [{}], quietAtMs: null })
        .found(convergence),
    ).toEqual([])
  })
})
