/** Calls off what was planned; calling twice is harmless. */
export type Cancel = () => void

interface Planned {
  readonly atMs: number
  readonly order: number
  callback: (() => void) | undefined
}

/** What whoever lets time pass is told once a run was stopped. */
export const runStopped: Error = new Error('the run was stopped')

/**
 * Virtual time: one queue of everything that is going to happen, for all actors. Of two things at the same moment the
 * one that was planned first comes first. Whatever an event starts is finished, as far as it needs no time, before the
 * next event. Rules: SIM-1.
 */
export class Scheduler {
  readonly #heap: Planned[] = []
  #nowMs = 0
  #order = 0
  #eventCount = 0
  #isStopped = false
  readonly #settled: () => Promise<void>

  /** `settled`: resolves when what an event started is finished, as far as it needs no virtual time. */
  constructor(settled: () => Promise<void> = turn) {
    this.#settled = settled
  }

  /** Virtual ms since the run began. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Events that have happened. */
  get eventCount(): number {
    return this.#eventCount
  }

  /** Plans `callback` for a moment; one that has passed counts as now. */
  at(atMs: number, callback: () => void): Cancel {
    this.#order += 1
    const planned: Planned = { atMs: Math.max(atMs, this.#nowMs), order: this.#order, callback }
    this.#push(planned)
    return () => {
      planned.callback = undefined
    }
  }

  /** Plans `callback` for later. */
  after(delayMs: number, callback: () => void): Cancel {
    return this.at(this.#nowMs + delayMs, callback)
  }

  /** Ends the run after the present event. */
  stop(): void {
    this.#isStopped = true
  }

  /** Lets time pass to `endMs`, or until `isOver` says so after an event. Rejects with `runStopped` once it was stopped. */
  async run(endMs: number, isOver: () => boolean = () => false): Promise<void> {
    await this.#settled()
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      this.#pop()
      const { callback } = next
      if (callback === undefined) continue
      this.#nowMs = next.atMs
      this.#eventCount += 1
      callback()
      await this.#settled()
      if (this.#isStopped) throw runStopped
      if (isOver()) return
    }
    this.#nowMs = Math.max(this.#nowMs, endMs)
  }

  #push(planned: Planned): void {
    const heap = this.#heap
    let place = heap.length
    heap.push(planned)
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isSooner(planned, above)) break
      heap[place] = above
      place = parent
    }
    heap[place] = planned
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let place = 0
    for (;;) {
      const left = 2 * place + 1
      const [one, two] = [heap[left], heap[left + 1]]
      if (one === undefined) break
      const isRight = two !== undefined && isSooner(two, one)
      const child = isRight ? two : one
      if (!isSooner(child, last)) break
      heap[place] = child
      place = isRight ? left + 1 : left
    }
    heap[place] = last
  }
}

function isSooner(left: Planned, right: Planned): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}

/** Everything that waits only for other promises has run when the event loop comes round again. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
