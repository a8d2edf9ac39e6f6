import { describe, expect, test } from 'vitest'

import { Paced } from './paced.ts'

/** Runs that end when they are told to, and a rest that ends when it is told to. */
function given(): {
  paced: Paced
  ends: (() => void)[]
  endRest: () => Promise<void>
} {
  const ends: (() => void)[] = []
  const rests: (() => void)[] = []
  const paced = new Paced({
    env: {
      setTimer: (callback) => {
        rests.push(callback)
        return () => undefined
      },
    },
    everyMs: 5,
    run: () => new Promise((resolve) => ends.push(resolve)),
  })
  const endRest = async (): Promise<void> => {
    rests.pop()?.()
    await settled()
  }
  return { paced, ends, endRest }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('work that many ask for', () => {
  test('[FE-64] the first is served at once, and all who ask until it has rested share the next', async () => {
    const { paced, ends, endRest } = given()
    void paced.ask()
    expect(ends).toHaveLength(1)
    const shared = [paced.ask(), paced.ask(), paced.ask()]
    ends[0]?.()
    await settled()
    shared.push(paced.ask())
    expect(ends).toHaveLength(1)
    await endRest()
    expect(ends).toHaveLength(2)
    ends[1]?.()
    await Promise.all(shared)
    await endRest()
    expect(ends).toHaveLength(2)
    void paced.ask()
    expect(ends).toHaveLength(3)
  })

  test('[FE-64] a run that takes longer than the rest is followed by one that begins after the question', async () => {
    const { paced, ends, endRest } = given()
    void paced.ask()
    await endRest()
    const late = paced.ask()
    let isAnswered = false
    void late.then(() => {
      isAnswered = true
    })
    expect(ends).toHaveLength(1)
    ends[0]?.()
    await settled()
    expect(ends).toHaveLength(2)
    expect(isAnswered).toBe(false)
    ends[1]?.()
    await late
  })

  test('[FE-64] what is stopped begins no more runs, leaves nobody waiting, and waits for the last one', async () => {
    const { paced, ends } = given()
    void paced.ask()
    const waiting = paced.ask()
    let isStopped = false
    const stopping = paced.stop().then(() => {
      isStopped = true
    })
    await settled()
    expect(isStopped).toBe(false)
    ends[0]?.()
    await Promise.all([stopping, waiting, paced.ask()])
    expect(ends).toHaveLength(1)
  })
})
