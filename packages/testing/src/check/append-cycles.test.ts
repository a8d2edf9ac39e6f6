import { describe, expect, test } from 'vitest'

import { type AppendTransaction, findAppendAnomalies } from './append-cycles.ts'

interface Given {
  readonly appends?: Readonly<Record<string, string>>
  readonly reads?: Readonly<Record<string, string>>
  readonly isCommitted?: boolean
}

const tokensOf = (text: string): readonly string[] => (text === '' ? [] : text.split(' '))

function transaction(id: string, { appends = {}, reads = {}, isCommitted = true }: Given): AppendTransaction {
  return {
    id,
    isCommitted,
    appends: Object.entries(appends).flatMap(([list, text]) =>
      tokensOf(text).map((token) => ({ list, token })),
    ),
    reads: Object.entries(reads).map(([list, text]) => ({ list, tokens: tokensOf(text) })),
  }
}

function kinds(
  given: Readonly<Record<string, Given>>,
  final: Readonly<Record<string, string>>,
): readonly string[] {
  const history = Object.entries(given).map(([id, each]) => transaction(id, each))
  const lists = new Map(Object.entries(final).map(([list, text]) => [list, tokensOf(text)] as const))
  return findAppendAnomalies(history, lists).map(({ kind }) => kind)
}

describe('histories of lists that grow', () => {
  test('[SIM-48] a legal history has none: reads before, between and after, and a writer that reads what it wrote', () => {
    const legal = {
      t1: { appends: { x: 'a', y: 'b' }, reads: { x: 'a' } },
      t2: { appends: { x: 'c' } },
      t3: { appends: { x: 'e f' }, reads: { x: 'a c e f' } },
      r0: { reads: { x: '', y: '' } },
      r1: { reads: { x: 'a', y: 'b' } },
      r2: { reads: { x: 'a c', y: 'b' } },
      gone: { appends: { x: 'd' }, isCommitted: false },
    }
    expect(kinds(legal, { x: 'a c e f', y: 'b' })).toEqual([])
  })

  test('[SIM-48] what was committed and is not there, what nobody wrote, and what came twice', () => {
    expect(kinds({ t: { appends: { x: 'a' } } }, { x: '' })).toEqual(['lost append'])
    expect(kinds({ t: { appends: { x: 'a' } } }, { x: 'a z' })).toEqual(['unknown token'])
    expect(kinds({ t: { appends: { x: 'a' } } }, { x: 'a a' })).toEqual(['token twice'])
  })

  test('[SIM-48] reads of what was never committed, of half a transaction in one list, and of another order', () => {
    const undone = { t: { appends: { x: 'a' }, isCommitted: false }, r: { reads: { x: 'a' } } }
    expect(kinds(undone, { x: '' })).toEqual(['uncommitted read'])
    expect(kinds({ t: { appends: { x: 'a b' } }, r: { reads: { x: 'a' } } }, { x: 'a b' })).toEqual([
      'halfway read',
    ])
    const two = { t: { appends: { x: 'a' } }, u: { appends: { x: 'b' } }, r: { reads: { x: 'b' } } }
    expect(kinds(two, { x: 'a b' })).toEqual(['two orders'])
  })

  test('[SIM-48] two transactions that each wrote before the other', () => {
    const cycle = { t: { appends: { x: 'a', y: 'b' } }, u: { appends: { x: 'c', y: 'd' } } }
    expect(kinds(cycle, { x: 'a c', y: 'd b' })).toEqual(['write cycle'])
  })

  test('[SIM-48] two transactions that each read what the other wrote', () => {
    const cycle = {
      t: { appends: { x: 'a' }, reads: { y: 'b' } },
      u: { appends: { y: 'b' }, reads: { x: 'a' } },
    }
    expect(kinds(cycle, { x: 'a', y: 'b' })).toEqual(['read cycle'])
  })

  test('[SIM-48] a reader that saw half of a transaction, one that missed an earlier commit, and two that crossed', () => {
    const half = { t: { appends: { x: 'a', y: 'b' } }, r: { reads: { x: 'a', y: '' } } }
    expect(kinds(half, { x: 'a', y: 'b' })).toEqual(['overtaken read'])
    const missed = {
      t: { appends: { x: 'a' } },
      u: { appends: { y: 'b' }, reads: { x: 'a' } },
      r: { reads: { x: '', y: 'b' } },
    }
    expect(kinds(missed, { x: 'a', y: 'b' })).toEqual(['overtaken read'])
    const crossed = {
      t: { appends: { x: 'a' } },
      u: { appends: { y: 'b' } },
      r: { reads: { x: 'a', y: '' } },
      s: { reads: { x: '', y: 'b' } },
    }
    expect(kinds(crossed, { x: 'a', y: 'b' })).toEqual(['overtaken read'])
  })
})
