import { expect, test } from 'vitest'

import type { TransactionRunner } from '../local/local-database.ts'
import { watchList } from './watch-list.ts'

type Listener = Parameters<TransactionRunner['onCommit']>[0]

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('[LQ-8] a list that could not be read is read again after the next commit, whatever that touched', async () => {
  const listeners = new Set<Listener>()
  const commit = (table: string): void => {
    const touched = { tables: new Map([[table, 'all' as const]]), verdicts: new Map() }
    for (const listener of listeners) listener(touched)
  }
  let reads = 0
  let fails = false
  const told: number[] = []
  const stop = watchList<number>(
    { onCommit: (listener) => (listeners.add(listener), () => void listeners.delete(listener)) },
    {
      table: '_conflicts',
      list: async () => {
        reads++
        if (fails) throw new Error('the disk')
        return [reads]
      },
      listener: ([item = 0]) => told.push(item),
    },
  )
  await turn()
  commit('items')
  await turn()
  expect(told).toEqual([1])
  fails = true
  commit('_conflicts')
  await turn()
  fails = false
  commit('_meta')
  await turn()
  expect(told).toEqual([1, 3])
  commit('_meta')
  await turn()
  expect(reads).toBe(3)
  stop()
})
