import { type Schema, SyncError } from '@holdfast/core'

import type { DeviceLost, Observation } from '../check/observation.ts'
import type { DiskImage } from '../sim/device-disk.ts'
import { isCalm } from '../sim/play.ts'
import type { SimDevice } from '../sim/sim-device.ts'
import type { Leg } from '../sim/strike.ts'
import type { World } from '../sim/world.ts'
import type { LaneClient } from './lane-schema.ts'
import type { OpenLists } from './open-lists.ts'

/** Something a person does on a device. */
type Act = (db: LaneClient) => Promise<unknown>

/** What a person set out to do, and the mutations in which it now lies in their outbox or on the server. */
interface Deed {
  /** Deeds are done, and done again, in this order. */
  readonly place: number
  readonly device: number
  readonly what: string
  readonly act: Act
  readonly mutations: Set<string>
  /** Every key these ever had. */
  readonly keys: Set<string>
  isDone: boolean
  /** Answers what the app shows, as who gives up a dead letter does: done again, the app must show it again first. */
  isAnswer?: boolean
}

/** A promise was broken that nobody sees who only observes. */
export class BrokenPromise extends Error {
  readonly invariant: string

  constructor(invariant: string, message: string) {
    super(message)
    this.name = 'BrokenPromise'
    this.invariant = invariant
  }
}

/** Everything comes to rest within this, whatever single fault struck, virtual ms. */
const restMs = 1_200_000

/** How often a person tries again: one fault strikes in a run, so twice is enough, and a third time is a mistake. */
const tryMax = 4

/**
 * Where a scenario is played: its people do not give up. Who was told that the disk is full, or saw the app die before
 * the write was safe, looks and does it again; who finds work gone after a power cut does that again first. So a
 * scenario ends with the same data whatever struck. Rules: SIM-41.
 */
export class Stage {
  readonly world: World
  readonly #lists: OpenLists
  readonly #deeds: Deed[] = []
  #lost: Deed[] = []
  /** What is being done on each disk. */
  readonly #doing = new Map<string, Deed>()
  /** Devices that lost power, and with it perhaps more than their own work. */
  readonly #wereCut = new Set<string>()
  /** Devices that are kept from the network until what was lost is done again: nobody lets go of a device before. */
  readonly #apart = new Set<SimDevice>()
  #callCount = 0

  constructor(world: World, lists: OpenLists) {
    this.world = world
    this.#lists = lists
  }

  /** Must be told everything that is observed. */
  readonly observe = (o: Observation): void => {
    if (o.kind === 'entry-written') remember(this.#doing.get(o.disk), o.id)
    else if (o.kind === 'entry-moved' && o.from.id !== o.to.id) {
      for (const deed of this.#deedsOf(o.disk)) if (deed.mutations.delete(o.from.id)) remember(deed, o.to.id)
    } else if (o.kind === 'device-lost' && o.cause === 'power-cut') this.#lose(o)
  }

  /** Does something on a device, for as long as it takes. Write one transaction, or what may be done twice. */
  async on(device: number, what: string, act: Act): Promise<void> {
    const deed = this.#newDeed({ device, what, act, isDone: false })
    this.#deeds.push(deed)
    await this.#perform(deed)
  }

  /** Begins something on a device that is open, and does not wait for it. Refusals that are not expected are defects. */
  begin(device: number, what: string, act: Act, expected: readonly string[]): void {
    const { client, life } = this.#device(device)
    if (!client) throw new Error(`d${device} is not open`)
    const deed = this.#newDeed({ device, what, act, isDone: true })
    // The stage is for one schema alone.
    this.#call(deed, client as unknown as LaneClient).catch((error: unknown) => {
      const isExpected = error instanceof SyncError && expected.includes(error.code)
      if (!isExpected && life.isAlive) this.world.onDefect(error)
    })
  }

  /** From now on the device has no network. */
  offline(...devices: readonly number[]): void {
    for (const index of devices) {
      const device = this.#device(index)
      device.link.offlineUntilMs = Number.POSITIVE_INFINITY
      device.client?.sync.setOnline(false)
    }
  }

  /** The devices have a network again, and everything that can come to rest does. */
  async online(...devices: readonly number[]): Promise<void> {
    for (const index of devices) {
      const device = this.#device(index)
      device.link.heal()
      device.client?.sync.setOnline(true)
    }
    await this.rest()
  }

  /** The app is killed and started again. */
  async restart(index: number): Promise<void> {
    const device = this.#device(index)
    device.stop()
    await this.pass(100)
    await this.#open(device)
  }

  /** The app is closed as a person does it, and is opened again by whoever needs it next. */
  async close(index: number): Promise<void> {
    await this.#open(this.#device(index))
    void this.#device(index).close(0)
    await this.pass(1_000)
  }

  /** The next version of the app is installed and opened. */
  async upgrade(index: number, schema: Schema): Promise<void> {
    this.#device(index).schema = schema
    await this.restart(index)
  }

