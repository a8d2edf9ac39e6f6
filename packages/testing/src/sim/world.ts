import { assert, type Limits, type Schema } from '@holdfast/core'
import type { IngestOptions } from '@holdfast/server'

import type { Violation } from '../check/checker.ts'
import { type Observation, runStartMs } from '../check/observation.ts'
import { appOf, newColumns } from '../gen/app-of-plan.ts'
import { marksIn, scopesOfTenant } from '../gen/mix-schema.ts'
import type { App } from '../gen/random-app.ts'
import { everyWay, type Way } from '../gen/care-actions.ts'
import type { Person } from '../gen/person.ts'
import { SharedMemory } from '../gen/shared-memory.ts'
import { SeededRandom } from '../seeded-random.ts'
import { DeviceDisk, type DiskImage } from './device-disk.ts'
import type { DiskPorts, Fate } from './disk-ports.ts'
import type { InstalledServers } from './installed-servers.ts'
import { Network, type NetworkParts } from './network.ts'
import type { DevicePlan, Plan, StorageFaults } from './plan.ts'
import { Scheduler } from './scheduler.ts'
import { ServerDisk, type ServerDiskOptions } from './server-disk.ts'
import type { ServerStorage } from './server-storage.ts'
import { SimDevice } from './sim-device.ts'
import { SimServer } from './sim-server.ts'
import { StateCoverage } from './state-coverage.ts'
import { statementKind } from './statement-kind.ts'
import type { Strike } from './strike.ts'
import { Tally } from './tally.ts'
import { TraceHash } from './trace-hash.ts'

/** What a world is made from beside its plan. */
export interface WorldOptions {
  /** The one that the plan names unless said. */
  readonly app?: App
  /** Scopes that a person of a tenant has. */
  readonly scopesOf?: (tenant: number, user: number) => readonly string[]
  /** How many values of a unique key each tenant wants; as few as usual unless said. */
  readonly codeCount?: number
  /** Limits the host of the server lowered. */
  readonly serverLimits?: Partial<Limits>
  /** Where the server is installed already; it installs itself unless said. */
  readonly servers?: InstalledServers
  /** Another database beneath the server, and when what it was asked for is answered. */
  readonly outside?: OutsideStorage
  readonly observe: (observation: Observation) => void
  /** Told whenever the app on a device was opened. */
  readonly onOpen?: (device: SimDevice) => void
}

/** A database that is not simulated. */
export interface OutsideStorage {
  readonly storage: (options: Pick<ServerDiskOptions, 'schema' | 'ports' | 'nowIso'>) => ServerStorage
  /** Resolves once nothing is under way there. */
  readonly settled: () => Promise<void>
  /** How the next life of the server takes pushes in. */
  readonly ingest?: () => IngestOptions
  readonly limits?: Partial<Limits>
}

/**
 * Devices, a server and what is between them, in virtual time. It holds what steps act on; what happens when is decided
 * by whoever plays the plan. Rules: SIM-1 to SIM-5.
 */
export class World {
  readonly plan: Plan
  readonly schema: Schema
  readonly scheduler: Scheduler
  readonly faults: Tally = new Tally()
  readonly coverage: StateCoverage = new StateCoverage()
  readonly memory: SharedMemory
  readonly devices: SimDevice[] = []
  readonly server: SimServer
  readonly storage: ServerStorage
  readonly network: Network
  readonly defects: Violation[] = []
  /** Images taken by steps: the newest of each device. */
  readonly backups: Map<string, DiskImage> = new Map()
  /** Scopes each user may see now. */
  readonly grants: Map<string, readonly string[]> = new Map()
  /** Mutations people asked for and were told to be durable. */
  operations = 0
  storageFaults: StorageFaults
  /** How people settle what is left at the end. */
  ways: readonly Way[] = everyWay
  /** Asked before chance is, for runs in which somebody plans each fault. */
  strike: Strike = {}
  readonly #app: App
  readonly #scopesOf: (tenant: number, user: number) => readonly string[]
  readonly #serverLimits: Partial<Limits> | undefined
  readonly #report: (observation: Observation) => void
  readonly #onOpen: WorldOptions['onOpen']
  readonly #hash = new TraceHash()
  readonly #tokens = new Map<string, number>()
  /** By user, until when no token is good, virtual ms. */
  readonly #signedOut = new Map<string, number>()
  #observationCount = 0
  #actorCount = 0

