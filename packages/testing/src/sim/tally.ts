/** How often each thing happened. */
export class Tally {
  readonly counts: Map<string, number> = new Map()

  add(name: string, count = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + count)
  }

  /** By name, in the order of the names. */
  sorted(): Record<string, number> {
    return Object.fromEntries([...this.counts].sort(([left], [right]) => (left < right ? -1 : 1)))
  }
}
