import type { Observation } from '../check/observation.ts'

/**
 * Which states a run went through, coarsely: what stands in a device's outbox, as numbers up to three by status, with
 * what happened last. Counts of distinct ones tell whether more runs still see anything new.
 */
export class StateCoverage {
  readonly seen: Set<number> = new Set()
  readonly #counts = new Map<string, number[]>()
  readonly #statusOf = new Map<string, number>()

  observe(observation: Observation): void {
    const { kind } = observation
    if (kind === 'entry-written') this.#note(observation.disk, observation.seq, 0, 1)
    else if (kind === 'entry-status') {
      const place = statuses.indexOf(observation.status)
      this.#note(observation.disk, observation.seq, place, observation.offer === null ? 2 : 3)
    } else if (kind === 'entry-gone') this.#note(observation.disk, observation.seq, -1, 4)
  }

  #note(disk: string, seq: number, status: number, event: number): void {
    let counts = this.#counts.get(disk)
    if (!counts) this.#counts.set(disk, (counts = statuses.map(() => 0)))
    const key = `${disk}/${seq}`
    const before = this.#statusOf.get(key)
    if (before !== undefined) counts[before] = Math.max(0, (counts[before] ?? 0) - 1)
    if (status >= 0) {
      this.#statusOf.set(key, status)
      counts[status] = (counts[status] ?? 0) + 1
    } else this.#statusOf.delete(key)
    let state = event * 8 + status + 1
    for (const count of counts) state = state * 4 + Math.min(count, 3)
    this.seen.add(state)
  }
}

const statuses = ['pending', 'sending', 'answered', 'held', 'conflicted', 'dead']