  constructor(plan: Plan, options: WorldOptions) {
    this.plan = plan
    this.#app = options.app ?? appOf(plan)
    this.schema = this.#app.schema
    this.scheduler = new Scheduler(options.outside?.settled)
    this.storageFaults = plan.storage
    this.#scopesOf = options.scopesOf ?? scopesOfTenant
    this.#serverLimits = options.serverLimits ?? options.outside?.limits
    this.#report = options.observe
    this.#onOpen = options.onOpen
    this.memory = new SharedMemory(this.schema, options.codeCount)
    this.network = new Network(this.#networkParts(), plan.network)
    const { outside, servers } = options
    const disk = {
      schema: this.schema,
      ports: this.#ports((sql) => this.#serverFate(sql)),
      nowIso: () => new Date(this.server.nowMs()).toISOString(),
    }
    this.storage =
      outside?.storage(disk) ??
      new ServerDisk({ ...disk, base: servers?.lend(), giveBack: servers?.giveBack })
    this.server = this.#makeServer(outside?.ingest)
    if (plan.isServerEarlier) this.server.schema = this.#app.earlier
    for (const device of plan.devices) this.addDevice(device)
  }

  /** The simulated disk of the server, where that is what it has. */
  get serverDisk(): ServerDisk {
    assert(this.storage instanceof ServerDisk, 'the server of this run is on no simulated disk')
    return this.storage
  }

  get traceHash(): string {
    return this.#hash.text()
  }

  readonly observe = (observation: Observation): void => {
    this.#observationCount += 1
    this.#hash.add(observation)
    this.coverage.observe(observation)
    this.#report(observation)
  }

  /** Something that should never happen: it counts as a broken promise. */
  readonly onDefect = (error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.defects.push({
      invariant: 'no-defect',
      index: this.#observationCount - 1,
      atMs: this.scheduler.nowMs,
      message: text.slice(0, 2_000),
    })
  }

  scopesOf(tenant: number, user: number): readonly string[] {
    return this.#scopesOf(tenant, user)
  }

  /** From now on the user may see these scopes. */
  grant(user: string, scopes: readonly string[]): void {
    this.grants.set(user, scopes)
    this.observe({ kind: 'grants', atMs: this.scheduler.nowMs, user, scopes })
  }

  /** The token this user has is refused from now on, and so are new ones until the user has signed in again. */
  expireToken(user: string, forMs = 0): void {
    this.#tokens.set(user, (this.#tokens.get(user) ?? 0) + 1)
    if (forMs === 0) return
    this.#signedOut.set(user, this.scheduler.nowMs + forMs)
    this.scheduler.after(forMs, () => {
      for (const device of this.devices) if (device.user === user) device.client?.sync.resume()
    })
  }

  /** Everybody is signed in. */
  signIn(): void {
    this.#signedOut.clear()
  }

  /** The token that is good for a user now. */
  tokenOf(user: string): string {
    return `${user}#${this.#tokens.get(user) ?? 0}`
  }

  /** A device more, with an empty disk. */
  addDevice(plan: DevicePlan): SimDevice {
    const user = `u${plan.user}`
    if (!this.grants.has(user)) this.grant(user, this.#scopesOf(plan.tenant, plan.user))
    const { schema } = this
    return this.#addDevice(plan, (name, ports) => {
      const { durability, isBrowser = false } = plan
      return new DeviceDisk({ name, user, durability, knowsProcesses: !isBrowser, schema, ports })
    })
  }

  /** A copy of the device's disk in a second device, with the same identity and the same user. */
  clone(original: SimDevice): SimDevice {
    const copy = this.#addDevice(original.plan, (name, ports) => original.disk.copyTo(name, ports))
    copy.syncsAlone = original.syncsAlone
    copy.schema = original.schema
    return copy
  }

