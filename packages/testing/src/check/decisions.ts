import type { Checker } from './checker.ts'
import type { EntryWritten, Observation, Payload, RunEnded, ServerAudit } from './observation.ts'
import { type Commit, type Item, RunBook } from './run-book.ts'
import { sameValue } from './same-value.ts'
import type { SchemaFacts } from './schema-facts.ts'

/**
 * Who keeps theirs writes nothing over what is in dispute, whenever they decide: right after the answer, or after the
 * next pull. What the author counted in the same edit only waited, and is written. Only conflicts over the fields of one
 * record are looked at; where there are several, a field may be in dispute in one and wait in the other. Rules: SIM-91.
 */
export function decisions(facts: SchemaFacts): Checker {
  return {
    name: 'decisions',
    promise: 'Keeping theirs keeps theirs, and nothing else.',
    start: (fail) => {
      const watch = new DecisionWatch(fail, facts)
      return (o) => watch.observe(o)
    },
  }
}

/** What was written to keep theirs, as it was then: a person may repair it later. */
interface Kept {
  readonly id: string
  readonly disk: string
  readonly write: EntryWritten
  readonly payload: Payload
}

class DecisionWatch {
  readonly #fail: (message: string) => void
  readonly #facts: SchemaFacts
  readonly #book: RunBook
  /** Calls under way that keep theirs. */
  readonly #calls = new Set<number>()
  readonly #kept: Kept[] = []
  /** By key, what went as a mutation that met a conflict. */
  readonly #disputed = new Map<string, readonly Item[]>()
  /** Records that were gone, or moved out of sight, at some time: what waited for them may have nowhere to go. */
  readonly #strayed = new Set<string>()
  #areGrantsSettled = true

  constructor(fail: (message: string) => void, facts: SchemaFacts) {
    this.#fail = fail
    this.#facts = facts
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    switch (o.kind) {
      case 'call':
        if (o.what === 'settle theirs') this.#calls.add(o.call)
        return
      case 'call-ended':
        if (this.#calls.delete(o.call))
          for (const id of o.mutations) this.#keep(this.#book.itemOf(o.disk, id))
        return
      case 'audit':
        if (o.op === 'delete' || this.#isMoved(o)) this.#strayed.add(`${o.collection}/${o.record}`)
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

  #isMoved({ collection, before }: ServerAudit): boolean {
    const fields = this.#facts[collection]?.scopes?.flatMap((scope) => scope.fields) ?? []
    return before !== null && fields.some((field) => Object.hasOwn(before, field))
  }

  #keep(item: Item | undefined): void {
    if (item?.write.first.resolves == null) return
    const { id, disk, write, payload } = item
    this.#kept.push({ id, disk, write: write.first, payload })
  }

  #commit({ outcomes }: Commit): void {
    for (const outcome of outcomes)
      if (outcome.status === 'conflict') this.#disputed.set(outcome.id, this.#book.membersOf(outcome) ?? [])
  }

  #end({ server }: RunEnded): void {
    const conflicts = new Map(server.conflicts.map((conflict) => [conflict.id, conflict]))
    for (const { id, disk, write, payload } of this.#kept) {
      const { collection, record, op, resolves } = write
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

  /** What a mutation that met a conflict counts, with all that went folded into it; nothing where that cannot be told. */
  #countedBy(mutation: string): readonly string[] {
    const members = this.#disputed.get(mutation) ?? []
    if (members.some(({ write }) => write.first.op !== 'update')) return []
    const sums = new Map<string, number>()
    for (const [field, amount] of members.flatMap(({ payload }) => Object.entries(payload.increments)))
      sums.set(field, (sums.get(field) ?? 0) + amount)
    return [...sums].flatMap(([field, sum]) => (sum === 0 ? [] : [field]))
  }
}

/** A field that merges with others goes along as it stands. */
function writes({ changes, base, increments, additions, removals }: Payload, field: string): boolean {
  const isChanged = Object.hasOwn(changes, field) && !sameValue(changes[field], base?.[field])
  return isChanged || [increments, additions, removals].some((words) => Object.hasOwn(words, field))
}
