import type { Checker } from './checker.ts'
import type { DeviceCursor, Observation } from './observation.ts'
import { RunBook } from './run-book.ts'

/**
 * What a device has pulled holds what the server took of its own, and says so: no mutation that is in the rows is still
 * replayed on top of them, whether its answer came or not. Rules: SIM-89.
 */
export const settledByPull: Checker = {
  name: 'settled-by-pull',
  promise: 'An effect that a device has pulled is not counted a second time on its screen.',
  start: (fail) => {
    const watch = new ReplayWatch(fail)
    return (o) => watch.observe(o)
  },
}

class ReplayWatch {
  readonly #fail: (message: string) => void
  readonly #book = new RunBook()
  /**
   * Copies of each other, and those put back, which are copies of themselves: what one acknowledged the server names to
   * none, and the others ask for it again, as for what a restored server has lost.
   */
  readonly #copies = new Set<string>()
  /** What was told already, by disk and key. */
  readonly #told = new Set<string>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    if (o.kind === 'device-copied') this.#copies.add(o.disk).add(o.to)
    if (o.kind === 'device-lost') this.#copies.add(o.disk)
    if (o.kind === 'cursor' && o.epoch !== null && !this.#copies.has(o.disk)) this.#check(o)
  }

  #check({ disk, position }: DeviceCursor): void {
    for (const item of this.#book.itemsOn(disk).values()) {
      if (item.status !== 'pending' && item.status !== 'sending' && item.status !== 'answered') continue
      const outcome = this.#book.outcomeFor(item)
      if (outcome?.status !== 'applied' && outcome?.status !== 'merged') continue
      if (outcome.version === null || outcome.version > position) continue
      const key = `${disk} ${item.id}`
      if (this.#told.has(key)) continue
      this.#told.add(key)
      this.#fail(
        `${disk} has read up to ${position} and still replays ${item.id}, which is in version ${outcome.version} (${item.status})`,
      )
    }
  }
}
