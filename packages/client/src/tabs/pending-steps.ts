/** Steps of transactions that have no answer yet. */
export class PendingSteps {
  readonly #waiting = new Map<string, PromiseWithResolvers<unknown>>()

  /** Waits for the answer to a step. */
  add(call: number, step: number): Promise<unknown> {
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(`${call}.${step}`, waiting)
    return waiting.promise
  }

  /** Its answer is there. */
  settle(
    { call, step }: { readonly call: number; readonly step: number },
    settle: (waiting: PromiseWithResolvers<unknown>) => void,
  ): void {
    const key = `${call}.${step}`
    const waiting = this.#waiting.get(key)
    this.#waiting.delete(key)
    if (waiting !== undefined) settle(waiting)
  }

  /** None of them will have one. */
  rejectAll(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
