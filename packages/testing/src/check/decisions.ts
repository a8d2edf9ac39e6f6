import type { Checker } from './checker.ts'
import type { EntryWritten, Observation, Payload, RunEnded } from './observation.ts'
import { sameValue } from './same-value.ts'

/**
 * Who keeps theirs writes nothing over what is in dispute, whenever they decide: right after the answer, or after the
 * next pull. Only conflicts over the fields of one record are looked at; where there are several, a field may be in
 * dispute in one and wait in the other. Rules: SIM-91.
 */
export const decisions: Checker = {
  name: 'decisions',
  promise: 'Keeping theirs keeps theirs.',
  start: (fail) => {
    const watch = new DecisionWatch(fail)
    return (o) => watch.observe(o)
  },
}

class DecisionWatch {
  readonly #fail: (message: string) => void
  readonly #written = new Map<string, EntryWritten>()
  /** Calls under way that keep theirs. */
  readonly #calls = new Set<number>()
  readonly #kept: EntryWritten[] = []

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    if (o.kind === 'entry-written' && o.resolves !== null) this.#written.set(o.id, o)
    else if (o.kind === 'call' && o.what === 'settle theirs') this.#calls.add(o.call)
    else if (o.kind === 'call-ended' && this.#calls.delete(o.call))
      this.#kept.push(...o.mutations.flatMap((id) => this.#written.get(id) ?? []))
    else if (o.kind === 'end') this.#end(o)
  }

  #end({ server }: RunEnded): void {
    const conflicts = new Map(server.conflicts.map((conflict) => [conflict.id, conflict]))
    for (const { id, disk, collection, record, op, resolves, payload } of this.#kept) {
      const conflict = conflicts.get(resolves ?? '')
      // The server may have been put back to before it.
      if (conflict?.reason !== 'fields' || conflict.records?.length !== 1 || op !== 'update') continue
      const taken = (conflict.fields ?? []).filter((field) => writes(payload, field))
      if (taken.length === 0) continue
      this.#fail(
        `${id} on ${disk} keeps theirs of ${collection}/${record} in conflict ${resolves}, and writes ${taken.join(', ')}`,
      )
    }
  }
}

/** A field that merges with others goes along as it stands. */
function writes({ changes, base, increments, additions, removals }: Payload, field: string): boolean {
  const isChanged = Object.hasOwn(changes, field) && !sameValue(changes[field], base?.[field])
  return isChanged || [increments, additions, removals].some((words) => Object.hasOwn(words, field))
}
