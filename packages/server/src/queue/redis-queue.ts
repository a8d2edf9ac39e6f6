import { type CancelTimer, type Environment, isObject } from '@holdfast/core'
import type { Queue, Worker } from 'bullmq'
import type { Redis, RedisOptions } from 'ioredis'

import type { Logger } from '../engine.ts'
import { connectRedis } from './connect-redis.ts'

/** A receipt on its way to a worker. */
export interface ReceiptJob {
  readonly receipt: string
  /** 0 first, then 1, 2, … */
  readonly rank: number
}

/** A push was decided, told to whoever holds the streams of its device. */
export interface ReceiptResult {
  readonly user: string
  readonly device: string
  readonly receipt: string
}

/** Where a queue is. */
export interface RedisQueueOptions {
  readonly url: string
  readonly name: string
  readonly env: Environment
  readonly logger: Logger | undefined
}

interface Packages {
  readonly Queue: typeof Queue
  readonly Worker: typeof Worker
  readonly Redis: typeof Redis
}

/** No answer for this long is none, ms. */
const commandMs = 2_000
/** After a failure the queue counts as gone until it has answered a question that is asked so often, ms. */
const probeMs = 2_000
const bulkJobs = 500
const rankMax = 2_097_151

/**
 * Receipts on their way to workers over BullMQ, and results over pub/sub. All of it is a hint: Redis may forget, repeat or
 * be away, or hang, which costs time and nothing else. It holds ids and nothing of what was pushed. Rules: QU-6, QU-11,
 * QU-16.
 */
export class RedisQueue {
  readonly #env: Environment
  readonly #logger: Logger | undefined
  readonly #queue: Queue
  readonly #connection: Redis
  readonly #others: Redis[] = []
  readonly #channel: string
  readonly #makeWorker: (process: (receipt: string) => Promise<void>, concurrency: number) => Worker
  readonly #connect: (options: RedisOptions) => Redis
  #worker: Worker | undefined
  #isTrusted = true
  #cancelProbe: CancelTimer = () => undefined
  #isClosed = false

  private constructor({ url, name, env, logger }: RedisQueueOptions, packages: Packages) {
    this.#env = env
    this.#logger = logger
    this.#channel = `${name}:results`
    this.#connect = (options) => connectRedis(packages, url, options)
    this.#connection = this.#connect({
      enableOfflineQueue: false,
      maxRetriesPerRequest: 1,
      commandTimeout: commandMs,
    })
    this.#queue = new packages.Queue(name, {
      connection: this.#connection,
      skipVersionCheck: true,
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
    })
    this.#queue.on('error', () => undefined)
    this.#makeWorker = (process, concurrency) => {
      const connection = this.#connect({ maxRetriesPerRequest: null })
      this.#others.push(connection)
      return new packages.Worker(name, (job) => process(receiptOf(job.data)), {
        connection,
        concurrency,
        skipVersionCheck: true,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      })
    }
  }

  /** Waits for a connection for a while; one that comes later is as good. Errors: when the packages are not installed. */
  static async open(options: RedisQueueOptions): Promise<RedisQueue> {
    // Optional dependencies: only who queues needs them.
    const [{ Queue, Worker }, { Redis }] = await Promise.all([import('bullmq'), import('ioredis')])
    const queue = new RedisQueue(options, { Queue, Worker, Redis })
    await queue
      .#within(new Promise<void>((resolve) => queue.#connection.once('ready', resolve)))
      .catch(() => undefined)
    return queue
  }

  /** Whether a job that is added now has a good chance to be there. */
  get isReachable(): boolean {
    return !this.#isClosed && this.#connection.status === 'ready' && this.#isTrusted
  }

  /** False when they may not be there. A receipt that is on its way already stays there once. */
  async add(jobs: readonly ReceiptJob[]): Promise<boolean> {
    for (let from = 0; from < jobs.length; from += bulkJobs) {
      if (!this.isReachable) return false
      const bulk = jobs.slice(from, from + bulkJobs).map(({ receipt, rank }) => ({
        name: 'push',
        data: { receipt },
        opts: { jobId: receipt, ...(rank > 0 && { priority: Math.min(rank, rankMax) }) },
      }))
      if ((await this.#try(() => this.#queue.addBulk(bulk))) === undefined) return false
    }
    return true
  }

  /** Jobs that wait; undefined when nobody can tell. */
  async depth(): Promise<number | undefined> {
    return this.isReachable ? this.#try(() => this.#queue.count()) : undefined
  }

  /** Begins to take jobs. `process` never rejects. */
  work(process: (receipt: string) => Promise<void>, concurrency: number): void {
    this.#worker = this.#makeWorker(process, concurrency)
    this.#worker.on('error', (err) => this.#logger?.warn({ err }, 'the queue is disturbed'))
  }

  /** Tells every process that listens. */
  tell(result: ReceiptResult): void {
    if (this.isReachable)
      void this.#try(() => this.#connection.publish(this.#channel, JSON.stringify(result)))
  }

  /** Told of results of other processes, and of this one's. */
  listen(listener: (result: ReceiptResult) => void): void {
    const connection = this.#connect({ maxRetriesPerRequest: null })
    this.#others.push(connection)
    connection.on('message', (_channel, text) => {
      const result = parseResult(text)
      if (result) listener(result)
    })
    connection.subscribe(this.#channel).catch(() => undefined)
  }

  /** Takes no more jobs. What runs is finished by whoever runs it; without Redis nothing is waited for. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    const wasReachable = this.isReachable
    this.#isClosed = true
    this.#cancelProbe()
    const ended = Promise.allSettled([this.#worker?.close(!wasReachable), this.#queue.close()])
    await this.#within(ended).catch(() => undefined)
    for (const connection of [this.#connection, ...this.#others]) connection.disconnect()
  }

  async #try<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await this.#within(work())
    } catch (err) {
      this.#logger?.warn({ err }, 'the queue cannot be reached')
      if (this.#isTrusted) this.#probe()
      this.#isTrusted = false
      return undefined
    }
  }

  /**
   * Nothing else is sent until it is answered: what is sent to a Redis that hangs only heaps up, here and there. It asks for
   * room for a key: one that has none, or is a replica, answers everything else. Rules: QU-16.
   */
  #probe(): void {
    if (this.#isClosed) return
    this.#cancelProbe = this.#env.setTimer(() => {
      this.#within(this.#connection.set(this.#queue.toKey('asked'), '', 'PX', probeMs)).then(
        () => {
          this.#isTrusted = true
        },
        () => this.#probe(),
      )
    }, probeMs)
  }

  async #within<Result>(work: Promise<Result>): Promise<Result> {
    const { promise, reject } = Promise.withResolvers<never>()
    const cancel = this.#env.setTimer(() => reject(new Error('Redis does not answer')), commandMs)
    try {
      return await Promise.race([work, promise])
    } finally {
      cancel()
    }
  }
}

/** Whoever can reach Redis may have written it. */
function receiptOf(data: unknown): string {
  const receipt = isObject(data) ? data['receipt'] : undefined
  return typeof receipt === 'string' ? receipt : ''
}

function parseResult(text: string): ReceiptResult | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (!isObject(value)) return undefined
    const { user, device, receipt } = value
    if (typeof user !== 'string' || typeof device !== 'string' || typeof receipt !== 'string')
      return undefined
    return { user, device, receipt }
  } catch {
    return undefined
  }
}
