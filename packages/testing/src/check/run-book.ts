import { eachCovered } from './covered-numbers.ts'
import type {
  EntryMoved,
  EntryStatus,
  EntryWritten,
  EscrowRuled,
  Observation,
  Payload,
  ServerAudit,
  ServerOutcome,
} from './observation.ts'
import { sameValue } from './same-value.ts'

/** What a person wrote once, under whatever key and on however many copies of a disk it travels. */
export interface Write {
  readonly first: EntryWritten
}

/** A mutation in the outbox of one disk, under one key. */
export interface Item {
  readonly write: Write
  readonly disk: string
  readonly id: string
  seq: number
  /** What it says now: a dead letter can be edited, and what its author saw can be discarded. */
  payload: Payload
  status: EntryStatus['status']
  code: string | null
  /** UUID under which the disk offered it last; null when it never did. */
  offeredBy: string | null
  /** The same, of the one this is a copy of; it counts once it is seen that the copy was offered as well. */
  readonly offeredBefore: string | null
}

interface Disk {
  readonly name: string
  device: string
  readonly items: Map<number, Item>
  /** Every item there ever was, under its key. */
  readonly byId: Map<string, Item>
}

interface Device {
  /** By number. */
  readonly finals: Map<number, ServerOutcome>
  /** By key. */
  readonly outcomes: Map<string, ServerOutcome>
  /** What was offered under a key, by number. More than one where copies of a disk offered other things. */
  readonly offers: Map<string, Map<number, Item[]>>
}

/** Verdicts and lines of the audit log that were committed together, or one after the other with nothing in between. */
export interface Commit {
  readonly outcomes: readonly ServerOutcome[]
  /** In order of `n`. */
  readonly lines: readonly ServerAudit[]
}

/**
 * What outboxes held, what travelled and what the server said of it, as far as a run has been observed. The lines and
 * verdicts of one transaction may be observed in any order; `onCommit` gets them together, before whatever comes next.
 */
export class RunBook {
  readonly #disks = new Map<string, Disk>()
  readonly #devices = new Map<string, Device>()
  readonly #writes = new Map<string, Write>()
  /** By key: verdicts that stand for it, by themselves or as part of a fold, under whatever name of a copied disk. */
  readonly #verdicts = new Map<string, Set<ServerOutcome>>()
  readonly #onCommit: ((commit: Commit) => void) | undefined
  #outcomes: ServerOutcome[] = []
  #lines: ServerAudit[] = []

  constructor(onCommit?: (commit: Commit) => void) {
    this.#onCommit = onCommit
  }

