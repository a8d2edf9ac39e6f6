/** Half of all waits were no longer than `p50`, ms; and so on. */
export interface LatencyFigures {
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** Steps of a bucket to the next: two waits that differ by less than this are counted as one. */
const step = 1.02

/** Counts waits in buckets that grow with them, so that any number of them takes the same room; exact to 2 %. */
export class Latency {
  readonly #counts = new Map<number, number>()
  #count = 0
  #max = 0

  add(ms: number, times = 1): void {
    const bucket = Math.round(Math.log(Math.max(0, ms) + 1) / Math.log(step))
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + times)
    this.#count += times
    this.#max = Math.max(this.#max, ms)
  }

  /** All zero when nobody waited. */
  figures(): LatencyFigures {
    const buckets = [...this.#counts].sort(([left], [right]) => left - right)
    const at = (share: number): number => {
      let left = Math.ceil(this.#count * share)
      const found = buckets.find(([, count]) => {
        left -= count
        return left <= 0
      })
      return found ? Math.min(Math.round(step ** found[0] - 1), Math.round(this.#max)) : 0
    }
    return { count: this.#count, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: Math.round(this.#max) }
  }
}
