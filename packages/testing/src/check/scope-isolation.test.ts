import { describe, expect, test } from 'vitest'

import { givenConflict, givenHistory, type GivenHistory } from './given-history.ts'
import { marksOf } from './scope-marks.ts'
import { scopeIsolation } from './scope-isolation.ts'

function grant(history: GivenHistory, ...scopes: readonly string[]): GivenHistory {
  return history.add({ kind: 'grants', atMs: history.atMs, user: 'ann', scopes })
}

function answer(history: GivenHistory, ...scopesSeen: readonly string[]): GivenHistory {
  return history.add({
    kind: 'response',
    atMs: history.atMs,
    user: 'ann',
    route: 'pull',
    status: 200,
    scopesSeen,
  })
}

describe('values that leak', () => {
  test('[SIM-38] an answer with a mark of another tenant', () => {
    const history = answer(grant(givenHistory(), 'site:t0a'), 't0', 't1')
    expect(history.found(scopeIsolation)).toEqual(['an answer of pull (200) shows ann something of t1'])
  })

  test('[SIM-38] B37: an answer after the grant was taken away, and one to somebody unknown', () => {
    const history = answer(grant(grant(givenHistory(), 'site:t0a', 'site:t1a'), 'site:t0b'), 't0', 't1')
    expect(history.found(scopeIsolation)).toEqual(['an answer of pull (200) shows ann something of t1'])
    expect(answer(givenHistory(), 't0').found(scopeIsolation)).toEqual([
      'an answer of pull (200) shows ann something of t0',
    ])
  })

  test('[SIM-38] B40: rows of a scope of the same tenant that is not granted any more', () => {
    const history = grant(grant(givenHistory(), 'site:t0a', 'site:t0b'), 'site:t0b')
    const served = (...scopesServed: readonly string[]): GivenHistory =>
      history.add({
        kind: 'response',
        atMs: 0,
        user: 'ann',
        route: 'pull',
        status: 200,
        scopesSeen: [],
        scopesServed,
      })
    expect(served('site:t0b', 'global', '~user:ann').found(scopeIsolation)).toEqual([])
    expect(served('site:t0a', '~user:bob').found(scopeIsolation)).toEqual([
      'an answer of pull (200) serves ann site:t0a, which was not granted',
      'an answer of pull (200) serves ann ~user:bob, which was not granted',
    ])
  })

  test('[SIM-38] a file that keeps what was taken away', () => {
    const history = grant(grant(givenHistory(), 'site:t0a', 'site:t1a'), 'site:t0a')
    expect(history.end({ devices: [{ scopesSeen: ['t0', 't1'] }] }).found(scopeIsolation)).toEqual([
      'the file of d1 still has something of t1, which ann may not see',
    ])
  })
})

describe('values that are seen by right', () => {
  test('[SIM-38] of every site of a tenant, and of all tenants where everything is granted', () => {
    expect(answer(grant(givenHistory(), 'site:t0b', 'site:t2a'), 't0', 't2').found(scopeIsolation)).toEqual(
      [],
    )
    expect(answer(grant(givenHistory(), '*'), 't0', 't7').found(scopeIsolation)).toEqual([])
  })

  test('[SIM-38] unsent edits in a scope that was taken away', () => {
    const history = grant(grant(givenHistory(), 'site:t0a'), 'global')
    const entry = {
      ...history.entry(1, { changes: { name: '§t0§Rope' } }),
      status: 'dead',
      code: 'SCOPE_DENIED',
    } as const
    expect(
      history.end({ devices: [{ grants: [], outbox: [entry], scopesSeen: ['t0'] }] }).found(scopeIsolation),
    ).toEqual([])
  })

  test('[SIM-38] a conflict of their own about what was taken away', () => {
    const history = grant(givenHistory(), 'site:t0a').write(1).send(1).rule(1, { status: 'conflict' })
    answer(grant(history), 't0')
    const devices = [{ grants: [], conflicts: [givenConflict('c1')], scopesSeen: ['t0'] }]
    expect(history.end({ devices }).found(scopeIsolation)).toEqual([])
  })

  test('[SIM-38] marks follow from scopes that belong to tenants', () => {
    expect(marksOf(['site:t0a', 'site:t0b', 'site:t12c', 'global', '~user:t9'])).toEqual(
      new Set(['t0', 't12']),
    )
    expect(marksOf(['site:t0a', '*'])).toBe('*')
  })
})
