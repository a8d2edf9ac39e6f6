import { expect, test } from 'vitest'

import { SeedLedger } from './seed-ledger.ts'

test('[SIM-7] seeds are handed out in order, and no more of them than asked for', () => {
  const ledger = new SeedLedger({ nextSeed: 1, owed: [] })
  expect([ledger.take(100), ledger.take(100), ledger.take(2)]).toEqual([
    { first: 1, count: 5 },
    { first: 6, count: 5 },
    { first: 11, count: 2 },
  ])
  expect(ledger.left.nextSeed).toBe(13)
})

test('[SIM-7] what a stop cut short, and what was under way, is run before anything new', () => {
  const ledger = new SeedLedger({ nextSeed: 1, owed: [] })
  const [cut, lost] = [ledger.take(100), ledger.take(100)]
  ledger.settle(cut, 2)
  const later = new SeedLedger(ledger.left)
  expect([later.take(100), later.take(3), later.take(100), later.take(100)]).toEqual([
    { first: 3, count: 3 },
    { first: lost.first, count: 3 },
    { first: lost.first + 3, count: 2 },
    { first: 11, count: 5 },
  ])
})

test('[SIM-7] what was run is not owed', () => {
  const ledger = new SeedLedger({ nextSeed: 1, owed: [] })
  const job = ledger.take(100)
  ledger.settle(job, job.count)
  expect(ledger.left).toEqual({ nextSeed: 6, owed: [] })
})