  #addDevice(plan: DevicePlan, makeDisk: (name: string, ports: DiskPorts) => DeviceDisk): SimDevice {
    const index = this.devices.length
    const random = this.split()
    // A disk is judged by the device that is made from it.
    const ports = this.#ports(
      (sql) => {
        const device = this.devices[index]
        return device ? this.#deviceFate(device, random, sql) : 'run'
      },
      (ms) => this.devices[index]?.life.sleep(ms) ?? Promise.resolve(),
    )
    const name = `d${index}`
    const device = new SimDevice({
      name,
      user: `u${plan.user}`,
      plan,
      schema: plan.isEarlier ? this.#app.earlier : this.schema,
      scheduler: this.scheduler,
      random,
      startMs: runStartMs,
      disk: makeDisk(name, ports),
      fetch: (sender, request) => this.network.fetch(sender, request),
      token: (holder) => this.tokenOf(holder),
      onDefect: this.onDefect,
      onOpen: this.#onOpen,
    })
    this.devices.push(device)
    return device
  }

  /** Who holds the device, if the app is there to work with. */
  personOf(device: SimDevice): Person | undefined {
    const { client } = device
    if (!client) return undefined
    const scopes = this.grants.get(device.user) ?? []
    return {
      disk: device.name,
      user: device.user,
      tenant: device.tenant,
      scopes,
      client,
      schema: device.openSchema,
      world: this.memory,
      observe: this.observe,
      nowMs: () => this.scheduler.nowMs,
    }
  }

  /** Frees what the run held. */
  async close(): Promise<void> {
    for (const device of this.devices) device.disk.close()
    this.network.close()
    await this.storage.close()
  }

  /** Chance of an actor of its own, so that one more actor changes nothing for the others. */
  split(): SeededRandom {
    this.#actorCount += 1
    return new SeededRandom(this.plan.seed * 1_009 + this.#actorCount)
  }

  #deviceFate(device: SimDevice, random: SeededRandom, sql: string): Fate {
    if (!device.life.call()) return 'kill'
    const planned = this.strike.device?.(device, sql)
    if (planned !== undefined) return planned
    const { deviceFull, slow } = this.storageFaults
    const chanceInWindow = device.isNearlyFull ? nearlyFull : 1
    const fullChance = isFullNow(device, this.scheduler.nowMs, sql) ? chanceInWindow : deviceFull
    if (fullChance > 0 && random.next() < fullChance) {
      this.faults.add('device-full')
      return 'full'
    }
    if (slow > 0 && random.next() < slow) {
      this.faults.add('slow')
      return { slowMs: random.next() * 400 }
    }
    return 'run'
  }

  #serverFate(sql: string): Fate {
    if (!this.server.life.call()) return 'kill'
    const planned = this.strike.server?.(sql)
    if (planned !== undefined) return planned
    const { serverFull } = this.storageFaults
    const isFull = isFullNow(this.server, this.scheduler.nowMs, sql)
    if (!isFull && (serverFull <= 0 || this.server.random.next() >= serverFull)) return 'run'
    this.faults.add('server-full')
    return 'full'
  }

  #ports(judge: DiskPorts['judge'], sleep: DiskPorts['sleep'] = () => Promise.resolve()): DiskPorts {
    return { observe: this.observe, nowMs: () => this.scheduler.nowMs, judge, sleep }
  }

  #makeServer(ingest: OutsideStorage['ingest']): SimServer {
    return new SimServer({
      schema: this.schema,
      scheduler: this.scheduler,
      random: this.split(),
      startMs: runStartMs,
      storage: this.storage,
      limits: this.#serverLimits,
      ...(ingest && { ingest }),
      authenticate: (token) => {
        const [user = '', issue] = token.split('#')
        if (this.scheduler.nowMs < (this.#signedOut.get(user) ?? 0)) return null
        return Number(issue) >= (this.#tokens.get(user) ?? 0) ? user : null
      },
      scopes: (user) => this.grants.get(user) ?? [],
      onStart: (schema) => {
        if (!this.plan.isServerEarlier || schema !== this.schema) return
        this.observe({ kind: 'server-migrated', atMs: this.scheduler.nowMs, columns: newColumns(this.#app) })
      },
      onDefect: this.onDefect,
    })
  }

  #networkParts(): NetworkParts {
    return {
      scheduler: this.scheduler,
      random: this.split(),
      faults: this.faults,
      destination: () => this.server.destination(),
      strike: () => this.strike,
      killServer: () => this.server.crash(0, 2_000),
      expireToken: (user, forMs) => this.expireToken(user, forMs),
      onRequest: ({ name }, route, bytes) => {
        this.observe({ kind: 'request', atMs: this.scheduler.nowMs, disk: name, route, bytes })
      },
      onAnswer: ({ name }, route) => {
        this.observe({ kind: 'answer', atMs: this.scheduler.nowMs, disk: name, route })
      },
      onResponse: ({ user }, route, status, text) => {
        const scopesSeen = marksIn(text)
        const scopesServed = route === 'pull' || route === 'snapshot' ? scopesNamed(text) : []
        const bytes = Buffer.byteLength(text)
        const { nowMs: atMs } = this.scheduler
        this.observe({ kind: 'response', atMs, user, route, status, scopesSeen, scopesServed, bytes })
      },
    }
  }
}

/** The scopes that the changes of a page name, each once. */
function scopesNamed(page: string): readonly string[] {
  const names = new Set<string>()
  for (const [, name = ''] of page.matchAll(/"scope":"([^"\\]*)"/g)) names.add(name)
  return [...names]
}

/** Share of the statements that find a disk full which has a little room left. */
const nearlyFull = 0.1

/** Whether a disk is in a window in which this statement finds it full. */
function isFullNow(
  { fullUntilMs, isFullLate }: { readonly fullUntilMs: number; readonly isFullLate: boolean },
  nowMs: number,
  sql: string,
): boolean {
  return nowMs < fullUntilMs && (!isFullLate || statementKind(sql) === 'commit')
}
