import { type Environment, SyncError } from '@holdfast/core'

/** RATE_LIMITED, with a wait that is spread, so that those turned away do not come back together. */
export function turnedAway({ random }: Pick<Environment, 'random'>, message: string): SyncError {
  const retryAfterMs = Math.round(5_000 + random() * 25_000)
  return new SyncError('RATE_LIMITED', message, { retryAfterMs })
}

/** Counts what each user has under way of something that has a bound, so that one of them does not have all of it. Rules: QU-20. */
export class UserShares {
  readonly #env: Pick<Environment, 'random'>
  readonly #most: number
  readonly #counts = new Map<string, number>()

  /** `share` of `bound`, but one at least. */
  constructor(env: Pick<Environment, 'random'>, bound: number, share: number) {
    this.#env = env
    this.#most = Math.max(1, Math.floor(bound * share))
  }

  /** Lets one more in; to be called once at its end. Errors: RATE_LIMITED. */
  enter(user: string): () => void {
    const count = this.#counts.get(user) ?? 0
    if (count >= this.#most) throw turnedAway(this.#env, 'Too much of one user is under way.')
    this.#counts.set(user, count + 1)
    return () => {
      const left = (this.#counts.get(user) ?? 1) - 1
      if (left > 0) this.#counts.set(user, left)
      else this.#counts.delete(user)
    }
  }
}
