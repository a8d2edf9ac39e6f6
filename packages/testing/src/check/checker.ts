import type { Observation } from './observation.ts'

/** A promise that was broken. */
export interface Violation {
  /** The checker that saw it. */
  readonly invariant: string
  /** Number of the observation that showed it, from 0. */
  readonly index: number
  readonly atMs: number
  /** What was expected and what was there, in one or two sentences. */
  readonly message: string
}

/** Watches one promise. */
export interface Checker {
  /** Short and fixed: failures are told apart by it. */
  readonly name: string
  /** The promise in one sentence. */
  readonly promise: string
  /** Begins a new run. The function takes each observation in order and calls `fail` for each breach it sees. */
  start(fail: (message: string) => void): (observation: Observation) => void
}

/** Lets checkers watch a run and gathers what they see. */
export class Watch {
  readonly violations: Violation[] = []
  readonly #observers: ((observation: Observation) => void)[]
  #index = -1
  #atMs = 0

  constructor(checkers: readonly Checker[]) {
    this.#observers = checkers.map((checker) =>
      checker.start((message) => {
        this.violations.push({ invariant: checker.name, index: this.#index, atMs: this.#atMs, message })
      }),
    )
  }

  /** Observations so far. */
  get count(): number {
    return this.#index + 1
  }

  readonly observe = (observation: Observation): void => {
    this.#index += 1
    this.#atMs = observation.atMs
    for (const observe of this.#observers) observe(observation)
  }
}

/** What the checkers find in a history. */
export function check(history: readonly Observation[], checkers: readonly Checker[]): readonly Violation[] {
  const watch = new Watch(checkers)
  for (const observation of history) watch.observe(observation)
  return watch.violations
}
