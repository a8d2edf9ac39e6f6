/** A device's idea of the time: wrong by an offset, and running too fast or too slow. */
export class ActorClock {
  readonly #startMs: number
  readonly #virtualMs: () => number
  #offsetMs: number
  #driftPpm: number

  constructor(options: {
    readonly startMs: number
    readonly virtualMs: () => number
    readonly offsetMs?: number
    readonly driftPpm?: number
  }) {
    this.#startMs = options.startMs
    this.#virtualMs = options.virtualMs
    this.#offsetMs = options.offsetMs ?? 0
    this.#driftPpm = options.driftPpm ?? 0
  }

  /** Wall clock, ms since 1970; no earlier than that and no later than 2100. */
  now(): number {
    const virtualMs = this.#virtualMs()
    const wall = this.#startMs + this.#offsetMs + virtualMs * (1 + this.#driftPpm / 1_000_000)
    return Math.floor(Math.min(Math.max(wall, 0), 4_102_444_800_000))
  }

  /** A person or a bad battery puts the clock wrong. */
  jump(byMs: number): void {
    this.#offsetMs += byMs
  }

  /** From now on the clock is right. */
  mend(): void {
    this.#offsetMs = 0
    this.#driftPpm = 0
  }
}
