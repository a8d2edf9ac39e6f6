import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { freePort } from '../services/free-port.ts'
import { type PostgresServer, startPostgres } from '../services/postgres.ts'
import { type RedisServer, startRedis } from '../services/redis.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { auditFile } from './audit.ts'
import { Child } from './child.ts'
import { copyDatabase, undecidedCount } from './copy-database.ts'
import { orderVariable, type ServerOrder } from './server-order.ts'

/**
 * Where the servers of a run keep everything: one process on a file, or nodes over one PostgreSQL, or those with a worker
 * beside them and each push queued in a Redis.
 */
export type ServerKind = 'sqlite' | 'postgres' | 'queued'

/** What a server side is made from. */
export interface ServerSideOptions {
  readonly kind: ServerKind
  readonly folder: string
  readonly cacheFolder: string
  readonly random: SeededRandom
  readonly onViolation: (what: string) => void
}

/** What was done to the processes behind the proxies. */
export interface ServerTroubles {
  readonly kills: { server: number; worker: number; database: number; redis: number }
  frozenRedis: number
  flushedRedis: number
}

/** A process that is to be killed lives at most this much longer, ms. */
export const longestLifeMs = 1_500

/** The longest that Redis hangs, ms: three times what it takes until it counts as away. */
const longestHangMs = 6_000

/** Node or worker, at its place. A worker comes after the nodes. */
const membersOf: Readonly<Record<ServerKind, { readonly nodes: number; readonly workers: number }>> = {
  sqlite: { nodes: 1, workers: 0 },
  postgres: { nodes: 2, workers: 0 },
  queued: { nodes: 2, workers: 1 },
}

/** What befalls the stores of a queued run, one after the other: a short run meets them all. */
const storeTroubles = ['freeze redis', 'kill database', 'kill redis', 'flush redis'] as const

/** The processes behind the proxies, and what may befall them. */
export class ServerSide {
  /** Of the nodes; they stay. */
  readonly ports: number[] = []
  readonly troubles: ServerTroubles = {
    kills: { server: 0, worker: 0, database: 0, redis: 0 },
    frozenRedis: 0,
    flushedRedis: 0,
  }
  readonly #options: ServerSideOptions
  readonly #members: Child[] = []
  readonly #nodeCount: number
  readonly #path: string
  readonly #busy = new Set<number>()
  #database: PostgresServer | undefined
  #redis: RedisServer | undefined
  #isStoreBusy = false
  #storeTurn = 0
  #isEnding = false

  constructor(options: ServerSideOptions) {
    this.#options = options
    this.#path = join(options.folder, 'server.db')
    this.#nodeCount = membersOf[options.kind].nodes
  }

  async start(): Promise<void> {
    const { kind } = this.#options
    // A kill is no power cut, but what is written then is recovered as after one.
    if (kind !== 'sqlite') this.#database = await startPostgres({ flavour: 'embedded' })
    if (kind === 'queued') this.#redis = await startRedis({ isOwn: true })
    for (let n = 0; n < this.#nodeCount; n++) {
      this.ports[n] = await freePort()
      this.#startMember(n)
      await this.#members[n]?.opened
    }
    for (let n = 0; n < membersOf[kind].workers; n++) this.#startMember(this.#nodeCount + n)
    await this.opened()
  }

  /** Whether everything that can befall the stores of a queued run has. */
  get hasMetAll(): boolean {
    return this.#redis === undefined || this.#storeTurn >= storeTroubles.length
  }

