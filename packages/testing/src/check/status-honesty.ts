import type { Checker } from './checker.ts'
import type { Observation, StatusRead, VerdictTold } from './observation.ts'
import { RunBook } from './run-book.ts'

/** Refusals that leave no verdict on the server: it was never asked, could not be, or no longer knows. */
const localCodes: ReadonlySet<string | null> = new Set([
  'ATTEMPTS_EXHAUSTED',
  'ENTRY_UNREADABLE',
  'OUTCOME_EXPIRED',
])

/**
 * A device says of its outbox what is in it, and of the server what the server has said. Rules: SIM-82.
 */
export const statusHonesty: Checker = {
  name: 'status-honesty',
  promise: 'Neither a status nor a verdict ever claims what is not so.',
  start: (fail) => {
    const watch = new ClaimWatch(fail)
    return (o) => watch.observe(o)
  },
}

class ClaimWatch {
  readonly #fail: (message: string) => void
  readonly #book = new RunBook()
  /** By device and key, every verdict ever given, also those a restored server forgot: answers may be on their way. */
  readonly #verdicts = new Map<string, Set<string>>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    switch (o.kind) {
      case 'outcome': {
        // Also what travelled with it; copies of a disk that offered other things are given the benefit of the doubt.
        for (const { id } of this.#book.membersOf(o) ?? [{ id: o.id }])
          this.#note(`${o.device} ${id}`, o.status)
        return
      }
      case 'status-read':
        this.#compare(o)
        return
      case 'verdict':
        this.#hear(o)
        return
      default:
        return
    }
  }

  #note(key: string, status: string): void {
    const known = this.#verdicts.get(key)
    if (known) known.add(status)
    else this.#verdicts.set(key, new Set([status]))
  }

  #compare({ disk, said, truth, isIdle }: StatusRead): void {
    for (const name of ['pending', 'dead', 'conflicts'] as const) {
      if (said[name] !== truth[name])
        this.#fail(`${disk} says ${said[name]} ${name}, but there are ${truth[name]}`)
    }
    if (isIdle && truth.pending > 0) {
      this.#fail(`${disk} says that nothing is left to do, but ${truth.pending} mutations wait`)
    }
  }

  #hear({ disk, mutation, status }: VerdictTold): void {
    if (status !== 'applied' && status !== 'merged' && status !== 'conflict' && status !== 'rejected') return
    const item = this.#book.itemOf(disk, mutation)
    if (!item) {
      this.#fail(`${disk} was told that ${mutation} was ${status}, which it never wrote`)
      return
    }
    if (status === 'rejected' && localCodes.has(item.code)) return
    const device = item.offeredBy ?? this.#book.deviceOf(disk)
    const given = this.#verdicts.get(`${device} ${mutation}`)
    if (given?.has(status) === true || this.#book.outcomeFor(item)?.status === status) return
    const truth = given ? [...given].join(' and ') : 'nothing'
    this.#fail(`${disk} was told that ${mutation} was ${status}, but the server had said ${truth}`)
  }
}
