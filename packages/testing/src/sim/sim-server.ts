import { createServer, type HoldfastServer, type IngestOptions } from '@holdfast/server'
import type { Limits, Schema } from '@holdfast/core'

import type { SeededRandom } from '../seeded-random.ts'
import { ActorClock } from './actor-clock.ts'
import { actorEnvironment } from './environment.ts'
import { Life } from './life.ts'
import type { Destination } from './network.ts'
import type { Scheduler } from './scheduler.ts'
import type { ServerStorage } from './server-storage.ts'

/** What the server runs on. */
export interface SimServerParts {
  readonly schema: Schema
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly startMs: number
  readonly storage: ServerStorage
  readonly limits?: Partial<Limits>
  /** How the next life takes pushes in; in their request unless said. */
  readonly ingest?: () => IngestOptions
  /** The user a token is for; null: it is not, or not any more. */
  readonly authenticate: (token: string) => string | null
  readonly scopes: (user: string) => readonly string[]
  /** Told in the turn in which it answers; rows have by then what this schema says. */
  readonly onStart?: (schema: Schema) => void
  /** Something the server should never do. */
  readonly onDefect: (error: unknown) => void
}

/** Who decides about escrow; nobody else goes by that name. */
export const operatorId = 'op'

/** The shipped server as a process that can die and be started again on the same disk. */
export class SimServer {
  readonly #parts: SimServerParts
  readonly #clock: ActorClock
  /** What the next start serves. */
  schema: Schema
  /** Its disk is full until then, virtual ms. */
  fullUntilMs = 0
  /** Then only commits find it full: what was written before them fits into the cache. */
  isFullLate = false
  #life: Life
  #server: HoldfastServer | undefined

  constructor(parts: SimServerParts) {
    this.#parts = parts
    this.schema = parts.schema
    this.#clock = new ActorClock({ startMs: parts.startMs, virtualMs: () => parts.scheduler.nowMs })
    this.#life = new Life(parts.scheduler)
  }

  get isUp(): boolean {
    return this.#server !== undefined && this.#life.isAlive
  }

  get life(): Life {
    return this.#life
  }

  get random(): SeededRandom {
    return this.#parts.random
  }

  /** Wall clock of the server, which is always right. */
  nowMs(): number {
    return this.#clock.now()
  }

  destination(): Destination {
    return { answer: this.isUp ? (this.#server?.fetch ?? null) : null, life: this.#life }
  }

  /** Starts it; harmless when it runs. A start that fails, as on a full disk, is tried again after a while. */
  async start(): Promise<void> {
    if (this.isUp) return
    const { scheduler, random, storage, limits, ingest, authenticate, scopes } = this.#parts
    const life = new Life(scheduler)
    this.#life = life
    const nowhere = (): Promise<never> => Promise.reject(new TypeError('fetch failed'))
    const env = actorEnvironment({ scheduler, life, clock: this.#clock, random, fetch: nowhere })
    // Before all else: whatever the life before held ends with this.
    const store = storage.store()
    try {
      // People settle whatever they see, also where that is for reviewers: all of them are.
      const isReviewed = [...this.schema.collections.values()].some(({ review }) => review)
      const server = await createServer({
        schema: this.schema,
        limits,
        ...(ingest && { ingest: ingest() }),
        store,
        authenticate: (request) => {
          const user = authenticate(request.headers.get('authorization')?.slice('Bearer '.length) ?? '')
          return user === null ? null : { id: user }
        },
        scopes: (user) => (user.id === operatorId ? '*' : scopes(user.id)),
        mayReview: ({ id }) => id === operatorId || isReviewed,
        env,
      })
      if (!life.isAlive) return
      this.#server = server
      this.#parts.onStart?.(this.schema)
    } catch {
      life.end()
      scheduler.after(5_000, () => void this.start())
    }
  }

  /** Dies at its nth call from now, or at once, and is started again after a while. */
  crash(afterCalls: number, downMs: number): void {
    const { scheduler } = this.#parts
    if (!this.isUp) return
    const die = (): void => {
      this.kill()
      scheduler.after(downMs, () => void this.start())
    }
    if (afterCalls > 0) this.#life.dieAfter(afterCalls, die)
    else die()
  }

  /** Everything that was wrong with it is over. */
  heal(): void {
    this.fullUntilMs = 0
    this.#life.dieAfter(Number.POSITIVE_INFINITY, () => undefined)
  }

  /** The process is gone, and what it was at with it. */
  kill(): void {
    this.#life.end()
    this.#server = undefined
    this.#parts.storage.kill()
  }

  /** What the host's own code works with; undefined while it is down. */
  get engine(): HoldfastServer['engine'] | undefined {
    return this.isUp ? this.#server?.engine : undefined
  }

  /** Drops tombstones, as an operator's nightly job does. */
  async collect(olderThanMs: number): Promise<void> {
    const life = this.#life
    await this.#server?.engine.collectTombstones({ olderThanMs }).catch((error: unknown) => {
      if (life.isAlive && !isExpected(error)) this.#parts.onDefect(error)
    })
  }
}

function isExpected(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'STORE_FULL'
}
