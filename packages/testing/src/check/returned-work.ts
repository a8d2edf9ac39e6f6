import type { Checker } from './checker.ts'
import type { Observation, RunEnded, ServerOutcome } from './observation.ts'
import { type Item, RunBook } from './run-book.ts'

/**
 * What a device still keeps of its settled work, a server that was put back has ruled on again, by itself or in a fold,
 * or it is in an outbox. What it keeps without values is noted as lost, and only that. What the device was not to keep for
 * so long is not asked for. Rules: SIM-94.
 */
export const returnedWork: Checker = {
  name: 'returned-work',
  promise: 'What a restored server had taken and lost is returned to it by whoever keeps it.',
  start: (fail) => {
    const watch = new ReturnWatch(fail)
    return (o) => watch.observe(o)
  },
}

class ReturnWatch {
  readonly #fail: (message: string) => void
  readonly #book = new RunBook()
  /** Whatever a history that was lost had taken. */
  readonly #lost = new Set<Item>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    if (o.kind === 'server-restored') this.#lose(o.forgotten)
    this.#book.observe(o)
    if (o.kind === 'loss-noted' && this.#isThere(o.disk, o.id))
      this.#fail(`a note on ${o.disk} says that ${o.id} is lost, and the server has it`)
    if (o.kind === 'end' && o.quietAtMs !== null) this.#end(o)
  }

  #lose(forgotten: readonly ServerOutcome[]): void {
    for (const outcome of forgotten) {
      if (outcome.status !== 'applied' && outcome.status !== 'merged') continue
      for (const item of this.#book.membersOf(outcome) ?? []) this.#lost.add(item)
    }
  }

  #isThere(disk: string, id: string): boolean {
    const item = this.#book.itemOf(disk, id)
    return item !== undefined && this.#book.outcomeFor(item) !== undefined
  }

  #end({ devices }: RunEnded): void {
    for (const { disk, retained } of devices) {
      for (const id of retained) {
        const item = this.#book.itemOf(disk, id)
        if (item && this.#lost.has(item) && !this.#book.outcomeFor(item))
          this.#fail(`${disk} keeps ${id}, which the server had taken and lost, and did not return it`)
      }
    }
  }
}
