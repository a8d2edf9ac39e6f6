import { performance } from 'node:perf_hooks'
import type { Environment } from '@holdfast/core'

/** The real world: the one place of this package that touches clock, chance and timers. Timers keep no process alive. Rules: ENV-1. */
export function systemEnvironment(): Environment {
  return {
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
    random: () => Math.random(),
    randomBytes: (bytes) => crypto.getRandomValues(bytes),
    setTimer: (callback, delayMs) => {
      const timer = setTimeout(callback, delayMs)
      timer.unref()
      return () => clearTimeout(timer)
    },
    fetch: (request) => fetch(request),
  }
}
