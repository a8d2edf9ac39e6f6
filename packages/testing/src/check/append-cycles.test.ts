import { describe, expect, test } from 'vitest'

import { type AppendLevel, type AppendTransaction, findAppendAnomalies } from './append-cycles.ts'

interface Given {
  readonly appends?: Readonly<Record<string, string>>
  readonly reads?: Readonly<Record<string, string>>
  readonly isCommitted?: boolean
  readonly level?: AppendLevel
  readonly session?: string
}

const tokensOf = (text: string): readonly string[] => (text === '' ? [] : text.split(' '))

function transaction(id: string, given: Given): AppendTransaction {
  const { appends = {}, reads = {}, isCommitted = true, level = 'snapshot', session } = given
  return {
    id,
    isCommitted,
    level,
    ...(session !== undefined && { session }),
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

  test('[SIM-48] reads of what was never committed (G1a), of half of what one wrote to a list (G1b), of another order', () => {
    const undone = { t: { appends: { x: 'a' }, isCommitted: false }, r: { reads: { x: 'a' } } }
    expect(kinds(undone, { x: '' })).toEqual(['uncommitted read'])
    expect(kinds({ t: { appends: { x: 'a b' } }, r: { reads: { x: 'a' } } }, { x: 'a b' })).toEqual([
      'halfway read',
    ])
    const two = { t: { appends: { x: 'a' } }, u: { appends: { x: 'b' } }, r: { reads: { x: 'b' } } }
    expect(kinds(two, { x: 'a b' })).toEqual(['two orders'])
  })

  test('[SIM-48] two transactions that each wrote before the other (G0)', () => {
    const cycle = { t: { appends: { x: 'a', y: 'b' } }, u: { appends: { x: 'c', y: 'd' } } }
    expect(kinds(cycle, { x: 'a c', y: 'd b' })).toEqual(['write cycle'])
    const three = {
      t: { appends: { x: 'a', z: 'f' } },
      u: { appends: { x: 'b', y: 'c' } },
      v: { appends: { y: 'd', z: 'e' } },
    }
    expect(kinds(three, { x: 'a b', y: 'c d', z: 'e f' })).toEqual(['write cycle'])
    const lax = {
      t: { ...cycle.t, level: 'committed' as const },
      u: { ...cycle.u, level: 'committed' as const },
    }
    expect(kinds(lax, { x: 'a c', y: 'd b' })).toEqual(['write cycle'])
  })

  test('[SIM-48] two transactions that each read what the other wrote (G1c)', () => {
    const cycle = {
      t: { appends: { x: 'a' }, reads: { y: 'b' } },
      u: { appends: { y: 'b' }, reads: { x: 'a' } },
    }
    expect(kinds(cycle, { x: 'a', y: 'b' })).toEqual(['read cycle'])
  })

  test('[SIM-48] two that wrote on the same state of a list (lost update)', () => {
    const update = {
      t: { appends: { x: 'b' }, reads: { x: 'a' } },
      u: { appends: { x: 'c' }, reads: { x: 'a' } },
      first: { appends: { x: 'a' } },
    }
    expect(kinds(update, { x: 'a b c' })).toEqual(['lost update'])
    expect(kinds({ ...update, u: { ...update.u, level: 'committed' } }, { x: 'a b c' })).toEqual([])
  })

  test('[SIM-48] a reader that saw half of a transaction, or missed what one it saw had seen (read skew, G-single)', () => {
    const half = { t: { appends: { x: 'a', y: 'b' } }, r: { reads: { x: 'a', y: '' } } }
    expect(kinds(half, { x: 'a', y: 'b' })).toEqual(['read skew'])
    const missed = {
      t: { appends: { x: 'a' } },
      u: { appends: { y: 'b' }, reads: { x: 'a' } },
      r: { reads: { x: '', y: 'b' } },
    }
    expect(kinds(missed, { x: 'a', y: 'b' })).toEqual(['read skew'])
    expect(kinds({ ...missed, r: { ...missed.r, level: 'committed' } }, { x: 'a', y: 'b' })).toEqual([])
  })

  test('[SIM-48] two readers that saw two commits in different orders (long fork)', () => {
    const crossed = {
      t: { appends: { x: 'a' } },
      u: { appends: { y: 'b' } },
      r: { reads: { x: 'a', y: '' } },
      s: { reads: { x: '', y: 'b' } },
    }
    expect(kinds(crossed, { x: 'a', y: 'b' })).toEqual(['crossed reads'])
    expect(kinds({ ...crossed, s: { reads: { x: '', y: '' } } }, { x: 'a', y: 'b' })).toEqual([])
  })

  test('[SIM-48] a session that no longer sees what it saw or wrote', () => {
    const back = {
      t: { appends: { x: 'a' }, session: 'w' },
      r1: { reads: { x: 'a' }, session: 'r' },
      r2: { reads: { x: '' }, session: 'r' },
    }
    expect(kinds(back, { x: 'a' })).toEqual(['read skew'])
    expect(kinds({ ...back, r2: { reads: { x: '' }, session: 's' } }, { x: 'a' })).toEqual([])
    const late = {
      t: { appends: { x: 'b' }, session: 'w' },
      u: { appends: { x: 'a' }, session: 'w' },
    }
    expect(kinds(late, { x: 'a b' })).toEqual(['time went back'])
    const refused = { t: late.t, u: { ...late.u, isCommitted: false } }
    expect(kinds(refused, { x: 'b' })).toEqual([])
  })

  test('[SIM-48] who writes on what the other missed (write skew, G2) breaks a promise only where all is serializable', () => {
    const skew = (level: AppendLevel, other: AppendLevel = level) => ({
      t: { appends: { x: 'a' }, reads: { y: '' }, level },
      u: { appends: { y: 'b' }, reads: { x: '' }, level: other },
    })
    const final = { x: 'a', y: 'b' }
    expect(kinds(skew('serializable'), final)).toEqual(['write skew'])
    expect(kinds(skew('serializable', 'snapshot'), final)).toEqual([])
    expect(kinds(skew('snapshot'), final)).toEqual([])
    expect(kinds(skew('committed'), final)).toEqual([])
    // A device may see the one and not yet the other: each of its moments was there.
    expect(kinds({ ...skew('serializable', 'snapshot'), r: { reads: { x: '', y: 'b' } } }, final)).toEqual([])
  })

  test('[SIM-48] what is told is a short cycle, however long the history around it', () => {
    const all = Array.from({ length: 300 }, (_, at) => `z${at}`)
    const around = all.map((token, at): [string, Given] => [
      `w${at}`,
      { appends: { z: token, [`q${at}`]: `q${at}` } },
    ])
    const history = { ...Object.fromEntries(around), r: { reads: { z: all.join(' '), q297: '' } } }
    const final = { z: all.join(' '), ...Object.fromEntries(all.map((_, at) => [`q${at}`, `q${at}`])) }
    const given = Object.entries(history).map(([id, each]) => transaction(id, each))
    const lists = new Map(Object.entries(final).map(([list, text]) => [list, tokensOf(text)] as const))
    const message = 'r -rw-> w297, w297 -ww-> w298, w298 -ww-> w299, w299 -wr-> r'
    const told = findAppendAnomalies(given, lists)
    expect(told.map(({ kind }) => kind)).toEqual(['read skew'])
    const steps = told[0]?.message.split(', ') ?? []
    expect([...steps].sort()).toEqual(message.split(', ').sort())
  })
})
