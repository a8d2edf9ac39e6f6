/** Waits for a callback, and notes when it was called rather than when the waiting function went on. */
export class Calls<Value> {
  #resolve: ((call: { readonly value: Value; readonly atMs: number }) => void) | undefined

  /** The callback. Calls nobody waits for are passed over. */
  readonly receive = (value: Value): void => {
    const resolve = this.#resolve
    this.#resolve = undefined
    resolve?.({ value, atMs: performance.now() })
  }

  /** The next call. */
  next(): Promise<{ readonly value: Value; readonly atMs: number }> {
    return new Promise((resolve) => {
      this.#resolve = resolve
    })
  }
}
