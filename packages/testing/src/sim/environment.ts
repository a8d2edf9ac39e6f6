import type { Environment } from '@holdfast/core'

import type { SeededRandom } from '../seeded-random.ts'
import type { ActorClock } from './actor-clock.ts'
import type { Life } from './life.ts'
import type { Scheduler } from './scheduler.ts'

/** What an actor's world is made from. */
export interface ActorParts {
  readonly scheduler: Scheduler
  readonly life: Life
  readonly clock: ActorClock
  readonly random: SeededRandom
  readonly fetch: (request: Request) => Promise<Response>
}

/** The environment of one life: nothing of it answers after that life. Rules: SIM-2. */
export function actorEnvironment({ scheduler, life, clock, random, fetch }: ActorParts): Environment {
  return {
    now: () => {
      life.call()
      return clock.now()
    },
    monotonicMs: () => scheduler.nowMs,
    random: () => random.next(),
    randomBytes: (bytes) => {
      life.call()
      return random.fill(bytes)
    },
    setTimer: (callback, delayMs) => {
      if (!life.call()) return () => undefined
      return scheduler.after(Math.max(0, delayMs), () => life.deliver(callback))
    },
    fetch: (request) => (life.call() ? fetch(request) : new Promise<never>(() => undefined)),
  }
}
