import { Redis } from 'ioredis'

type Call = (this: Redis, ...args: unknown[]) => unknown

/** Commands that wait for something to come. */
const waiting = /^(?:bzpopmin|brpoplpush|blmove|subscribe|psubscribe)$/i

const lives = new WeakMap<Redis, RedisLife>()
let life: RedisLife | undefined
let isWatched = false

/**
 * What one life of a server has to do with a real Redis, seen where the driver `ioredis` speaks: it counts what is under
 * way, and cuts all connections when the process dies. Connections belong to the life in which they were opened.
 */
export class RedisLife {
  readonly #connections = new Set<Redis>()
  #underWay = 0
  #isOver = false

  /** Ends the life before. */
  static begin(): RedisLife {
    life?.end()
    life = new RedisLife()
    watchDriver()
    return life
  }

  /** The run is over: what is opened from now on belongs to no life. */
  static leave(): void {
    life?.end()
    life = undefined
  }

  /** Nothing was asked that is not answered, but for what waits for something to come. */
  get isIdle(): boolean {
    return this.#underWay === 0
  }

  end(): void {
    this.#isOver = true
    this.#underWay = 0
    for (const connection of this.#connections) connection.disconnect()
    this.#connections.clear()
  }

  add(connection: Redis): void {
    lives.set(connection, this)
    this.#connections.add(connection)
  }

  /** Whoever died hears nothing any more, not even that there is nothing to hear. */
  send(name: string, run: () => unknown): unknown {
    if (this.#isOver) return new Promise(() => undefined)
    const answer = run()
    if (answer instanceof Promise && !waiting.test(name)) this.#track(answer)
    return answer
  }

  #track(answer: Promise<unknown>): void {
    this.#underWay += 1
    const settle = (): void => {
      if (!this.#isOver) this.#underWay -= 1
    }
    answer.then(settle, settle)
  }
}

/** The driver itself is left as it is; each of its connections is asked whose it is. */
function watchDriver(): void {
  if (isWatched) return
  isWatched = true
  const prototype = Redis.prototype as unknown as { sendCommand: Call; connect: Call }
  const { sendCommand, connect } = prototype
  prototype.connect = function (...args) {
    if (!lives.has(this)) life?.add(this)
    return connect.apply(this, args)
  }
  prototype.sendCommand = function (...args) {
    const { name } = args[0] as { readonly name: string }
    const run = (): unknown => sendCommand.apply(this, args)
    return lives.get(this)?.send(name, run) ?? run()
  }
}
