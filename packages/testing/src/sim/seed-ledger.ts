/** Seeds one after the other, from the first. */
export interface Job {
  readonly first: number
  readonly count: number
}

/** What is left to do, so that a later run can go on. Plain JSON. */
export interface Ledger {
  /** The first seed that nobody was given. */
  readonly nextSeed: number
  /** Seeds before it that no summary counts. */
  readonly owed: readonly Job[]
}

/** Seeds a worker is given at a time: long enough to be worth the message, short enough to stop in time. */
const seedsAtATime = 5

/** Hands out seeds and knows which of them were run: however a run is stopped, no seed is left out and none counts twice. */
export class SeedLedger {
  #nextSeed: number
  readonly #owed: Job[]
  readonly #underWay = new Set<Job>()

  constructor({ nextSeed, owed }: Ledger) {
    this.#nextSeed = nextSeed
    this.#owed = [...owed]
  }

  /** What is owed goes first. At most so many seeds. */
  take(most: number): Job {
    const { first, count } = this.#owed.shift() ?? { first: this.#nextSeed, count: seedsAtATime }
    const job = { first, count: Math.min(count, most) }
    const end = first + job.count
    if (first === this.#nextSeed) this.#nextSeed = end
    else if (job.count < count) this.#owed.unshift({ first: end, count: count - job.count })
    this.#underWay.add(job)
    return job
  }

  /** A job has ended, maybe early, after so many of its seeds. */
  settle(job: Job, done: number): void {
    this.#underWay.delete(job)
    if (done < job.count) this.#owed.push({ first: job.first + done, count: job.count - done })
  }

  /** What is under way is owed, should nothing more be heard of it. */
  get left(): Ledger {
    return { nextSeed: this.#nextSeed, owed: [...this.#owed, ...this.#underWay] }
  }
}