  /** Every node answers, and every worker works. */
  async opened(): Promise<void> {
    for (const n of this.#members.keys()) await this.#openedMember(n)
  }

  async freeze(ms: number): Promise<boolean> {
    return this.#trouble(async (member) => {
      member.freeze()
      await sleep(ms)
      member.thaw()
    })
  }

  async kill(): Promise<boolean> {
    const { random, kind, onViolation } = this.#options
    return this.#trouble(async (_, n) => {
      const member = await this.#openedMember(n)
      await sleep(random.below(longestLifeMs))
      await member.kill()
      this.troubles.kills[this.#isWorker(n) ? 'worker' : 'server'] += 1
      if (kind === 'sqlite')
        for (const violation of auditFile(this.#path, 'server after a kill')) onViolation(violation)
      await sleep(random.below(300))
      this.#startMember(n)
    })
  }

  /** Something befalls PostgreSQL, or Redis where there is one; nothing where there is neither. */
  async troubleStore(): Promise<boolean> {
    const [database, redis] = [this.#database, this.#redis]
    if (database === undefined || this.#isStoreBusy) return false
    this.#isStoreBusy = true
    await sleep(this.#options.random.below(longestLifeMs))
    if (redis === undefined) await this.#killDatabase(database)
    else await this.#troubleOneOf(database, redis)
    this.#isStoreBusy = false
    return true
  }

  /** Ends all in order; what they leave is a file to audit. */
  async close(): Promise<string> {
    this.#isEnding = true
    const { onViolation } = this.#options
    await Promise.all(
      this.#members.map(async (member, n) => {
        const how = await (this.#isWorker(n) ? member.terminate() : member.end())
        if (how !== 0) onViolation(`${this.#nameOf(n)} did not close in order: ${how}`)
      }),
    )
    if (this.#database === undefined) return this.#path
    const undecided = await undecidedCount(this.#database.url)
    if (undecided > 0) onViolation(`${undecided} queued pushes were never decided`)
    await copyDatabase(this.#database.url, this.#path)
    return this.#path
  }

  async destroy(): Promise<void> {
    this.#isEnding = true
    await Promise.all(this.#members.map((member) => member.kill()))
    await Promise.all([this.#database?.stop(), this.#redis?.stop()])
  }

  /** SIGKILL, a moment of nothing, and recovery from the log. */
  async #killDatabase(database: PostgresServer): Promise<void> {
    await database.kill()
    this.troubles.kills.database += 1
    await sleep(this.#options.random.below(600))
    await database.restart()
  }

  async #troubleOneOf(database: PostgresServer, redis: RedisServer): Promise<void> {
    const { random } = this.#options
    switch (storeTroubles[this.#storeTurn++ % storeTroubles.length]) {
      case 'kill database':
        return this.#killDatabase(database)
      case 'kill redis':
        await redis.kill()
        this.troubles.kills.redis += 1
        await sleep(random.below(longestHangMs))
        return redis.restart()
      case 'flush redis':
        await redis.flush()
        this.troubles.flushedRedis += 1
        return
      default:
        redis.freeze()
        this.troubles.frozenRedis += 1
        await sleep(random.below(longestHangMs))
        redis.thaw()
    }
  }

  async #trouble(work: (member: Child, n: number) => Promise<void>): Promise<boolean> {
    const n = this.#options.random.below(this.#members.length)
    const member = this.#members[n]
    if (member === undefined || this.#busy.has(n)) return false
    this.#busy.add(n)
    await work(member, n)
    this.#busy.delete(n)
    return true
  }

  /** A worker that met no database when it started is started again; see below. */
  async #openedMember(n: number): Promise<Child> {
    for (;;) {
      const member = this.#members[n]
      if (member === undefined) throw new Error(`there is no ${this.#nameOf(n)}`)
      try {
        await member.opened
        return member
      } catch (error) {
        if (!this.#isDownAtStart(n, member))
          throw new Error(`${this.#nameOf(n)} did not start: ${member.errors}`, { cause: error })
        await sleep(100)
      }
    }
  }

  #startMember(n: number): void {
    const { cacheFolder, onViolation } = this.#options
    const order: ServerOrder = {
      path: this.#path,
      port: this.ports[n] ?? 0,
      database: this.#database?.url ?? null,
      redis: this.#redis?.url ?? null,
      // The first node only takes in: what it was given is for others.
      works: n > 0,
    }
    const options = new URL('./worker-options.ts', import.meta.url).pathname
    const member = this.#isWorker(n)
      ? new Child({
          program: '../../../cli/bin/holdfast.js',
          args: ['worker', options],
          variables: { [orderVariable]: JSON.stringify(order) },
          cacheFolder,
        })
      : new Child({ program: './server-main.ts', order, cacheFolder })
    this.#members[n] = member
    void member.gone.then(async (how) => {
      if (member.isAwaited) {
        if (member.errors !== '') onViolation(`${this.#nameOf(n)} failed: ${member.errors.slice(0, 2_000)}`)
      } else if (this.#isDownAtStart(n, member)) {
        // As whatever watches over a worker would do.
        await sleep(100)
        if (!this.#isEnding && this.#members[n] === member) this.#startMember(n)
      } else onViolation(`${this.#nameOf(n)} died by itself (${how}): ${member.errors}`)
    })
  }

  #isDownAtStart(n: number, member: Child): boolean {
    return this.#isWorker(n) && /cannot start: the database cannot be reached/.test(member.errors)
  }

  #isWorker(n: number): boolean {
    return n >= this.#nodeCount
  }

  #nameOf(n: number): string {
    return this.#isWorker(n) ? `worker ${n - this.#nodeCount}` : `node ${n}`
  }
}
