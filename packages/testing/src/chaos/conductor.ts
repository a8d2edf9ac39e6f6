import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { SeededRandom } from '../seeded-random.ts'
import { freePort } from '../services/free-port.ts'
import { ChaosDevice } from './chaos-device.ts'
import { openCount } from './device-report.ts'
import { openFaultProxy } from './fault-proxy.ts'
import { seededFaults } from './proxy-fault.ts'
import { longestLifeMs, type ServerKind, ServerSide, type ServerTroubles } from './server-side.ts'
import { makeSmallDisk, type SmallDisk } from './small-disk.ts'

/** What a run is made from. */
export interface ConductorOptions {
  readonly seed: number
  /** Where everything is kept. */
  readonly folder: string
  readonly devices: number
  readonly disk: 'loop' | 'limit'
  /** The longest pause of a writer, ms. */
  readonly paceMs: number
  /** The longest pause between two things that are done to the processes, ms. */
  readonly everyMs: number
  readonly server: ServerKind
}

/** What was done to processes beside killing them. */
export type Trouble =
  | 'freeze device'
  | 'freeze server'
  | 'offline'
  | 'outage'
  | 'clock jump'
  | 'second process'
  | 'full disk'
  | 'weather'

const dayMs = 86_400_000

type Kill = 'kill device' | 'kill server' | 'trouble store'

type Weights = Readonly<Record<Trouble | Kill, number>>

/** How often each thing is done, beside each other. */
const weights: Weights = {
  'kill device': 34,
  'kill server': 10,
  'trouble store': 5,
  'freeze device': 7,
  'freeze server': 4,
  offline: 7,
  outage: 5,
  'clock jump': 7,
  'second process': 9,
  'full disk': 5,
  weather: 12,
}

/** There are more processes behind the proxies, and more that can befall them. */
const weightsQueued: Weights = { ...weights, 'kill server': 20, 'trouble store': 20 }

/** Real processes and what befalls them: devices, a server, a proxy for each device, by one seed. Rules: SIM-67. */
export class Conductor {
  readonly devices: ChaosDevice[] = []
  readonly violations: string[] = []
  readonly troubles: Record<Trouble, number> = {
    'freeze device': 0,
    'freeze server': 0,
    offline: 0,
    outage: 0,
    'clock jump': 0,
    'second process': 0,
    'full disk': 0,
    weather: 0,
  }
  readonly #server: ServerSide
  /** Why the disk is no disk of its own; null when it is. */
  diskNote: string | null = null
  readonly #folder: string
  readonly #cacheFolder: string
  readonly #random: SeededRandom
  readonly #deviceCount: number
  readonly #diskKind: ConductorOptions['disk']
  readonly #paceMs: number
  readonly #everyMs: number
  readonly #work = new Set<Promise<void>>()
  readonly #weights: Weights
  #disk: SmallDisk | undefined

