import type { CancelTimer, Environment } from '@holdfast/core'

/** Work that is done again and again. */
export interface Rounds {
  /** Begins no further round, and waits for what is under way. */
  close(): Promise<void>
}

interface RoundsSetup {
  readonly env: Pick<Environment, 'setTimer' | 'random'>
  /** Time between two rounds; give or take a quarter. */
  readonly intervalMs: number
  /** Never rejects. */
  readonly work: (isClosed: () => boolean) => Promise<void>
}

/** Each node works at moments of its own: nothing goes wrong when two do it at once. Rules: OP-40. */
export function startRounds({ env, intervalMs, work }: RoundsSetup): Rounds {
  let isClosed = false
  let cancel: CancelTimer = () => undefined
  let running: Promise<void> = Promise.resolve()
  const workIn = (ms: number): void => {
    cancel = env.setTimer(() => {
      running = work(() => isClosed).then(() => {
        if (!isClosed) workIn(intervalMs * (0.75 + env.random() / 2))
      })
    }, ms)
  }
  workIn(intervalMs * env.random())
  return {
    close: async () => {
      isClosed = true
      cancel()
      await running
    },
  }
}
