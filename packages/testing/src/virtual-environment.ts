import type { CancelTimer, Environment } from '@holdfast/core'
import { MessageChannel, type MessagePort } from 'node:worker_threads'

import { SeededRandom } from './seeded-random.ts'

/** How a virtual environment begins. */
export interface VirtualOptions {
  /** Everything random follows from it: the same seed gives the same run. */
  readonly seed?: number
  /** The wall clock at the start, ms since 1970 or an ISO time. */
  readonly startAt?: number | string
  /** What `fetch` reaches: a fake server, or any Fetch-standard handler. Without one every request fails. */
  readonly fetch?: (request: Request) => Promise<Response>
}

interface Timer {
  readonly atMs: number
  readonly order: number
  readonly callback: () => void
}

/** A world in which time stands still until a test moves it, and chance follows from a seed. Rules: ENV-2. */
export interface VirtualEnvironment extends Environment {
  /** Changes what `fetch` reaches. */
  connect(fetch: (request: Request) => Promise<Response>): void
  /** Lets time pass: every timer due in it fires at its moment, and what it starts is finished before the next. */
  advance(ms: number): Promise<void>
  /** Lets time pass, timer by timer, until `work` is over, and gives what it gives. Throws when `maxMs` passed first. */
  complete<T>(work: Promise<T>, maxMs?: number): Promise<T>
  /** Waits until nothing goes on that needs no time. */
  settle(): Promise<void>
  /** Moves the wall clock alone, as a person or a bad battery does; timers do not notice. */
  jumpClock(ms: number): void
  /** Timers that wait. */
  readonly timerCount: number
}

/** Makes a virtual environment. Each has its own clock; devices and server of one test usually share one. */
export function createVirtualEnvironment(options: VirtualOptions = {}): VirtualEnvironment {
  return new VirtualWorld(options)
}

class VirtualWorld implements VirtualEnvironment {
  readonly #random: SeededRandom
  readonly #startMs: number
  readonly #timers = new Set<Timer>()
  #fetch: ((request: Request) => Promise<Response>) | undefined
  #elapsedMs = 0
  #skewMs = 0
  #order = 0

  constructor(options: VirtualOptions) {
    this.#random = new SeededRandom(options.seed ?? 1)
    this.#startMs = new Date(options.startAt ?? '2026-11-20T10:00:00.000Z').getTime()
    this.#fetch = options.fetch
  }

  // Members are functions of their own, not methods: an environment may be taken apart and put together anew.
  readonly now = (): number => this.#startMs + this.#skewMs + Math.floor(this.#elapsedMs)
  readonly monotonicMs = (): number => this.#elapsedMs
  readonly random = (): number => this.#random.next()
  readonly randomBytes = (bytes: Uint8Array): Uint8Array => this.#random.fill(bytes)

  readonly setTimer = (callback: () => void, delayMs: number): CancelTimer => {
    this.#order += 1
    const timer = { atMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#order, callback }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  readonly fetch = (request: Request): Promise<Response> =>
    this.#fetch ? this.#fetch(request) : Promise.reject(new TypeError('fetch failed'))

  readonly connect = (fetch: (request: Request) => Promise<Response>): void => {
    this.#fetch = fetch
  }

  readonly settle = async (): Promise<void> => {
    for (let turn = 0; turn < settlingTurns; turn++) await nextTurn()
  }

  readonly advance = async (ms: number): Promise<void> => {
    const endMs = this.#elapsedMs + ms
    await this.settle()
    for (let timer = this.#next(); timer && timer.atMs <= endMs; timer = this.#next()) await this.#fire(timer)
    this.#elapsedMs = endMs
  }

  readonly complete = async <T>(work: Promise<T>, maxMs = 3_600_000): Promise<T> => {
    const endMs = this.#elapsedMs + maxMs
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    work.then(over, over)
    await this.settle()
    while (!isOver) {
      const timer = this.#next()
      if (!timer || timer.atMs > endMs) throw new Error(`not over after ${maxMs} virtual ms`)
      await this.#fire(timer)
    }
    return work
  }

  readonly jumpClock = (ms: number): void => {
    this.#skewMs += ms
  }

  get timerCount(): number {
    return this.#timers.size
  }

  /** The timer that is due first; of two at the same moment the one that was set first. */
  #next(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      const isSooner =
        !next || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)
      if (isSooner) next = timer
    }
    return next
  }

  async #fire(timer: Timer): Promise<void> {
    this.#timers.delete(timer)
    this.#elapsedMs = Math.max(this.#elapsedMs, timer.atMs)
    timer.callback()
    await this.settle()
  }
}

/** Turns of the event loop that are enough for streams and storage to finish what they were at. */
const settlingTurns = 3

type Channel = { readonly port1: MessagePort; readonly port2: MessagePort }

let channel: Channel | undefined
const waiting: (() => void)[] = []

/** Everything that waits only for other promises has run when the event loop comes round again. */
function nextTurn(): Promise<void> {
  channel ??= openChannel()
  channel.port1.ref()
  channel.port2.postMessage(null)
  return new Promise((resolve) => void waiting.push(resolve))
}

function openChannel(): Channel {
  const opened: Channel = new MessageChannel()
  opened.port1.on('message', () => {
    waiting.shift()?.()
    // An open port keeps a process alive; nobody waits for this one any more.
    if (waiting.length === 0) opened.port1.unref()
  })
  return opened
}
