import type { SqliteDriver } from '@holdfast/client'
import { assert, type Schema } from '@holdfast/core'
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'

import type { DeviceDump, DeviceLost } from '../check/observation.ts'
import type { DatabaseBytes } from './commit-log.ts'
import { DeviceConnection } from './device-connection.ts'
import { bytesOf, DeviceFile } from './device-file.ts'
import { type DeviceState, differences, emptyState } from './device-state.ts'
import type { DiskPorts } from './disk-ports.ts'
import { dumpDevice } from './dump-device.ts'

/** What a device's disk is made for. */
export interface DiskOptions {
  /** `d1`; a copy has a name of its own. */
  readonly name: string
  readonly user: string
  /** What the app was promised; what a power cut takes follows from what the client asked SQLite for. */
  readonly durability: 'full' | 'fast'
  /** Whether an app on it can tell that a process before it is gone; it can unless said. */
  readonly knowsProcesses?: boolean
  readonly ports: DiskPorts
  readonly schema: Schema
}

/** What a disk held at one moment. */
export interface DiskImage {
  readonly bytes: DatabaseBytes
}

interface Life {
  readonly isAlive: () => boolean
  openCount: number
}

/**
 * The storage of a simulated device: real SQLite in memory, which outlives the processes that open it. It tells what
 * the commits did by looking at the tables, and dies, fills up and loses power as it is told.
 * Rules: SIM-10 to SIM-14, SIM-18, SIM-19.
 */
export class DeviceDisk {
  readonly name: string
  readonly #options: DiskOptions
  #file: DeviceFile
  #life: Life | undefined
  #lives = 0
  #fillCount = 0
  readonly #reads = new Map<string, StatementSync>()

  constructor(options: DiskOptions, image: DiskImage = { bytes: null }) {
    this.name = options.name
    this.#options = options
    this.#file = new DeviceFile(image.bytes, options)
  }

  /** Whether the device is in the middle of a transaction: then nobody can look at it or take an image. */
  get isInTransaction(): boolean {
    this.#buryDead()
    return this.#file.isInTransaction
  }

  /** Commits a power cut now may take. */
  get unsyncedCount(): number {
    return this.#file.unsyncedCount
  }

