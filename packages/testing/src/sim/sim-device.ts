import { type Client, openClient } from '@holdfast/client'
import type { Schema } from '@holdfast/core'

import type { SeededRandom } from '../seeded-random.ts'
import { ActorClock } from './actor-clock.ts'
import type { DeviceDisk } from './device-disk.ts'
import { actorEnvironment } from './environment.ts'
import { Life } from './life.ts'
import { Link } from './link.ts'
import type { Sender } from './sender.ts'
import type { DevicePlan } from './plan.ts'
import type { Scheduler } from './scheduler.ts'

/** What a device runs on. */
export interface SimDeviceParts {
  readonly name: string
  readonly user: string
  readonly plan: DevicePlan
  readonly schema: Schema
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly startMs: number
  readonly disk: DeviceDisk
  readonly fetch: (sender: Sender, request: Request) => Promise<Response>
  readonly token: (user: string) => string
  /** Something the client should never do. */
  readonly onDefect: (error: unknown) => void
  /** Told in the turn in which the app has its client. */
  readonly onOpen?: (device: SimDevice) => void
}

/** Waits between two tries to open a database on a disk that is full, virtual ms. */
const reopenMs = 4_000

/** A device with the shipped client on it: a process that can die at any call, and a disk that stays. */
export class SimDevice {
  readonly name: string
  readonly user: string
  readonly tenant: number
  readonly link: Link = new Link()
  readonly clock: ActorClock
  readonly disk: DeviceDisk
  /** What the app knows the next time it is opened. */
  schema: Schema
  /** What the app knows that is open, or was last. */
  openSchema: Schema
  /** Whether the app syncs of itself the next time it is opened; otherwise only when it is told to. */
  syncsAlone = true
  /** Its disk is full until then, virtual ms. */
  fullUntilMs = 0
  /** Then only commits find it full: what was written before them fits into the cache. */
  isFullLate = false
  /** Then most of what needs room still finds some. */
  isNearlyFull = false
  readonly #parts: SimDeviceParts
  #life: Life
  #client: Client<Schema> | undefined
  /** Nobody starts the app before then, virtual ms. */
  #downUntilMs = 0
  #isPutAway = false

  constructor(parts: SimDeviceParts) {
    const { name, user, plan, scheduler, startMs, disk } = parts
    this.name = name
    this.user = user
    this.tenant = plan.tenant
    this.disk = disk
    this.schema = parts.schema
    this.openSchema = parts.schema
    this.#parts = parts
    this.#life = new Life(scheduler)
    this.#life.end()
    this.clock = new ActorClock({
      startMs,
      virtualMs: () => scheduler.nowMs,
      offsetMs: plan.clockOffsetMs,
      driftPpm: plan.clockDriftPpm,
    })
  }

  /** The client that is open and can be used; undefined while the process is down, starting or suspended. */
  get client(): Client<Schema> | undefined {
    return this.#life.isAlive && !this.#life.isSuspended ? this.#client : undefined
  }

  get life(): Life {
    return this.#life
  }

  get plan(): DevicePlan {
    return this.#parts.plan
  }

  /** Starts the app; harmless when it runs. */
  async open(): Promise<void> {
    const { scheduler, random, user, plan, token, fetch, disk } = this.#parts
    if (this.#life.isAlive || this.#isPutAway || scheduler.nowMs < this.#downUntilMs) return
    const life = new Life(scheduler)
    this.#life = life
    this.#client = undefined
    this.openSchema = this.schema
    const sender: Sender = { name: this.name, user, life, link: this.link }
    const send = (request: Request): Promise<Response> => fetch(sender, request)
    const env = actorEnvironment({ scheduler, life, clock: this.clock, random, fetch: send })
    try {
      const client = await openClient({
        schema: this.schema,
        storage: disk.driver(() => life.isAlive),
        server: 'http://sim.test',
        auth: () => token(user),
        durability: plan.durability,
        sync: { auto: this.syncsAlone },
        env,
      })
      if (!life.isAlive) return
      this.#client = client
      if (this.link.isOffline(scheduler.nowMs)) client.sync.setOnline(false)
      this.#parts.onOpen?.(this)
    } catch (error) {
      life.end()
      if (!isFull(error)) this.#parts.onDefect(error)
      scheduler.after(reopenMs, () => void this.open())
    }
  }

  /** Closes the app as a person does. */
  async close(downMs: number): Promise<void> {
    const client = this.client
    const life = this.#life
    if (!client) return
    this.#client = undefined
    this.#downUntilMs = this.#parts.scheduler.nowMs + downMs
    await client.close().catch((error: unknown) => {
      if (!isFull(error)) this.#parts.onDefect(error)
    })
    if (!life.isAlive) return
    life.end()
    this.disk.kill()
  }

  /** The process dies at its nth call from now, or at once; the app is started again after a while. */
  crash(options: {
    readonly afterCalls: number
    readonly downMs: number
    readonly powerRoll: number | null
  }): void {
    const { scheduler } = this.#parts
    if (!this.#life.isAlive) return
    const die = (): void => {
      this.#client = undefined
      this.#downUntilMs = scheduler.nowMs + options.downMs
      if (options.powerRoll === null) this.disk.kill()
      else this.disk.cutPower(options.powerRoll)
    }
    if (options.afterCalls > 0) return this.#life.dieAfter(options.afterCalls, die)
    this.#life.end()
    die()
  }

  /** Ends the life for somebody who exchanges the disk under it. */
  stop(downMs = 0): void {
    this.#life.end()
    this.#client = undefined
    this.#downUntilMs = this.#parts.scheduler.nowMs + downMs
    this.disk.kill()
  }

  /** Into a pocket: the app sleeps, and is not started there. */
  putAway(): void {
    this.#isPutAway = true
    this.suspend()
  }

  /** Out of the pocket: it goes on, or is started. */
  takeOut(): void {
    this.#isPutAway = false
    if (this.#life.isAlive) this.resume()
    else void this.open()
  }

  suspend(): void {
    if (this.#life.isAlive) this.#life.suspend()
  }

  /** Goes on, unless it is in a pocket by now. */
  resume(): void {
    if (!this.#isPutAway) this.#life.resume()
  }

  /** Everything that was wrong with it is over. */
  heal(): void {
    this.clock.mend()
    this.link.heal()
    this.fullUntilMs = 0
    this.#life.dieAfter(Number.POSITIVE_INFINITY, () => undefined)
    this.#downUntilMs = 0
    this.#isPutAway = false
    if (this.#life.isSuspended) this.#life.resume()
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'STORE_FULL'
}