  /** The app is thrown away with all it held, and installed again. */
  async reinstall(index: number, { isOnline = true }: { readonly isOnline?: boolean } = {}): Promise<void> {
    const device = this.#device(index)
    device.stop()
    device.disk.wipe()
    if (!isOnline) this.offline(index)
    await this.#open(device)
  }

  /** What the disk of a device holds now; the app is not running then, and is opened again. */
  async imageOf(index: number): Promise<DiskImage> {
    const device = this.#device(index)
    device.stop()
    const image = device.disk.image()
    await this.#open(device)
    return image
  }

  /** The disk of a device holds again what it held then. */
  async putBack(index: number, image: DiskImage): Promise<void> {
    const device = this.#device(index)
    device.stop()
    device.disk.putBack(image)
    await this.#open(device)
  }

  /** No power cut takes what a device has stored by now. */
  writtenOut(index: number): void {
    this.#device(index).disk.sync()
  }

  /** A copy of a device that is switched off, without a network too; gives its index. Both run then. */
  async clone(index: number): Promise<number> {
    const device = this.#device(index)
    await this.#findLost()
    device.stop()
    // What is in the copy is nobody's to do again when the power goes.
    this.writtenOut(index)
    this.world.clone(device)
    const copy = this.world.devices.length - 1
    this.offline(copy)
    await this.#open(device)
    await this.#open(this.#device(copy))
    return copy
  }

  /** Every list is opened once more on a device that runs. */
  openLists(index: number): void {
    this.#lists.open(this.#device(index))
  }

  /** From now on something in front of the server answers in its place whenever it has an answer. Gives the way to end it. */
  inFront(answer: (leg: Leg) => Response | undefined): () => void {
    const { strike } = this.world
    this.world.strike = { ...strike, request: (leg) => strike.request?.(leg) ?? answer(leg) }
    return () => {
      this.world.strike = strike
    }
  }

  /** A person gives up every dead letter of a device. */
  async discard(index: number): Promise<void> {
    const { observe, scheduler, devices } = this.world
    const disk = devices[index]?.name ?? ''
    await this.on(index, 'repair discard', async (db) => {
      for (const letter of await db.deadLetters.list()) {
        const known = letter.mutations.map(({ id }) => id)
        observe({ kind: 'discarded', atMs: scheduler.nowMs, disk, mutations: [...known, ...letter.behind] })
        await db.deadLetters.discard(letter.id).catch((error: unknown) => {
          if (!(error instanceof SyncError && error.code === 'RECORD_NOT_FOUND')) throw error
        })
      }
    })
  }

  /** Waits until a device shows an item, or shows it no more. */
  async untilSeen(index: number, id: string): Promise<void> {
    const isSeen = (): boolean => this.#shows(index, id)
    if (!(await this.until(isSeen))) throw new BrokenPromise('liveness', `d${index} never sees ${id}`)
  }

  async untilGone(index: number, id: string): Promise<void> {
    const isGone = (): boolean => !this.#shows(index, id)
    if (!(await this.until(isGone))) throw new BrokenPromise('liveness', `d${index} goes on showing ${id}`)
  }

  /** Starts the server if it is down, and waits until it runs. */
  async untilServed(): Promise<void> {
    const { server } = this.world
    void server.start()
    if (!(await this.until(() => server.isUp))) throw new Error('the server never starts')
  }

  nobody(): never {
    throw new Error('the scenario has no such device')
  }

  async pass(ms: number): Promise<void> {
    const { scheduler } = this.world
    await scheduler.run(scheduler.nowMs + ms)
  }

