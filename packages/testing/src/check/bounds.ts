import type { Checker } from './checker.ts'
import {
  type DeviceCopied,
  type EntryStatus,
  type EntryWritten,
  type Observation,
  runStartMs,
} from './observation.ts'

/** Attempts that may count against one mutation. */
const attemptsMax = 20

/**
 * Requests a device may send within `hammerMs` while nothing comes of them and nobody asks for anything. A wait that
 * doubles from half a second to fifteen minutes makes a dozen, a network that is looked for every ten seconds thirty;
 * pages of a long pull, batches that are halved and streams that are opened again are given the rest.
 */
const requestsMax = 300
const hammerMs = 300_000

/** An edit may be dated this much later than the server's clock says, ms. */
const futureMs = 300_000

/** Nothing grows without bound, and nobody hammers a server that does not help. Rules: SIM-85. */
export const bounds: Checker = {
  name: 'bounds',
  promise: 'Everything that is measured stays within its limit, and so do attempts and requests.',
  start: (fail) => {
    const watch = new LimitWatch(fail)
    return (o) => watch.observe(o)
  },
}

/** Requests of a device since something last came of one. */
interface Knocking {
  sinceMs: number
  count: number
}

class LimitWatch {
  readonly #fail: (message: string) => void
  readonly #knocking = new Map<string, Knocking>()
  readonly #written = new Set<string>()
  #isRestored = false
  /** What was settled and is written once more, for a server that was put back: it may wait for what others return. */
  readonly #returned = new Set<string>()
  /** What is in the outbox of each disk. */
  readonly #open = new Map<string, Set<string>>()
  /** Disks that have not pulled since the server was put back: what they hold by then may stand on what others return. */
  readonly #unaware = new Set<string>()
  /** Offers with such a mutation among theirs. */
  readonly #returnedOffers = new Set<string>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    switch (o.kind) {
      case 'measured':
        if (o.value > o.limit) this.#fail(`${o.what} is ${o.value}, over its limit of ${o.limit}`)
        return
      case 'entry-status':
        if (o.offer !== null && this.#returned.has(`${o.disk} ${o.id}`))
          this.#returnedOffers.add(`${o.disk} ${o.offer}`)
        if (o.attempts > attemptsMax && !this.#waitsForOthers(o))
          this.#fail(`${o.id} on ${o.disk} was tried ${o.attempts} times`)
        if (o.code === 'ATTEMPTS_EXHAUSTED' && o.attempts < attemptsMax)
          this.#fail(`${o.id} on ${o.disk} was given up after ${o.attempts} attempts`)
        if (o.status !== 'sending' && o.status !== 'pending') this.#knocking.delete(o.disk)
        return
      case 'audit':
        if (o.at > new Date(runStartMs + o.atMs + futureMs).toISOString()) {
          this.#fail(`line ${o.n} is dated ${o.at}, more than ${futureMs} ms ahead of the server`)
        }
        return
      case 'request':
        this.#knock(o.disk, o.atMs)
        return
      case 'server-restored':
        this.#isRestored = true
        for (const disk of this.#open.keys()) this.#unaware.add(disk)
        return
      case 'device-copied':
        this.#copy(o)
        return
      case 'entry-written':
        this.#write(o)
        return
      case 'entry-moved':
        if (this.#returned.has(`${o.disk} ${o.from.id}`)) this.#returned.add(`${o.disk} ${o.to.id}`)
        this.#openOn(o.disk).delete(o.from.id)
        this.#openOn(o.disk).add(o.to.id)
        this.#knocking.delete(o.disk)
        return
      case 'entry-gone':
        this.#openOn(o.disk).delete(o.id)
        this.#knocking.delete(o.disk)
        return
      case 'cursor':
        if (this.#unaware.delete(o.disk))
          for (const id of this.#openOn(o.disk)) this.#returned.add(`${o.disk} ${id}`)
        this.#knocking.delete(o.disk)
        return
      // Something came of it, or somebody wants something.
      case 'identity':
      case 'device-lost':
      case 'call':
        this.#knocking.delete(o.disk)
        return
      default:
        return
    }
  }

  #write({ disk, id }: EntryWritten): void {
    const entry = `${disk} ${id}`
    if (this.#isRestored && this.#written.has(entry)) this.#returned.add(entry)
    this.#written.add(entry)
    this.#openOn(disk).add(id)
    this.#knocking.delete(disk)
  }

  /** A copy waits for what the other one waits for. */
  #copy({ disk, to, entries }: DeviceCopied): void {
    if (this.#unaware.has(disk)) this.#unaware.add(to)
    for (const { id } of entries) {
      this.#written.add(`${to} ${id}`)
      this.#openOn(to).add(id)
      if (this.#returned.has(`${disk} ${id}`)) this.#returned.add(`${to} ${id}`)
    }
  }

  #openOn(disk: string): Set<string> {
    const open = this.#open.get(disk) ?? new Set()
    this.#open.set(disk, open)
    return open
  }

  /** What goes with something that was returned waits with it. */
  #waitsForOthers({ disk, id, offer }: EntryStatus): boolean {
    return this.#returned.has(`${disk} ${id}`) || this.#returnedOffers.has(`${disk} ${offer}`)
  }

  #knock(disk: string, atMs: number): void {
    const known = this.#knocking.get(disk)
    if (!known || atMs - known.sinceMs > hammerMs) {
      this.#knocking.set(disk, { sinceMs: atMs, count: 1 })
      return
    }
    known.count += 1
    if (known.count === requestsMax + 1) {
      this.#fail(
        `${disk} sent ${known.count} requests in ${atMs - known.sinceMs} ms although nothing came of them`,
      )
    }
  }
}
