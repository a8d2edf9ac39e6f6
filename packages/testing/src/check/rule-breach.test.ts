import { describe, expect, test } from 'vitest'

import { breachOf, type Decision } from './rule-breach.ts'

const decision = (more: Partial<Decision>): Decision => ({
  rule: 'max',
  winner: 'mine',
  mine: null,
  theirs: null,
  result: null,
  ...more,
})

describe('decisions against their rule', () => {
  test('[SIM-34] the smaller of two readings, dates or prices where the larger is to stand, and the other way round', () => {
    expect(breachOf(decision({ mine: 4, theirs: 9, result: 4 }))).toBe('keeps 4 of 4 and 9')
    expect(breachOf(decision({ winner: 'theirs', mine: 9, theirs: 4, result: 4 }))).toBe('keeps 4 of 9 and 4')
    const [may, june] = ['2026-05-01T00:00:00.000Z', '2026-06-01T00:00:00.000Z']
    expect(breachOf(decision({ mine: may, theirs: june, result: may }))).toContain('keeps')
    expect(breachOf(decision({ rule: 'min', mine: '10.5', theirs: '9.75', result: '10.5' }))).toBe(
      'keeps "10.5" of "10.5" and "9.75"',
    )
    expect(breachOf(decision({ mine: null, theirs: 3, result: null }))).toBe('keeps nothing')
  })

  test('[SIM-34] somebody’s value where the server’s own stands, and a paragraph that is nowhere', () => {
    expect(breachOf(decision({ rule: 'server', mine: 'a', theirs: 'b', result: 'a' }))).toContain('although')
    const texts = {
      rule: 'paragraphs',
      winner: 'both',
      base: 'one',
      mine: 'one\n\ntwo',
      theirs: 'one\n\nthree',
    }
    expect(breachOf(decision({ ...texts, result: 'one\n\nthree' }))).toBe('lost the paragraph "two"')
  })
})

describe('legal', () => {
  test('[SIM-34] decisions as their rules say', () => {
    const legal: readonly Partial<Decision>[] = [
      { mine: 9, theirs: 4, result: 9 },
      { winner: 'theirs', mine: 4, theirs: 9, result: 9 },
      { mine: 3, theirs: null, result: 3 },
      { rule: 'min', mine: '9.75', theirs: '10.5', result: '9.75' },
      { rule: 'min', winner: 'theirs', mine: null, theirs: 10, result: 10 },
      { winner: 'theirs', mine: '1.0', theirs: '1', result: '1' },
      { rule: 'server', winner: 'theirs', mine: 'a', theirs: 'b', result: 'b' },
      {
        rule: 'paragraphs',
        winner: 'both',
        base: 'one\n\ngone',
        mine: 'one\n\ntwo',
        theirs: 'one\n\ngone\n \nthree',
        result: 'one\n\nthree\n\ntwo',
      },
      { rule: 'custom', mine: 1, theirs: 2, result: 1 },
    ]
    expect(legal.map((more) => breachOf(decision(more)))).toEqual(legal.map(() => undefined))
  })
})
