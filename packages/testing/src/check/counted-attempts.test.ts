import { describe, expect, test } from 'vitest'

import { countedAttempts } from './counted-attempts.ts'
import { givenHistory, type GivenHistory } from './given-history.ts'

function answer(history: GivenHistory, disk = 'd1'): GivenHistory {
  return history.add({ kind: 'answer', atMs: history.atMs, disk, route: 'pull' })
}

describe('an attempt that is counted', () => {
  test('[SIM-100] [SY-11] while the network lets nothing through', () => {
    const history = answer(givenHistory()).write(1).send(1)
    expect(history.status(1, 'pending', { attempts: 1 }).found(countedAttempts)).toEqual([
      'attempt 1 counts against m1 on d1, and no answer came since the one before',
    ])
  })

  test('[SIM-100] [SY-11] while only another device is answered', () => {
    const history = answer(givenHistory().write(1).send(1), 'd2')
    expect(history.status(1, 'pending', { attempts: 1 }).found(countedAttempts)).toEqual([
      'attempt 1 counts against m1 on d1, and no answer came since the one before',
    ])
  })

  test('[SIM-100] [SY-11] twice for one answer', () => {
    const history = answer(givenHistory().write(1)).status(1, 'pending', { attempts: 1 }).send(1)
    expect(history.status(1, 'pending', { attempts: 2 }).found(countedAttempts)).toEqual([
      'attempt 2 counts against m1 on d1, and no answer came since the one before',
    ])
  })

  test('[SIM-100] not where an answer came', () => {
    const history = answer(givenHistory().write(1).send(1)).status(1, 'pending', { attempts: 1 })
    expect(answer(history).status(1, 'pending', { attempts: 2 }).found(countedAttempts)).toEqual([])
  })

  test('[SIM-100] not where two mutations share an answer, or one is tried anew by a person', () => {
    const both = answer(givenHistory().write(1).write(2)).status(1, 'pending', { attempts: 1 })
    expect(both.status(2, 'pending', { attempts: 1 }).found(countedAttempts)).toEqual([])
    const anew = answer(givenHistory().write(1)).status(1, 'dead', { attempts: 20 }).move(1, 2)
    expect(anew.status(2, 'pending', { attempts: 0 }).found(countedAttempts)).toEqual([])
  })

  test('[SIM-100] not where a disk is as it was earlier', () => {
    const history = answer(givenHistory().write(1)).status(1, 'pending', { attempts: 1 })
    const back = history.powerCut('full')
    expect(back.status(1, 'pending', { attempts: 2 }).found(countedAttempts)).toEqual([])
  })
})
