import type { Json, Observation, Values } from '../check/observation.ts'
import { sameValue, show } from '../check/same-value.ts'

/** A write or a verdict, without the numbers that each database gives in its own way, and a verdict without its times. */
interface Told {
  /** The mutation a server decided on; undefined: somebody wrote. */
  readonly decided: string | null | undefined
  readonly facts: Json
}

/**
 * What people wrote and what the server decided, in order. Two runs of one plan tell the same until the order of
 * rows in a page, which nobody promised, has somebody pick another record or another moment; from there on they are two
 * stories. What must not be is that the servers decide otherwise on one mutation after the same story. Rules: SIM-98.
 */
export class Story {
  readonly #told: Told[] = []

  readonly observe = (o: Observation): void => {
    if (o.kind === 'entry-written') {
      const { disk, seq, id, collection, record, op, payload, at, group } = o
      this.#told.push({
        decided: undefined,
        facts: [disk, seq, id, collection, record, op, { ...payload }, at, group],
      })
    } else if (o.kind === 'outcome') {
      const { device, seq, covers, id, status, code } = o
      this.#told.push({ decided: id, facts: [device, seq, covers, id, status, code] })
    } else if (o.kind === 'audit') {
      const { collection, record, op, user, mutation, before, after, status, code } = o
      const facts = [collection, record, op, user, mutation, valuesOf(before), valuesOf(after), status, code]
      this.#told.push({ decided: mutation, facts })
    }
  }

  get length(): number {
    return this.#told.length
  }

  /** How much both tell alike, and what the servers decided differently right after, if they did. */
  compare(other: Story): { readonly alike: number; readonly difference: string | undefined } {
    let alike = 0
    for (;;) {
      const [one, two] = [this.#told[alike], other.#told[alike]]
      if (one === undefined && two === undefined) return { alike, difference: undefined }
      if (one !== undefined && two !== undefined && sameValue(one.facts, two.facts)) {
        alike += 1
        continue
      }
      const isOfServers = typeof one?.decided === 'string' && one.decided === two?.decided
      const difference = isOfServers ? `${show(one.facts)} and ${show(two?.facts)}` : undefined
      return { alike, difference }
    }
  }
}

function valuesOf(values: Values | null): Json {
  return values === null ? null : { ...values }
}