  constructor({ seed, folder, devices, disk, paceMs, everyMs, server }: ConductorOptions) {
    this.#paceMs = paceMs
    this.#everyMs = everyMs
    this.#diskKind = disk
    this.#folder = folder
    this.#random = new SeededRandom(seed)
    this.#deviceCount = devices
    this.#weights = server === 'queued' ? weightsQueued : weights
    this.#cacheFolder = join(folder, 'compiled')
    this.#server = new ServerSide({
      kind: server,
      folder,
      cacheFolder: this.#cacheFolder,
      // A stream of its own: what befalls the devices is the same whatever the server is.
      random: new SeededRandom(seed ^ 0x5e4f),
      onViolation: (what) => this.violations.push(what),
    })
  }

  get serverTroubles(): ServerTroubles {
    return this.#server.troubles
  }

  get kills(): number {
    const { server, worker, database, redis } = this.serverTroubles.kills
    return server + worker + database + redis + this.devices.reduce((sum, { kills }) => sum + kills, 0)
  }

  /** Everything runs: the server first, whose port then stays. */
  async start(): Promise<void> {
    const journalFolder = join(this.#folder, 'journals')
    mkdirSync(journalFolder)
    const disk = this.#diskKind === 'loop' ? makeSmallDisk(this.#folder) : 'as asked'
    if (typeof disk === 'string') this.diskNote = disk
    else this.#disk = disk
    await this.#server.start()
    for (let n = 0; n < this.#deviceCount; n++) {
      const target = this.#server.ports[n % this.#server.ports.length] ?? 0
      const proxy = await openFaultProxy({ target, port: await freePort() })
      const folder = n === 0 && this.#disk !== undefined ? this.#disk.folder : this.#folder
      const device = new ChaosDevice({
        name: `d${n}`,
        folder,
        journalFolder,
        cacheFolder: this.#cacheFolder,
        proxy,
        random: new SeededRandom(this.#random.below(2 ** 31)),
        // One clock is right.
        skewMs: n === 0 ? 0 : this.#signed(10 * 365 * dayMs),
        paceMs: this.#paceMs,
        onViolation: (what) => this.violations.push(what),
      })
      this.devices.push(device)
      this.#changeWeather(device)
      // One after the other, so that what the first compiled is there for the next.
      await device.ensureAlive()
    }
  }

  /** One thing after the other, in each other's way, until so many processes were killed, and each store met with all it can, or the time is over. */
  async rage(kills: number, longestMs: number): Promise<void> {
    const endMs = Date.now() + longestMs
    while ((this.kills < kills || !this.#server.hasMetAll) && Date.now() < endMs) {
      this.#begin(this.#draw())
      await sleep(this.#random.below(this.#everyMs))
    }
    await Promise.all(this.#work)
  }

  /** All faults end. Everything that is dead lives again, and nobody writes. */
  async heal(): Promise<void> {
    for (const device of this.devices) {
      await device.proxy.up()
      device.proxy.heal()
    }
    await this.#server.opened()
    for (const device of this.devices) {
      await device.ensureAlive()
      await device.ask({ do: 'online' })
      await device.ask({ do: 'rest' })
    }
  }

  /** Syncs and settles until nothing is open; what is left once it has not become less for so long is a violation. */
  async quiet(longestMs: number): Promise<void> {
    let endMs = Date.now() + longestMs
    let least = Number.POSITIVE_INFINITY
    let open: string[] = []
    let calm = 0
    let round = 0
    while (calm < 2 && Date.now() < endMs) {
      await Promise.all(this.devices.map((device) => device.ask({ do: 'sync' })))
      open = []
      let count = 0
      for (const device of this.devices) {
        const report = await device.report()
        const left = report === undefined ? Number.POSITIVE_INFINITY : openCount(report)
        if (left > 0) open.push(`${device.name} is not quiet: ${JSON.stringify(report)}`)
        count += left
      }
      if (count < least) endMs = Date.now() + longestMs
      least = Math.min(least, count)
      calm = open.length === 0 ? calm + 1 : 0
      // One person at a time, so that few decide the same; whose decision comes second all the same gives it up.
      if (open.length > 0) await this.devices[round++ % this.devices.length]?.ask({ do: 'settle' })
    }
    if (calm < 2) this.violations.push(...open)
  }

  /** Every process ends in order. What the servers hold is in the file that comes back. */
  async close(): Promise<string> {
    for (const device of this.devices) await device.close()
    return this.#server.close()
  }

  /** Nothing is left running, mounted or listening, whatever happened. */
  async destroy(): Promise<void> {
    await Promise.allSettled(this.#work)
    await Promise.all(this.devices.map((device) => device.destroy()))
    await this.#server.destroy()
    await Promise.all(this.devices.map(({ proxy }) => proxy.close()))
    this.#disk?.remove()
  }

  #draw(): keyof Weights {
    let roll = this.#random.below(Object.values(this.#weights).reduce((sum, weight) => sum + weight))
    for (const [what, weight] of Object.entries(this.#weights)) {
      roll -= weight
      // The keys of the weights are what can be done.
      if (roll < 0) return what as keyof Weights
    }
    return 'kill device'
  }

  #begin(what: keyof Weights): void {
    const device = this.devices[this.#random.below(this.devices.length)]
    if (device === undefined) return
    const ms = 50 + this.#random.below(1_200)
    if (what === 'kill server' || what === 'freeze server' || what === 'trouble store')
      this.#run(this.#troubleServer(what, ms))
    else {
      // The disk that can be full is the first device's.
      const whom = what === 'full disk' ? (this.devices[0] ?? device) : device
      if (!whom.isBusy) this.#run(this.#troubleDevice(whom, what, ms))
    }
  }

  #run(work: Promise<void>): void {
    const done = work
      .catch((error: unknown) => void this.violations.push(`the conductor failed: ${String(error)}`))
      .finally(() => this.#work.delete(done))
    this.#work.add(done)
  }

  async #troubleServer(what: 'kill server' | 'freeze server' | 'trouble store', ms: number): Promise<void> {
    if (what === 'kill server') await this.#server.kill()
    else if (what === 'trouble store') await this.#server.troubleStore()
    else if (await this.#server.freeze(ms)) this.troubles[what] += 1
  }

  async #troubleDevice(
    device: ChaosDevice,
    what: Exclude<keyof Weights, 'kill server' | 'freeze server' | 'trouble store'>,
    ms: number,
  ): Promise<void> {
    if (what !== 'kill device') this.troubles[what] += 1
    if (what === 'weather') return this.#changeWeather(device)
    if (what === 'clock jump')
      return device.jump(this.#signed(this.#random.below(2) * 3_650 * dayMs + 600_000))
    device.isBusy = true
    if (what === 'kill device') {
      // Most live for a while; some die while they open their file.
      if (this.#random.below(5) > 0) await device.ensureAlive()
      await sleep(this.#random.below(longestLifeMs))
      await device.kill()
      await sleep(this.#random.below(100))
      device.start()
    } else if (what === 'freeze device') {
      device.freeze()
      await sleep(ms)
      device.thaw()
    } else if (what === 'offline') {
      void device.ask({ do: 'offline' })
      await sleep(2 * ms)
      void device.ask({ do: 'online' })
    } else if (what === 'outage') {
      await device.proxy.down()
      await sleep(ms)
      await device.proxy.up()
    } else if (what === 'second process') {
      device.startTwin()
      await sleep(800 + ms)
      await device.killTwin()
    } else await this.#fillDisk(device, ms)
    device.isBusy = false
  }

  /** Writes fail for a while: on a disk without space, or past the largest file the process may write. */
  async #fillDisk(device: ChaosDevice, ms: number): Promise<void> {
    if (this.#disk === undefined) {
      await device.kill()
      device.start(64)
      await sleep(1_000 + ms)
      await device.kill()
      device.start()
      return
    }
    this.#disk.fill()
    await sleep(ms)
    this.#disk.free()
    await device.ensureAlive()
  }

  #changeWeather(device: ChaosDevice): void {
    const chance = [0.05, 0.15, 0.3, 0.6][this.#random.below(4)] ?? 0
    device.proxy.use(seededFaults({ seed: this.#random.below(2 ** 31), chance, longestMs: 1_500 }))
  }

  #signed(most: number): number {
    return this.#random.below(2 * most) - most
  }
}
