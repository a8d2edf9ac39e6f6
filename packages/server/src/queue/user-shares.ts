import { type Environment, SyncError } from '@holdfast/core'

/** Counts what each user has under way of something that has a bound, so that one of them does not have all of it. Rules: QU-20. */
export class UserShares {
  readonly #random: Environment['random']
  readonly #most: number
  readonly #counts = new Map<string, number>()

  /** `share` of `bound`, but one at least. */
  constructor({ random }: Pick<Environment, 'random'>, bound: number, share: number) {
    this.#random = random
    this.#most = Math.max(1, Math.floor(bound * share))
  }

  /** Lets one more in; to be called once at its end. Errors: RATE_LIMITED, with a time that is spread. */
  enter(user: string): () => void {
    const count = this.#counts.get(user) ?? 0
    if (count >= this.#most) {
      const retryAfterMs = Math.round(5_000 + this.#random() * 25_000)
      throw new SyncError('RATE_LIMITED', 'Too much of one user is under way.', { retryAfterMs })
    }
    this.#counts.set(user, count + 1)
    return () => {
      const left = (this.#counts.get(user) ?? 1) - 1
      if (left > 0) this.#counts.set(user, left)
      else this.#counts.delete(user)
    }
  }
}
