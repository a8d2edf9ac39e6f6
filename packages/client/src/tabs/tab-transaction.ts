import { SyncError } from '@holdfast/core'

import type { LeaderLink } from './leader-link.ts'

/** Performs one write or read of the transaction where that is open. */
export type StepOfTransaction = (path: readonly string[], args: readonly unknown[]) => Promise<unknown>

/**
 * Runs the function of a transaction in this tab, while the leader holds the transaction open. When the leader goes
 * before it is known to be committed, the next one looks whether it was; if not, the function runs again from the
 * start. Errors: TRANSACTION_OVER, and whatever `fn` throws. Rules: BR-6.
 */
export async function runInTab<T>(
  link: LeaderLink,
  trace: string | null,
  fn: (step: StepOfTransaction) => Promise<T>,
): Promise<T> {
  let attempt = 0
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined
  const run = async (call: number): Promise<void> => {
    const own = ++attempt
    let steps = 0
    outcome = undefined
    const step: StepOfTransaction = (path, args) => {
      if (own !== attempt || outcome !== undefined)
        return Promise.reject(new SyncError('TRANSACTION_OVER', 'a transaction was used after its end'))
      return link.step(call, steps++, { path, args })
    }
    const result = await settle(fn(step))
    // Its leader is gone: another has begun it anew meanwhile, or will, and must not take this end for its own.
    if (own !== attempt || !link.isOpen(call)) return
    outcome = result
    link.finish(call, 'value' in result)
  }
  try {
    await link.call(['transaction'], [], { trace, onReady: (call) => void run(call) })
  } catch (error) {
    attempt++
    // The leader was told that it failed, and says no more than that.
    throw outcome !== undefined && 'error' in outcome ? outcome.error : error
  }
  attempt++
  // It was committed, so the function had ended with a value.
  return (outcome as { readonly value: T }).value
}

async function settle<T>(work: Promise<T>): Promise<{ readonly value: T } | { readonly error: unknown }> {
  try {
    return { value: await work }
  } catch (error) {
    return { error }
  }
}
