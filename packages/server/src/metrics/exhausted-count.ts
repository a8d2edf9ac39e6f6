import type { PushResult } from '@holdfast/core'

/** Counts mutations that were answered `retry` until their device gave up. */
export interface ExhaustedCount {
  add(results: readonly PushResult[]): void
  count(): number
}

/** Mutations watched at a time; beyond it the one watched longest is forgotten. */
const watchedMax = 10_000

/**
 * A device makes a dead letter of an entry that was answered `retry` that often (`limits.entryAttempts`), so this
 * process knows of it when it has answered so itself. Rules: OP-7.
 */
export function createExhaustedCount(entryAttempts: number): ExhaustedCount {
  const attemptsById = new Map<string, number>()
  let exhaustedCount = 0
  return {
    add: (results) => {
      for (const { id, status } of results) {
        if (status !== 'retry') {
          if (attemptsById.size > 0) attemptsById.delete(id)
          continue
        }
        const attempts = (attemptsById.get(id) ?? 0) + 1
        attemptsById.delete(id)
        if (attempts >= entryAttempts) exhaustedCount++
        else attemptsById.set(id, attempts)
        const oldest = attemptsById.size > watchedMax ? attemptsById.keys().next().value : undefined
        if (oldest !== undefined) attemptsById.delete(oldest)
      }
    },
    count: () => exhaustedCount,
  }
}
