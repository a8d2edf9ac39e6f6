import type { Checker } from './checker.ts'
import type { EntryWritten, Observation, Payload, RunEnded, ServerOutcome } from './observation.ts'
import { eachCovered } from './covered-numbers.ts'
import { sameValue } from './same-value.ts'

/**
 * Who keeps theirs writes nothing over what is in dispute, whenever they decide: right after the answer, or after the
 * next pull. What the author counted in the same edit only waited, and is written. Only conflicts over the fields of one
 * record are looked at; where there are several, a field may be in dispute in one and wait in the other. Rules: SIM-91.
 */
export const decisions: Checker = {
  name: 'decisions',
  promise: 'Keeping theirs keeps theirs, and nothing else.',
  start: (fail) => {
    const watch = new DecisionWatch(fail)
    return (o) => watch.observe(o)
  },
}

class DecisionWatch {
  readonly #fail: (message: string) => void
  /** By key, what each mutation said last. */
  readonly #said = new Map<string, EntryWritten>()
  /** Calls under way that keep theirs. */
  readonly #calls = new Set<number>()
  readonly #kept: EntryWritten[] = []
  /** By device and number, the keys under which mutations travelled there; several where a disk was copied. */
  readonly #travelled = new Map<string, Set<string>>()
  /** By key, what met a conflict. */
  readonly #disputed = new Map<string, ServerOutcome>()
  /** Records that were gone, or moved out of sight, at some time: what waited for them may have nowhere to go. */
  readonly #strayed = new Set<string>()
  #areGrantsSettled = true

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    switch (o.kind) {
      case 'entry-written':
        this.#said.set(o.id, o)
        return
      case 'entry-payload': {
        const entry = this.#said.get(o.id)
        if (entry) this.#said.set(o.id, { ...entry, payload: o.payload })
        return
      }
      case 'call':
        if (o.what === 'settle theirs') this.#calls.add(o.call)
        return
      case 'call-ended':
        if (this.#calls.delete(o.call))
          this.#kept.push(...o.mutations.flatMap((id) => this.#said.get(id) ?? []))
        return
      case 'outcome':
        if (o.status === 'conflict') this.#disputed.set(o.id, o)
        return
      case 'entry-status':
        if (o.status === 'sending') this.#travels(`${o.device} ${o.seq}`, o.id)
        return
      case 'audit':
        if (o.op === 'delete' || (o.before !== null && Object.hasOwn(o.before, 'site')))
          this.#strayed.add(`${o.collection}/${o.record}`)
        return
      case 'grants':
        if (o.atMs > 0) this.#areGrantsSettled = false
        return
      case 'end':
        this.#end(o)
        return
      default:
    }
  }

  #end({ server }: RunEnded): void {
    const conflicts = new Map(server.conflicts.map((conflict) => [conflict.id, conflict]))
    for (const { id, disk, collection, record, op, resolves, payload } of this.#kept) {
      const conflict = conflicts.get(resolves ?? '')
      // The server may have been put back to before it.
      if (conflict?.reason !== 'fields' || conflict.records?.length !== 1 || op !== 'update') continue
      const { fields = [] } = conflict
      const taken = fields.filter((field) => writes(payload, field))
      const about = `${id} on ${disk} keeps theirs of ${collection}/${record} in conflict ${resolves}`
      if (taken.length > 0) this.#fail(`${about}, and writes ${taken.join(', ')}`)
      const counted = this.#countedBy(conflict.mutation).filter((field) => !fields.includes(field))
      const dropped = counted.filter((field) => !Object.hasOwn(payload.increments, field))
      if (dropped.length > 0 && this.#areGrantsSettled && !this.#strayed.has(`${collection}/${record}`))
        this.#fail(`${about}, and drops what was counted of ${dropped.join(', ')}`)
    }
  }

  #travels(place: string, id: string): void {
    this.#travelled.set(place, (this.#travelled.get(place) ?? new Set()).add(id))
  }

  /** What a mutation that met a conflict counts, with all that went folded into it; nothing where that cannot be told. */
  #countedBy(mutation: string): readonly string[] {
    const outcome = this.#disputed.get(mutation)
    if (outcome === undefined) return []
    const sums = new Map<string, number>()
    let isClear = true
    eachCovered(outcome.covers, (number) => {
      const [id, ...others] = this.#travelled.get(`${outcome.device} ${number}`) ?? []
      const entry = this.#said.get(id ?? '')
      if (entry?.op !== 'update' || others.length > 0) isClear = false
      else
        for (const [field, amount] of Object.entries(entry.payload.increments))
          sums.set(field, (sums.get(field) ?? 0) + amount)
    })
    return isClear ? [...sums].flatMap(([field, sum]) => (sum === 0 ? [] : [field])) : []
  }
}

/** A field that merges with others goes along as it stands. */
function writes({ changes, base, increments, additions, removals }: Payload, field: string): boolean {
  const isChanged = Object.hasOwn(changes, field) && !sameValue(changes[field], base?.[field])
  return isChanged || [increments, additions, removals].some((words) => Object.hasOwn(words, field))
}
