import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { SeededRandom } from '../seeded-random.ts'
import { auditFile } from './audit.ts'
import { Child } from './child.ts'
import type { DeviceOrder } from './device-main.ts'
import type { DeviceReport } from './device-report.ts'
import type { FaultProxy } from './fault-proxy.ts'

/** What a device of a run is made from. */
export interface ChaosDeviceOptions {
  readonly name: string
  /** Where its database is; the notebooks are elsewhere, so that a full disk does not take them. */
  readonly folder: string
  readonly journalFolder: string
  readonly cacheFolder: string
  readonly proxy: FaultProxy
  readonly random: SeededRandom
  readonly skewMs: number
  /** The longest pause of its writer, ms. */
  readonly paceMs: number
  /** Told what must not happen. */
  readonly onViolation: (what: string) => void
}

/** Exit code of a program that could not even open its database because the disk was full, or busy. */
const storeCodes = /STORE_FULL|STORE_LOCKED|STORE_FAILED/

/** One device through all its lives: one file, one address, one process after the other, and now and then two at once. */
export class ChaosDevice {
  readonly name: string
  readonly path: string
  readonly proxy: FaultProxy
  readonly journals: string[] = []
  /** Somebody is doing something to it that must end first. */
  isBusy = false
  kills = 0
  deathsByFullDisk = 0
  readonly #options: ChaosDeviceOptions
  #skewMs: number
  #lives = 0
  #child: Child | undefined
  #twin: Child | undefined

  constructor(options: ChaosDeviceOptions) {
    this.#options = options
    this.name = options.name
    this.path = join(options.folder, `${options.name}.db`)
    this.proxy = options.proxy
    this.#skewMs = options.skewMs
  }

  /** Starts a process on the file. `spareBlocks` is how far its files may grow, in blocks of 512 bytes. */
  start(spareBlocks?: number): Child {
    this.#child = this.#spawn('', spareBlocks)
    return this.#child
  }

  /** A second process on the same file. */
  startTwin(): void {
    this.#twin = this.#spawn('t')
  }

  async killTwin(): Promise<void> {
    if (this.#twin === undefined) return
    await this.#twin.kill()
    this.#twin = undefined
    this.kills += 1
  }

  async kill(): Promise<void> {
    if (this.#child === undefined) return
    await this.#child.kill()
    this.kills += 1
    for (const what of auditFile(this.path, `${this.name} after a kill`)) this.#options.onViolation(what)
  }

  freeze(): void {
    this.#child?.freeze()
  }

  thaw(): void {
    this.#child?.thaw()
  }

  /** The clock jumps, for whoever has the file open. */
  jump(ms: number): void {
    this.#skewMs += ms
    for (const child of [this.#child, this.#twin]) void child?.ask({ do: 'jump', ms }).catch(() => undefined)
  }

  /** Tells the process something and gives its answer; undefined when there is none, because it is gone. */
  async ask(command: object): Promise<unknown> {
    return this.#child?.ask(command).catch(() => undefined)
  }

  async report(): Promise<DeviceReport | undefined> {
    // The program answers in this shape.
    return (await this.ask({ do: 'report' })) as DeviceReport | undefined
  }

  /** A process that could not live on a full disk is started again; one that lives is left alone. */
  async ensureAlive(): Promise<void> {
    if (this.#child === undefined || this.#child.isGone) this.start()
    await this.#child?.opened.catch(() => undefined)
  }

  async close(): Promise<void> {
    const how = await this.#child?.end({ do: 'close' })
    if (how !== 0 && how !== undefined)
      this.#options.onViolation(`${this.name} did not close in order: ${how}`)
  }

  /** Nothing of it runs any more. */
  async destroy(): Promise<void> {
    await Promise.all([this.#child?.kill(), this.#twin?.kill()])
  }

  #spawn(kind: '' | 't', spareBlocks?: number): Child {
    const { cacheFolder, journalFolder, random, paceMs } = this.#options
    const author = `${this.name}${kind}.${this.#lives++}`
    const journal = join(journalFolder, `${author}.jsonl`)
    const order: DeviceOrder = {
      path: this.path,
      url: this.proxy.url,
      user: this.name,
      author,
      seed: random.below(2 ** 31),
      journal,
      skewMs: this.#skewMs,
      paceMs,
    }
    // A process may die before it writes a line; that its notebook is missing must mean something else.
    writeFileSync(journal, '')
    this.journals.push(journal)
    const fileBlocks = spareBlocks === undefined ? undefined : this.#largestFile() + spareBlocks
    const child = new Child({
      program: './device-main.ts',
      order,
      cacheFolder,
      ...(fileBlocks === undefined ? {} : { fileBlocks }),
    })
    void child.gone.then((how) => this.#onGone(child, how))
    return child
  }

  #onGone(child: Child, how: number | string): void {
    if (child.isAwaited) return
    if (storeCodes.test(child.errors)) this.deathsByFullDisk += 1
    else this.#options.onViolation(`${this.name} died by itself (${how}): ${child.errors.slice(0, 2_000)}`)
  }

  #largestFile(): number {
    const sizes = ['', '-wal'].map((end) => statSync(this.path + end, { throwIfNoEntry: false })?.size ?? 0)
    return Math.ceil(Math.max(...sizes) / 512)
  }
}