  /** Takes the next observation. Returns the item it is about, also when it has just left. */
  observe(o: Observation): Item | undefined {
    if (o.kind === 'outcome') return this.#rule(o)
    if (o.kind === 'escrow-ruled') return this.#acceptFromEscrow(o)
    if (o.kind === 'audit') {
      if (this.#onCommit) this.#lines.push(o)
      return undefined
    }
    if (this.#outcomes.length > 0 || this.#lines.length > 0) this.#flush()
    switch (o.kind) {
      case 'entry-written':
        return this.#put(this.#disk(o.disk, o.device), o)
      case 'entry-moved':
        return this.#move(o)
      case 'entry-status':
        return this.#changeStatus(o)
      case 'entry-payload': {
        const item = this.#disk(o.disk, o.device).items.get(o.seq)
        if (item) item.payload = o.payload
        return item
      }
      case 'entry-gone': {
        const disk = this.#disk(o.disk, o.device)
        const item = disk.items.get(o.seq)
        disk.items.delete(o.seq)
        return item
      }
      case 'identity':
        this.#disk(o.disk, o.device)
        return undefined
      case 'device-lost': {
        const disk = this.#disk(o.disk)
        for (const { seq } of o.entries) disk.items.delete(seq)
        for (const entry of o.back) this.#put(this.#disk(o.disk, entry.device), entry)
        return undefined
      }
      case 'device-copied':
        for (const entry of o.entries) this.#put(this.#disk(o.to, entry.device), entry, this.#disk(o.disk))
        return undefined
      case 'server-restored':
        for (const outcome of o.forgotten) this.#forget(outcome)
        for (const { device, id } of o.unruled ?? [])
          this.#replace(device, id, { status: 'rejected', version: null, code: 'ESCROWED' })
        return undefined
      default:
        return undefined
    }
  }

  /** The item a disk has, or had, under a key. */
  itemOf(disk: string, id: string): Item | undefined {
    return this.#disks.get(disk)?.byId.get(id)
  }

  /** UUID under which a disk speaks. */
  deviceOf(disk: string): string {
    return this.#disks.get(disk)?.device ?? ''
  }

  /** What the outbox of a disk holds, by number. */
  itemsOn(disk: string): ReadonlyMap<number, Item> {
    return this.#disks.get(disk)?.items ?? new Map()
  }

  /** The final verdict the server has now on what a device sent under this key. */
  outcomeOf(device: string, id: string): ServerOutcome | undefined {
    return this.#devices.get(device)?.outcomes.get(id)
  }

  /** The final verdict the server has now that stands for an item, by itself or as part of a fold. */
  outcomeFor(item: Item): ServerOutcome | undefined {
    const name = item.offeredBy ?? this.#disks.get(item.disk)?.device
    const device = name === undefined ? undefined : this.#devices.get(name)
    const outcome = device?.finals.get(item.seq)
    const travelled = outcome && device?.offers.get(outcome.id)?.get(item.seq)
    if (travelled?.some(({ id }) => id === item.id)) return outcome
    // Another copy of the disk sent it under the number, and perhaps the name, that it had there.
    const [elsewhere] = this.#verdicts.get(item.id) ?? []
    return device?.outcomes.get(item.id) ?? elsewhere
  }

  /**
   * What a verdict stands for, in the order written; undefined when that cannot be told: nobody was seen offering it, or
   * copies of a disk offered different things under the same key.
   */
  membersOf({ device, id, seq, covers }: ServerOutcome): readonly Item[] | undefined {
    const offer = this.#devices.get(device)?.offers.get(id)
    const members: Item[] = []
    let isClear = offer !== undefined
    eachCovered(covers, (number) => {
      // The lead has its own number; under others it is what another copy offered.
      const said = (offer?.get(number) ?? []).filter((each) => (each.id === id) === (number === seq))
      const item = said.at(-1)
      if (
        item &&
        said.every((each) => each.id === item.id && sameValue({ ...each.payload }, { ...item.payload }))
      )
        members.push(item)
      else isClear = false
    })
    return isClear ? members : undefined
  }

  #disk(name: string, device?: string): Disk {
    let disk = this.#disks.get(name)
    if (!disk) {
      disk = { name, device: device ?? '', items: new Map(), byId: new Map() }
      this.#disks.set(name, disk)
    }
    if (device !== undefined) disk.device = device
    return disk
  }

  #device(name: string): Device {
    let device = this.#devices.get(name)
    if (!device) {
      device = { finals: new Map(), outcomes: new Map(), offers: new Map() }
      this.#devices.set(name, device)
    }
    return device
  }