  /** Waits until nothing more happens on devices with a network, and until no work is missing; lists show it all then. */
  async rest(): Promise<void> {
    const { world } = this
    for (;;) {
      await this.#findLost()
      // While this was being waited for the power may have gone.
      if (this.#lost.length > 0) continue
      for (const device of this.#apart) await this.#rejoin(device)
      const isOver = await this.until(
        () => this.#lost.length > 0 || world.devices.every((device) => isAtRest(world, device)),
      )
      if (!isOver) throw new BrokenPromise('liveness', `no rest within ${restMs / 60_000} virtual minutes`)
      if (this.#lost.length === 0) break
    }
    for (const read of this.#lists.read(world.scheduler.nowMs)) world.observe(read)
  }

  /** Waits for something, looking twice a second. False: it never came. */
  async until(isSo: () => boolean): Promise<boolean> {
    const { scheduler } = this.world
    const endMs = scheduler.nowMs + restMs
    do await scheduler.run(scheduler.nowMs + 500)
    while (!isSo() && scheduler.nowMs < endMs)
    return isSo()
  }

  #newDeed(deed: Pick<Deed, 'device' | 'what' | 'act' | 'isDone'>): Deed {
    return { ...deed, place: this.#deeds.length, mutations: new Set(), keys: new Set() }
  }

  async #perform(deed: Deed): Promise<void> {
    const { scheduler } = this.world
    const device = this.#device(deed.device)
    for (let attempt = 0; attempt < tryMax; attempt++) {
      await this.#findLost((lost) => lost.device === deed.device && lost.place < deed.place)
      await this.#open(device)
      // What the power cut took of others' work must be fetched again before anybody can go on from it.
      if (attempt > 0 || deed.isAnswer) await this.#rejoin(device)
      const { life, client } = device
      if (!client) continue
      let result: 'done' | 'refused' | undefined
      this.#doing.set(device.name, deed)
      // The stage is for one schema alone.
      this.#call(deed, client as unknown as LaneClient).then(
        () => {
          result = 'done'
          deed.isDone = true
        },
        (error: unknown) => {
          result = 'refused'
          const isLater = this.#wereCut.has(device.name) && attempt + 1 < tryMax
          if (!isFull(error) && !isLater) this.world.onDefect(error)
        },
      )
      const isOver = (): boolean => result !== undefined || !life.isAlive
      await scheduler.run(scheduler.nowMs)
      if (!isOver()) await scheduler.run(scheduler.nowMs + 60_000, isOver)
      // The app may have died after the commit and before it could say so; or have said so, and the power went.
      deed.isDone ||= deed.mutations.size > 0
      if (deed.isDone) return
      this.#lost = this.#lost.filter((lost) => lost !== deed)
    }
    throw new Error(`nobody could ${deed.what} on d${deed.device}`)
  }

  /** Says so before and after, for the checkers. */
  async #call({ device, what, act }: Deed, db: LaneClient): Promise<void> {
    const { observe, scheduler, devices } = this.world
    const disk = devices[device]?.name ?? ''
    this.#callCount += 1
    const call = this.#callCount
    observe({ kind: 'call', atMs: scheduler.nowMs, disk, call, what })
    const end = (result: 'done' | 'refused', code: string | null): void =>
      observe({ kind: 'call-ended', atMs: scheduler.nowMs, disk, call, result, code, mutations: [] })
    try {
      await act(db)
      end('done', null)
    } catch (error) {
      end('refused', error instanceof SyncError ? error.code : null)
      throw error
    }
  }

  #shows(index: number, id: string): boolean {
    return this.#device(index).disk.read('SELECT 1 FROM items WHERE id = ?', id).length > 0
  }

  /** Does again what was lost, in its order, before the device is on the network again. */
  async #findLost(isMeant: (deed: Deed) => boolean = () => true): Promise<void> {
    for (let deed = this.#lost.find(isMeant); deed; deed = this.#lost.find(isMeant)) {
      const again = deed
      this.#lost = this.#lost.filter((lost) => lost !== again)
      await this.#perform(again)
    }
  }

  async #rejoin(device: SimDevice): Promise<void> {
    if (this.#apart.delete(device)) {
      device.link.heal()
      device.client?.sync.setOnline(true)
    }
    await this.until(() => isAtRest(this.world, device))
  }

  async #open(device: SimDevice): Promise<void> {
    if (device.client) return
    void device.open()
    if (!(await this.until(() => device.client !== undefined))) throw new Error(`${device.name} never opens`)
  }

  #device(index: number): SimDevice {
    const device = this.world.devices[index]
    if (!device) throw new Error(`there is no device ${index}`)
    return device
  }

  #deedsOf(disk: string): readonly Deed[] {
    return this.#deeds.filter(({ device }) => this.world.devices[device]?.name === disk)
  }

  /** What was not safe yet is gone; what left no mutation of its own is looked at again. */
  #lose({ disk, entries, back }: DeviceLost): void {
    const lost = new Set(entries.map(({ id }) => id))
    this.#wereCut.add(disk)
    for (const deed of this.#deedsOf(disk)) {
      const before = deed.mutations.size
      for (const id of deed.mutations) if (lost.has(id)) deed.mutations.delete(id)
      for (const { id } of back) if (deed.keys.has(id)) deed.mutations.add(id)
      if (!deed.isDone || deed.mutations.size > 0) continue
      // What left no mutation of its own took some away, or did nothing.
      if (before === 0 && lost.size === 0 && back.length === 0) continue
      deed.isAnswer = before === 0
      deed.isDone = false
      this.#lost.push(deed)
      const device = this.#device(deed.device)
      if (device.link.isOffline(this.world.scheduler.nowMs)) continue
      device.link.offlineUntilMs = Number.POSITIVE_INFINITY
      this.#apart.add(device)
    }
  }
}

function remember(deed: Deed | undefined, id: string): void {
  deed?.mutations.add(id)
  deed?.keys.add(id)
}

function isAtRest(world: World, device: SimDevice): boolean {
  if (device.link.isOffline(world.scheduler.nowMs)) return true
  return isCalm(world, device)
}

/** Whether somebody was told that the disk is full. */
export function isFull(error: unknown): boolean {
  return error instanceof SyncError && error.code === 'STORE_FULL'
}
