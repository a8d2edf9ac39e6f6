import type { Checker } from './checker.ts'
import type {
  DeviceDump,
  EntryPayload,
  Observation,
  RunEnded,
  ServerDump,
  ServerOutcome,
  ServerRestored,
} from './observation.ts'
import { type Item, RunBook } from './run-book.ts'

/** What left without a reason is asked about after this, virtual ms: a discard may be told once the call returns. */
const tellMs = 60_000

/** What was decided in escrow is kept at least so long, virtual ms. */
const escrowKeptMs = 30 * 86_400_000

interface Departure {
  readonly item: Item
  /** What the server had said of it by then. */
  readonly verdict: ServerOutcome['status'] | undefined
  readonly atMs: number
}

/**
 * Every mutation that was committed is in an outbox, or the server ruled on it, or a person gave it up, or an injected
 * fault took it. Rules: SIM-30.
 */
export const noLostMutation: Checker = {
  name: 'no-lost-mutation',
  promise: 'No mutation that was committed on a device ends without a trace.',
  start: (fail) => {
    const watch = new DepartureWatch(fail)
    return (o) => watch.observe(o)
  },
}

class DepartureWatch {
  readonly #fail: (message: string) => void
  readonly #book = new RunBook()
  /** Those that left and nobody knows why yet. */
  #open: Departure[] = []
  /** By disk and record, the first number of a create that left as a dead letter. */
  readonly #deadCreates = new Map<string, number>()
  /** By disk, what a person gave up. */
  readonly #givenUp = new Map<string, Set<string>>()
  /** By device and key, what the server says to have in escrow. */
  readonly #escrowed = new Set<string>()
  /** When that was decided, virtual ms. */
  readonly #ruledAtMs = new Map<string, number>()
  /** Verdicts that can close a conflict, so far. */
  #settlements = 0
  readonly #settlementsBefore = new Map<string, number>()
  /** By disk, when it last asked the server for something. */
  readonly #askedAtMs = new Map<string, number>()
  /** When the server last forgot that it had ruled on a mutation, by disk and key. */
  readonly #forgottenAtMs = new Map<string, number>()
  /** Where a form is being saved, by disk and record. */
  readonly #inForms = new Set<string>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    const first = this.#open[0]
    if (first && o.atMs > first.atMs + tellMs) this.#judge()
    if (o.kind === 'server-restored') this.#noteForgotten(o)
    if (o.kind === 'entry-payload') this.#checkRepair(o)
    const item = this.#book.observe(o)
    switch (o.kind) {
      case 'entry-gone':
        if (item) this.#leave(item, o.atMs)
        else this.#fail(`${o.disk} forgot ${o.id}, which it was never seen writing`)
        return
      case 'request':
        if (o.route !== 'stream') this.#askedAtMs.set(o.disk, o.atMs)
        return
      case 'outcome':
        if (o.code === 'ESCROWED') this.#escrowed.add(`${o.device} ${o.id}`)
        if (o.status === 'conflict') this.#settlementsBefore.set(o.id, this.#settlements)
        this.#settlements += Number(this.#isSettlement(o.device, o.id))
        return
      case 'escrow-ruled':
        this.#ruledAtMs.set(`${o.device} ${o.id}`, o.atMs)
        return
      case 'discarded': {
        const given = this.#givenUp.get(o.disk) ?? new Set()
        for (const id of o.mutations) given.add(id)
        this.#givenUp.set(o.disk, given)
        return
      }
      case 'form':
        if (o.record !== null && o.step === 'saving') this.#inForms.add(`${o.disk} ${o.record}`)
        if (o.record !== null && o.step === 'saved') this.#inForms.delete(`${o.disk} ${o.record}`)
        return
      case 'end':
        this.#judge()
        this.#end(o)
        return
      default:
        return
    }
  }

  /**
   * Whoever gives a refused mutation other values says nothing of what it counted and added elsewhere. Who saves a form may
   * take back all that it did to a field.
   */
  #checkRepair({ disk, seq, id, payload }: EntryPayload): void {
    const item = this.#book.itemsOn(disk).get(seq)
    if (item?.status !== 'dead') return
    const { collection, record } = item.write.first
    if (this.#inForms.has(`${disk} ${collection}/${record}`)) return
    const { increments, additions, removals } = item.payload
    const { changes } = payload
    const isLost = (field: string): boolean =>
      [changes, payload.increments, payload.additions, payload.removals].every(
        (part) => !Object.hasOwn(part, field),
      )
    for (const field of Object.keys({ ...increments, ...additions, ...removals })) {
      if (isLost(field)) this.#fail(`${id} was repaired on ${disk} and lost what it did to ${field}`)
    }
  }

  /** What went to escrow is there, and once all is quiet an operator has decided about it. */
  #checkEscrow({ escrow = [] }: ServerDump, isQuiet: boolean, atMs: number): void {
    const known = new Map(escrow.map((edit) => [`${edit.device} ${edit.id}`, edit]))
    for (const key of this.#escrowed) {
      const isOver = atMs - (this.#ruledAtMs.get(key) ?? atMs) > escrowKeptMs
      if (!known.has(key) && !isOver)
        this.#fail(`${key} went to escrow, and the server does not have it there`)
    }
    for (const { id, status } of isQuiet ? escrow : [])
      if (status === 'waiting') this.#fail(`${id} still waits in escrow although everything is quiet`)
  }

  #isSettlement(device: string, id: string): boolean {
    const outcome = this.#book.outcomeOf(device, id)
    if (!outcome || outcome.status === 'rejected') return false
    return this.#book.membersOf(outcome)?.some(({ write }) => write.first.resolves !== null) ?? true
  }

  #leave(item: Item, atMs: number): void {
    if (item.status === 'dead' && item.write.first.op === 'create') {
      const first = this.#deadCreates.get(recordOf(item)) ?? item.seq
      this.#deadCreates.set(recordOf(item), Math.min(first, item.seq))
    }
    const outcome = this.#book.outcomeFor(item)
    // An operator may have decided about it before its author heard that it went to escrow.
    if (item.code === 'ESCROWED' && this.#isEscrowed(item.id)) return
    if (outcome?.status === 'applied' || outcome?.status === 'merged' || outcome?.code === 'ESCROWED') return
    if (outcome?.status === 'conflict') {
      // A conflict that was settled before its author heard of it is listed as settled from the beginning.
      const before = this.#settlementsBefore.get(outcome.id) ?? 0
      if (item.status === 'conflicted' || this.#settlements > before) return
    }
    if (!outcome && this.#wasRuledOn(item)) return
    this.#open.push({ item, verdict: outcome?.status, atMs })
  }

  /** Whether it lies there, or lay there; another copy of the disk may have offered it, as another device. */
  #isEscrowed(id: string): boolean {
    return [...this.#escrowed].some((key) => key.endsWith(` ${id}`))
  }

  #noteForgotten({ atMs, forgotten }: ServerRestored): void {
    for (const outcome of forgotten) {
      this.#escrowed.delete(`${outcome.device} ${outcome.id}`)
      if (outcome.status === 'rejected' && outcome.code !== 'ESCROWED') continue
      for (const { disk, id } of this.#book.membersOf(outcome) ?? [])
        this.#forgottenAtMs.set(`${disk} ${id}`, atMs)
    }
  }

  /** What it goes by was said before the server was put back: it has asked for nothing since. */
  #wasRuledOn({ disk, id }: Item): boolean {
    const forgottenAtMs = this.#forgottenAtMs.get(`${disk} ${id}`)
    return forgottenAtMs !== undefined && (this.#askedAtMs.get(disk) ?? 0) <= forgottenAtMs
  }

  #judge(): void {
    const open = this.#open.filter((departure) => !this.#isGivenUp(departure.item))
    this.#open = []
    for (const departure of open) this.#report(departure)
  }

  /** A person may give up what is dead, and with a create goes what stands on it. */
  #isGivenUp(item: Item): boolean {
    if (this.#givenUp.get(item.disk)?.has(item.id) !== true) return false
    if (item.status === 'dead') return true
    const create = this.#deadCreates.get(recordOf(item))
    return create !== undefined && create < item.seq
  }

  #report({ item, verdict }: Departure): void {
    const why = verdict === undefined ? 'the server never ruled on it' : `it was not settled: ${verdict}`
    const { collection, record, op } = item.write.first
    this.#fail(
      `${item.disk} forgot ${item.id} (number ${item.seq}, ${op} of ${collection}/${record}), ${item.status} by then; ${why}`,
    )
  }

  #end({ devices, quietAtMs, server, atMs }: RunEnded): void {
    this.#checkEscrow(server, quietAtMs !== null, atMs)
    for (const dump of devices) {
      const shown = new Map(dump.outbox.map((entry) => [entry.seq, entry.id]))
      for (const item of this.#book.itemsOn(dump.disk).values()) {
        if (shown.get(item.seq) !== item.id) {
          this.#fail(
            `${item.id} (number ${item.seq}) is not in the outbox of ${dump.disk}, and nobody saw it leave`,
          )
        }
      }
      if (quietAtMs !== null) for (const message of leftOver(dump)) this.#fail(message)
    }
  }
}

/** A record as one disk has it. */
function recordOf({ disk, write }: Item): string {
  return `${disk} ${write.first.record}`
}

/** What should have gone by now: neither waiting for a person nor behind something that does. */
function leftOver({ disk, outbox }: DeviceDump): readonly string[] {
  const stuckRecords = new Set<string>()
  const stuckGroups = new Set<string>()
  let open = outbox
  for (let before = -1; before !== open.length; ) {
    before = open.length
    open = open.filter((entry) => {
      const { status, record, group, payload } = entry
      const isStuck =
        status === 'dead' ||
        status === 'conflicted' ||
        status === 'held' ||
        (status === 'pending' &&
          (stuckRecords.has(record) ||
            (group !== null && stuckGroups.has(group)) ||
            Object.values(payload.changes).some(
              (value) => typeof value === 'string' && stuckRecords.has(value),
            )))
      if (!isStuck) return true
      stuckRecords.add(record)
      if (group !== null) stuckGroups.add(group)
      return false
    })
  }
  return open.map(
    ({ id, seq, status }) =>
      `${disk} still has ${id} (number ${seq}) as ${status} although everything is quiet`,
  )
}
