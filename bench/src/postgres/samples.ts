import { percentile } from '../measurement.ts'

/** Durations by name, ms. What is compared is measured in turns, so that both sides have the same neighbours. */
export class Samples {
  readonly #byName = new Map<string, number[]>()

  async timed(name: string, work: () => Promise<unknown>): Promise<void> {
    const startedMs = performance.now()
    await work()
    this.note(name, performance.now() - startedMs)
  }

  note(name: string, ms: number): void {
    this.#byName.set(name, [...(this.#byName.get(name) ?? []), ms])
  }

  of(name: string, share = 0.5): number {
    return percentile(this.#byName.get(name) ?? [], share)
  }
}
