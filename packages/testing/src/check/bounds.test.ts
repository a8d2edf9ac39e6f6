import { describe, expect, test } from 'vitest'

import { bounds } from './bounds.ts'
import { givenHistory, type GivenHistory } from './given-history.ts'

function knock(history: GivenHistory, count: number, everyMs: number): GivenHistory {
  for (let request = 0; request < count; request++) {
    history.wait(everyMs).add({ kind: 'request', atMs: history.atMs, disk: 'd1', route: 'pull' })
  }
  return history
}

describe('what goes over its limit', () => {
  test('[SIM-85] something that is measured', () => {
    const history = givenHistory().add({
      kind: 'measured',
      atMs: 0,
      what: 'page bytes',
      value: 11,
      limit: 10,
    })
    expect(history.found(bounds)).toEqual(['page bytes is 11, over its limit of 10'])
  })

  test('[SIM-85] attempts', () => {
    expect(givenHistory().write(1).status(1, 'pending', { attempts: 21 }).found(bounds)).toEqual([
      'm1 on d1 was tried 21 times',
    ])
    // What returns to a server that was put back waits for what others return.
    const often = (history: GivenHistory): readonly string[] =>
      history.write(1).status(1, 'pending', { attempts: 21 }).found(bounds)
    expect(often(givenHistory().write(1).restore(0))).toEqual([])
    expect(often(givenHistory().write(1))).toHaveLength(1)
    expect(often(givenHistory().restore(0))).toHaveLength(1)
    // So does what was not answered yet when its device heard of that.
    const stranded = (history: GivenHistory): readonly string[] =>
      history.status(1, 'pending', { attempts: 21 }).found(bounds)
    const pulled = { kind: 'cursor', atMs: 0, disk: 'd1', epoch: 'e', position: 1 } as const
    expect(stranded(givenHistory().write(1).restore(0).add(pulled))).toEqual([])
    expect(stranded(givenHistory().write(1).restore(0))).toHaveLength(1)
    expect(stranded(givenHistory().write(2).restore(0).add(pulled).write(1))).toHaveLength(1)
    // So does a copy of it.
    const copied = (history: GivenHistory): readonly string[] =>
      history
        .copy({ ...history.entry(1), disk: 'd2' })
        .status(1, 'pending', { disk: 'd2', attempts: 21 })
        .found(bounds)
    expect(copied(givenHistory().write(1).restore(0).add(pulled))).toEqual([])
    expect(copied(givenHistory().write(1))).toEqual(['m1 on d2 was tried 21 times'])
    // Tried again by a person it is the same under another number, and what is offered with it goes with it.
    const again = (offer: number): readonly string[] =>
      givenHistory()
        .write(1)
        .restore(0)
        .write(1)
        .move(1, 2)
        .status(2, 'pending', { offer: 2 })
        .write(3)
        .status(3, 'pending', { offer, attempts: 21 })
        .status(2, 'pending', { offer: 2, attempts: 21 })
        .found(bounds)
    expect(again(2)).toEqual([])
    expect(again(3)).toEqual(['m3 on d1 was tried 21 times'])
  })

  test('[SIM-85] B24: a mutation that is given up before its attempts are over', () => {
    const dead = (attempts: number): readonly string[] =>
      givenHistory().write(1).status(1, 'dead', { attempts, code: 'ATTEMPTS_EXHAUSTED' }).found(bounds)
    expect(dead(1)).toEqual(['m1 on d1 was given up after 1 attempts'])
    expect(dead(20)).toEqual([])
  })

  test('[SIM-85] B24: requests of which nothing comes', () => {
    expect(knock(givenHistory(), 1_000, 100).found(bounds)).toEqual([
      'd1 sent 301 requests in 30000 ms although nothing came of them',
    ])
  })
})

describe('dates', () => {
  const line = (at: string): GivenHistory => givenHistory().wait(60_000).line({ at })

  test('[SIM-85] B15: an edit dated later than the server’s clock and what is believed', () => {
    expect(line('2026-11-20T10:06:00.001Z').found(bounds)).toEqual([
      'line 1 is dated 2026-11-20T10:06:00.001Z, more than 300000 ms ahead of the server',
    ])
  })

  test('[SIM-85] one at the edge, and one of long ago', () => {
    expect(line('2026-11-20T10:06:00.000Z').found(bounds)).toEqual([])
    expect(line('1970-01-01T00:00:00.000Z').found(bounds)).toEqual([])
  })
})

describe('what stays within', () => {
  test('[SIM-85] a limit that is just reached, and twenty attempts', () => {
    const history = givenHistory().add({
      kind: 'measured',
      atMs: 0,
      what: 'page bytes',
      value: 10,
      limit: 10,
    })
    expect(history.write(1).status(1, 'dead', { attempts: 20 }).found(bounds)).toEqual([])
  })

  test('[SIM-85] a week of looking for the network', () => {
    expect(knock(givenHistory(), 7 * 24 * 360, 10_000).found(bounds)).toEqual([])
  })

  test('[SIM-85] a long pull and a busy hour, of which something comes', () => {
    const history = knock(givenHistory(), 290, 10)
    history.add({ kind: 'cursor', atMs: history.atMs, disk: 'd1', epoch: 'e1', position: 9 })
    expect(knock(history, 290, 10).found(bounds)).toEqual([])
    const busy = givenHistory()
    for (let seq = 1; seq < 500; seq++) knock(busy.write(seq).send(seq).status(seq, 'answered'), 2, 50)
    expect(busy.found(bounds)).toEqual([])
  })
})