  #put(disk: Disk, entry: EntryWritten, from: Disk = disk): Item {
    const { id, seq, payload } = entry
    const before = from.byId.get(id)
    let write = this.#writes.get(id)
    if (!write) {
      write = { first: entry }
      this.#writes.set(id, write)
    }
    const item: Item = {
      write,
      disk: disk.name,
      id,
      seq,
      payload,
      status: 'pending',
      code: null,
      offeredBy: null,
      offeredBefore: before?.offeredBy ?? before?.offeredBefore ?? null,
    }
    disk.items.set(seq, item)
    disk.byId.set(id, item)
    return item
  }

  #move({ disk: name, device, from, to }: EntryMoved): Item | undefined {
    const disk = this.#disk(name, device)
    const old = disk.items.get(from.seq) ?? disk.byId.get(from.id)
    if (!old) return undefined
    if (disk.items.get(from.seq) === old) disk.items.delete(from.seq)
    if (to.id === from.id) {
      old.seq = to.seq
      disk.items.set(to.seq, old)
      return old
    }
    let { write } = old
    // A person who tries again what was refused means it once more, on each copy of a disk where they do.
    if (old.status === 'dead') write = { first: write.first }
    this.#writes.set(to.id, write)
    const item: Item = {
      ...old,
      write,
      id: to.id,
      seq: to.seq,
      status: 'pending',
      code: null,
      offeredBy: null,
      offeredBefore: null,
    }
    disk.items.set(to.seq, item)
    disk.byId.set(to.id, item)
    return item
  }

  #changeStatus({ disk: name, device, seq, id, status, code, offer }: EntryStatus): Item | undefined {
    const disk = this.#disk(name, device)
    const item = disk.items.get(seq)
    if (item?.id !== id) return undefined
    item.status = status
    item.code = code
    if (status === 'answered' || status === 'conflicted') {
      // Where another copy of the disk offered it, this one learns the verdict under the name they share.
      item.offeredBy ??= offer === null ? device : item.offeredBefore
    }
    if (offer === null) return item
    const lead = offer === seq ? item : disk.items.get(offer)
    if (lead && status === 'sending') this.#travel(device, lead, item)
    return item
  }

  #travel(device: string, lead: Item, item: Item): void {
    item.offeredBy = device
    const { offers } = this.#device(device)
    let offer = offers.get(lead.id)
    if (!offer) {
      offer = new Map()
      offers.set(lead.id, offer)
    }
    // On a disk that was put back it says what it said then.
    const others = (offer.get(item.seq) ?? []).filter(({ id, disk }) => id !== item.id || disk !== item.disk)
    offer.set(item.seq, [...others, item])
  }

  #rule(outcome: ServerOutcome): undefined {
    const device = this.#device(outcome.device)
    device.outcomes.set(outcome.id, outcome)
    eachCovered(outcome.covers, (number) => {
      device.finals.set(number, outcome)
    })
    for (const key of [outcome.id, ...(this.membersOf(outcome) ?? []).map(({ id }) => id)]) {
      const verdicts = this.#verdicts.get(key) ?? new Set()
      this.#verdicts.set(key, verdicts.add(outcome))
    }
    if (this.#onCommit) this.#outcomes.push(outcome)
  }

  /** Nobody judged it when it came; what it is judged to be now is the verdict on it. */
  #acceptFromEscrow({ device, id, verdict, version }: EscrowRuled): undefined {
    if (verdict === null) return
    const outcome = this.#replace(device, id, { status: verdict, version, code: null })
    if (outcome && this.#onCommit) this.#outcomes.push(outcome)
  }

  #replace(
    name: string,
    id: string,
    ruling: Pick<ServerOutcome, 'status' | 'version' | 'code'>,
  ): ServerOutcome | undefined {
    const device = this.#device(name)
    const before = device.outcomes.get(id)
    if (!before) return undefined
    const outcome = { ...before, ...ruling }
    device.outcomes.set(id, outcome)
    for (const [number, known] of device.finals) if (known === before) device.finals.set(number, outcome)
    for (const verdicts of this.#verdicts.values()) if (verdicts.delete(before)) verdicts.add(outcome)
    return outcome
  }

  #forget(outcome: ServerOutcome): void {
    const device = this.#device(outcome.device)
    const known = device.outcomes.get(outcome.id)
    device.outcomes.delete(outcome.id)
    if (known) for (const verdicts of this.#verdicts.values()) verdicts.delete(known)
    eachCovered(outcome.covers, (number) => {
      device.finals.delete(number)
    })
  }

  #flush(): void {
    const [outcomes, lines] = [this.#outcomes, this.#lines]
    this.#outcomes = []
    this.#lines = []
    this.#onCommit?.({ outcomes, lines })
  }
}
