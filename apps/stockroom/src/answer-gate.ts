/** An answer that waits: the server has decided and stored, and the device does not know it yet. */
export interface HeldAnswer {
  /** Resolves when the answer is there and waits. */
  readonly reached: Promise<void>
  /** Lets it go on. */
  release(): void
}

/** Stands between the server and the network, so that the tour can stop the world at the worst moment. */
export class AnswerGate {
  #held: { reach: () => void; readonly released: Promise<void> } | undefined

  /** Holds the answer to the next push. */
  holdNextPush(): HeldAnswer {
    const reached = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    this.#held = { reach: reached.resolve, released: released.promise }
    return { reached: reached.promise, release: released.resolve }
  }

  /** Every answer comes by here on its way out. */
  async pass(request: Request, answer: Response): Promise<Response> {
    const held = this.#held
    if (held === undefined || !new URL(request.url).pathname.endsWith('/sync/push')) return answer
    this.#held = undefined
    held.reach()
    await held.released
    return answer
  }
}
