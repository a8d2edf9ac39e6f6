import type { Checker } from './checker.ts'
import type { CallEnded, CallMade, DeviceLost, Observation } from './observation.ts'
import { type Commit, type Item, RunBook } from './run-book.ts'

/**
 * What a call said was stored was stored before it said so, what it refused was not, and a power cut takes only what was
 * neither promised to survive one nor ever sent. Rules: SIM-35.
 */
export const durability: Checker = {
  name: 'durability',
  promise: 'What was told to be stored is stored, and what was sent was stored before.',
  start: (fail) => {
    const watch = new StorageWatch(fail)
    return (o) => watch.observe(o)
  },
}

interface Call {
  /** A discard names what it took away, which was there before. */
  readonly isDiscard: boolean
  /** Number of the first mutation that can be its own. */
  readonly from: number
  /** Mutations written on its disk while it was the only call there. */
  written: number
  /** Another call ran on the disk at the same time: who wrote what cannot be told. */
  isShared: boolean
}

class StorageWatch {
  readonly #fail: (message: string) => void
  readonly #book: RunBook
  readonly #calls = new Map<string, Map<number, Call>>()
  /** By disk and key, the how-manieth mutation it is. */
  readonly #written = new Map<string, number>()
  #count = 0
  /** Disk, number and key of whatever was offered: one that moved since may never have been under its new number. */
  readonly #sent = new Set<string>()
  /** What a power cut took, by key. */
  readonly #lost = new Map<string, Item>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    const before = o.kind === 'device-lost' ? this.#lostItems(o) : []
    this.#book.observe(o)
    switch (o.kind) {
      case 'call':
        this.#begin(o)
        return
      case 'entry-written': {
        // What a history has lost comes back by itself, and is no write of anybody.
        const isBack = this.#written.has(`${o.disk} ${o.id}`)
        this.#write(o.disk, o.id)
        if (!isBack) for (const call of this.#callsOn(o.disk).values()) call.written += 1
        return
      }
      case 'entry-moved':
        this.#write(o.disk, o.to.id)
        return
      case 'entry-status':
        if (o.status === 'sending') this.#sent.add(`${o.disk} ${o.seq} ${o.id}`)
        return
      case 'call-ended':
        this.#end(o)
        return
      case 'device-copied':
        for (const { id } of o.entries) this.#write(o.to, id)
        return
      case 'device-lost':
        for (const { id } of o.back) this.#write(o.disk, id)
        // Calls of a process that is gone never end.
        this.#calls.delete(o.disk)
        this.#lose(o, before)
        return
      default:
        return
    }
  }

  #callsOn(disk: string): Map<number, Call> {
    let calls = this.#calls.get(disk)
    if (!calls) {
      calls = new Map()
      this.#calls.set(disk, calls)
    }
    return calls
  }

  #begin({ disk, call, what }: CallMade): void {
    const calls = this.#callsOn(disk)
    const isShared = calls.size > 0
    if (isShared) for (const other of calls.values()) other.isShared = true
    calls.set(call, { isDiscard: what.includes('discard'), from: this.#count, written: 0, isShared })
  }

  #write(disk: string, id: string): void {
    this.#written.set(`${disk} ${id}`, this.#count)
    this.#count += 1
  }

  #end({ disk, call, result, code, mutations }: CallEnded): void {
    const calls = this.#callsOn(disk)
    const known = calls.get(call)
    calls.delete(call)
    for (const id of mutations) {
      const number = this.#written.get(`${disk} ${id}`)
      if (result === 'refused') {
        if (number !== undefined) this.#fail(`call ${call} on ${disk} was refused (${code}) but wrote ${id}`)
      } else if (number === undefined) {
        this.#fail(`call ${call} on ${disk} said that ${id} was stored, but it was not`)
      } else if (known && !known.isDiscard && number < known.from) {
        this.#fail(`call ${call} on ${disk} said that it stored ${id}, which was there before`)
      }
    }
    if (result === 'refused' && known && !known.isShared && known.written > 0) {
      this.#fail(
        `call ${call} on ${disk} was refused (${code}), but ${known.written} mutations were written meanwhile`,
      )
    }
  }

  /** What only lost its new place, and was never offered there, is back where it was. */
  #lostItems({ disk, entries, back }: DeviceLost): readonly Item[] {
    const isBack = ({ seq, id }: DeviceLost['entries'][number]): boolean =>
      back.some((entry) => entry.id === id) && !this.#sent.has(`${disk} ${seq} ${id}`)
    return entries.flatMap((entry) => (isBack(entry) ? [] : (this.#book.itemOf(disk, entry.id) ?? [])))
  }

  #lose({ disk, cause, durability: promised, entries }: DeviceLost, items: readonly Item[]): void {
    if (cause !== 'power-cut') return
    if (promised === 'full' && entries.length > 0) {
      this.#fail(
        `a power cut took ${entries.length} mutations of ${disk} that were promised to survive one: ${entries[0]?.id}`,
      )
    }
    for (const item of items) {
      if (item.offeredBy === null) {
        this.#lost.set(item.id, item)
        continue
      }
      if (this.#book.outcomeFor(item)) this.#accuse(item)
      else this.#lost.set(item.id, item)
    }
  }

  #commit({ outcomes }: Commit): void {
    if (this.#lost.size === 0) return
    for (const outcome of outcomes) {
      for (const member of this.#book.membersOf(outcome) ?? []) {
        const item = this.#lost.get(member.id)
        if (item === member) this.#accuse(item)
      }
    }
  }

  #accuse({ disk, id, seq }: Item): void {
    this.#lost.delete(id)
    this.#fail(
      `a power cut took ${id} (number ${seq}) of ${disk}, which the server has: it was sent before it was safe`,
    )
  }
}
