import type { PushResult } from '@holdfast/core'
import { expect, test } from 'vitest'

import { createExhaustedCount } from './exhausted-count.ts'

function givenResult(id: string, status: PushResult['status']): PushResult {
  return { id, status, version: null, serverUpdatedAt: null }
}

test('[OP-7] a mutation counts once, at the attempt that was its last', () => {
  const exhausted = createExhaustedCount(3)
  for (let attempt = 0; attempt < 2; attempt++)
    exhausted.add([givenResult('a', 'retry'), givenResult('b', 'retry')])
  expect(exhausted.count()).toBe(0)
  exhausted.add([givenResult('a', 'retry'), givenResult('b', 'applied')])
  expect(exhausted.count()).toBe(1)
  for (let attempt = 0; attempt < 2; attempt++) exhausted.add([givenResult('b', 'retry')])
  expect(exhausted.count()).toBe(1)
})

test('[OP-7] watching stays bounded: the one watched longest is forgotten', () => {
  const exhausted = createExhaustedCount(2)
  exhausted.add([givenResult('first', 'retry')])
  for (let index = 0; index < 10_000; index++) exhausted.add([givenResult(`other-${index}`, 'retry')])
  exhausted.add([givenResult('first', 'retry')])
  expect(exhausted.count()).toBe(0)
})
