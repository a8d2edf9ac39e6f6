import type { Checker } from './checker.ts'
import type { EntryStatus, Observation } from './observation.ts'

/** A network that fails is nobody's fault: no mutation comes closer to being given up by it. Rules: SIM-100. */
export const countedAttempts: Checker = {
  name: 'counted-attempts',
  promise:
    'An attempt counts against a mutation only where the network let an answer through since the one before.',
  start: (fail) => {
    const watch = new AttemptWatch(fail)
    return (o) => watch.observe(o)
  },
}

/** What was last seen of a mutation. */
interface Seen {
  readonly attempts: number
  /** How many answers its device had been given when it was written, or when an attempt was last counted against it. */
  readonly answers: number
}

class AttemptWatch {
  readonly #fail: (message: string) => void
  /** Answers by disk. */
  readonly #answers = new Map<string, number>()
  /** By disk and key. What came to a disk otherwise than by being written there is judged from its first status on. */
  readonly #seen = new Map<string, Map<string, Seen>>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    switch (o.kind) {
      case 'answer':
        this.#answers.set(o.disk, this.#answersOf(o.disk) + 1)
        return
      case 'entry-written':
        this.#note(o.disk, o.id, 0)
        return
      case 'entry-status':
        this.#judge(o)
        return
      case 'entry-moved':
        this.#seenOn(o.disk).delete(o.from.id)
        return
      case 'entry-gone':
        this.#seenOn(o.disk).delete(o.id)
        return
      case 'device-lost':
        this.#seen.delete(o.disk)
        return
      default:
        return
    }
  }

  #judge({ disk, id, attempts }: EntryStatus): void {
    const seen = this.#seenOn(disk).get(id)
    if (seen?.attempts === attempts) return
    if (seen !== undefined && attempts > seen.attempts && seen.answers === this.#answersOf(disk)) {
      this.#fail(
        `attempt ${attempts} counts against ${id} on ${disk}, and no answer came since the one before`,
      )
    }
    this.#note(disk, id, attempts)
  }

  #note(disk: string, id: string, attempts: number): void {
    this.#seenOn(disk).set(id, { attempts, answers: this.#answersOf(disk) })
  }

  #answersOf(disk: string): number {
    return this.#answers.get(disk) ?? 0
  }

  #seenOn(disk: string): Map<string, Seen> {
    const seen = this.#seen.get(disk) ?? new Map<string, Seen>()
    this.#seen.set(disk, seen)
    return seen
  }
}