  /** The storage for one life of the device's process; `isAlive` false: nothing answers any more. Only the newest works. */
  driver(isAlive: () => boolean): SqliteDriver {
    this.kill()
    const life: Life = { isAlive, openCount: 0 }
    this.#life = life
    this.#lives += 1
    const self = `${this.name}/${this.#lives}`
    const file = (): DeviceFile | undefined => (this.#life === life && isAlive() ? this.#file : undefined)
    return {
      name: `simulated ${this.name}`,
      // A process before this one on the same disk is gone; of those on other disks nothing is known.
      ...(this.#options.knowsProcesses === false
        ? {}
        : {
            processes: {
              self,
              isGone: (name: string) => name.startsWith(`${this.name}/`) && name !== self,
            },
          }),
      open: async () => {
        const mine = file()
        if (mine === undefined) return new Promise<never>(() => undefined)
        if (life.openCount === 0) mine.reset()
        life.openCount += 1
        return new DeviceConnection({
          ports: this.#options.ports,
          file,
          die: () => this.kill(),
          fill: () => {
            this.#fillCount += 1
            return this.#fillCount % 2 === 0
          },
          onClose: () => {
            life.openCount -= 1
          },
        })
      },
    }
  }

  /** The process died: what was not committed is undone. Promises of that life never settle. */
  kill(): void {
    this.#life = undefined
    this.#file.rollback()
  }

  /**
   * The power went: as `kill`, and then only a prefix of the commits that were not synced is left; `roll` in [0, 1)
   * draws how long.
   */
  cutPower(roll: number): void {
    this.kill()
    const { unsyncedCount } = this.#file
    const spared = Math.floor(roll * (unsyncedCount + 1))
    if (spared < unsyncedCount) this.#exchange(bytesOf(this.#file.survivors(spared)), 'power-cut')
  }

  /** The system has written everything out by itself: no power cut takes what is committed by now. */
  sync(): void {
    this.#assertQuiet()
    this.#file.sync()
  }

  /** What the disk holds now; cheap to keep. Never while a transaction is open. */
  image(): DiskImage {
    this.#assertQuiet()
    return { bytes: this.#file.bytes() }
  }

  /** The disk holds again what it held then; only while no process has it open. */
  putBack(image: DiskImage): void {
    this.#assertClosed()
    this.#exchange(image.bytes, 'backup')
  }

  /** The disk is empty; only while no process has it open. */
  wipe(): void {
    this.#assertClosed()
    this.#exchange(null, 'wipe')
  }

  /**
   * Another disk with the same bytes, and so the same identity; with `ports` of its own where it is judged by itself.
   * Never while a transaction is open.
   */
  copyTo(name: string, ports: DiskPorts = this.#options.ports): DeviceDisk {
    const copy = new DeviceDisk({ ...this.#options, name, ports }, this.image())
    const { observe } = this.#options.ports
    const state = copy.#file.state()
    const entries = [...state.entries.values()].map(({ written }) => written)
    observe({ kind: 'device-copied', atMs: this.#nowMs, disk: this.name, to: name, entries })
    copy.#tellDifferences(emptyState, state)
    return copy
  }

  /** A raw look from outside; never while a transaction is open. */
  read(sql: string, ...params: SQLInputValue[]): readonly Readonly<Record<string, SQLOutputValue>>[] {
    this.#assertQuiet()
    let statement = this.#reads.get(sql)
    if (statement === undefined) this.#reads.set(sql, (statement = this.#database.prepare(sql)))
    return statement.all(...params)
  }

  /** Everything it holds. `markOf` finds the marks of scopes in a text. Never while a transaction is open. */
  dump(grants: readonly string[], markOf: (text: string) => readonly string[]): DeviceDump {
    this.#assertQuiet()
    this.#file.tellTraces()
    const { name, user, schema } = this.#options
    const { device, entries } = this.#file.state()
    const outbox = [...entries.values()].map(({ written, status }) => ({
      ...written,
      status: status.status,
      code: status.code,
    }))
    return { disk: name, device, user, grants, outbox, ...dumpDevice(this.#database, schema, markOf) }
  }

  /** Frees what it holds; nothing works afterwards. */
  close(): void {
    this.#life = undefined
    this.#file.close()
  }

  get #database(): DatabaseSync {
    return this.#file.database
  }

  get #nowMs(): number {
    return this.#options.ports.nowMs()
  }

  #exchange(bytes: DatabaseBytes, cause: DeviceLost['cause']): void {
    const before = this.#file.state()
    this.#reads.clear()
    this.#file.close()
    this.#file = new DeviceFile(bytes, this.#options)
    const after = this.#file.state()
    const { ports, durability } = this.#options
    const entries = [...before.entries]
      .filter(([key]) => !after.entries.has(key))
      .map(([, { written }]) => ({ seq: written.seq, id: written.id }))
    const back = [...after.entries]
      .filter(([key]) => !before.entries.has(key))
      .map(([, { written }]) => written)
    ports.observe({
      kind: 'device-lost',
      atMs: this.#nowMs,
      disk: this.name,
      cause,
      durability,
      entries,
      back,
    })
    this.#tellDifferences(before, after)
  }

  #tellDifferences(before: DeviceState, after: DeviceState): void {
    const { user, ports } = this.#options
    const on = { atMs: this.#nowMs, disk: this.name, user }
    for (const observation of differences(before, after, on)) ports.observe(observation)
  }

  /** A process that is gone leaves no transaction. */
  #buryDead(): void {
    if (this.#life !== undefined && !this.#life.isAlive()) this.kill()
  }

  #assertQuiet(): void {
    assert(!this.isInTransaction, `${this.name} was looked at in the middle of a transaction`)
  }

  #assertClosed(): void {
    this.#buryDead()
    assert((this.#life?.openCount ?? 0) === 0, `${this.name} was exchanged under a running process`)
    this.kill()
  }
}
