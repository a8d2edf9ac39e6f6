import type { CancelTimer, Environment } from '@holdfast/core'
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
  const random = new SeededRandom(options.seed ?? 1)
  const startMs = new Date(options.startAt ?? '2026-11-20T10:00:00.000Z').getTime()
  let connected = options.fetch
  let elapsedMs = 0
  let skewMs = 0
  let order = 0
  const timers = new Set<Timer>()

  const nextTimer = (): Timer | undefined => {
    let next: Timer | undefined
    for (const timer of timers) {
      const isSooner =
        next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)
      if (isSooner) next = timer
    }
    return next
  }
  const fire = async (timer: Timer): Promise<void> => {
    timers.delete(timer)
    elapsedMs = Math.max(elapsedMs, timer.atMs)
    timer.callback()
    await settle()
  }
  const advance = async (ms: number): Promise<void> => {
    const endMs = elapsedMs + ms
    await settle()
    for (let timer = nextTimer(); timer && timer.atMs <= endMs; timer = nextTimer()) await fire(timer)
    elapsedMs = endMs
  }

  return {
    now: () => startMs + skewMs + Math.floor(elapsedMs),
    monotonicMs: () => elapsedMs,
    random: () => random.next(),
    randomBytes: (bytes) => random.fill(bytes),
    setTimer: (callback, delayMs): CancelTimer => {
      order += 1
      const timer = { atMs: elapsedMs + Math.max(0, delayMs), order, callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    fetch: (request) => {
      if (!connected) return Promise.reject(new TypeError('fetch failed'))
      return connected(request)
    },
    connect: (fetch) => {
      connected = fetch
    },
    advance,
    settle,
    complete: async (work, maxMs = 3_600_000) => {
      const endMs = elapsedMs + maxMs
      let isOver = false
      const over = (): void => {
        isOver = true
      }
      work.then(over, over)
      await settle()
      while (!isOver) {
        const timer = nextTimer()
        if (!timer || timer.atMs > endMs) throw new Error(`not over after ${maxMs} virtual ms`)
        await fire(timer)
      }
      return work
    },
    jumpClock: (ms) => {
      skewMs += ms
    },
    get timerCount() {
      return timers.size
    },
  }
}

/** Turns of the event loop that are enough for streams and storage to finish what they were at. */
const settlingTurns = 3

async function settle(): Promise<void> {
  for (let turn = 0; turn < settlingTurns; turn++) await nextTurn()
}

let channel: MessageChannel | undefined
const waiting: (() => void)[] = []

/** Everything that waits only for other promises has run when the event loop comes round again. */
function nextTurn(): Promise<void> {
  if (!channel) {
    channel = new MessageChannel()
    channel.port1.onmessage = () => {
      waiting.shift()?.()
      if (waiting.length === 0) channel?.port1.unref()
    }
  }
  channel.port1.ref()
  channel.port2.postMessage(null)
  return new Promise((resolve) => void waiting.push(resolve))
}
