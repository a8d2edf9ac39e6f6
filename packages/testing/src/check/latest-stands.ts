import type { Checker } from './checker.ts'
import type { Json, Observation, ServerAudit } from './observation.ts'
import { RunBook } from './run-book.ts'

/**
 * Where the rule lets the later of two values stand, that is the one whose edit was made later, however it travelled. It
 * is told from the stamps of edits as their devices wrote them; an edit whose stamp the server moved is left out, and so
 * is what it meets. Rules: SIM-87.
 */
export const latestStands: Checker = {
  name: 'latest-stands',
  promise: 'Of two values of which the later one stands, the later one stands.',
  start: (fail) => {
    const watch = new StampWatch(fail)
    return (o) => watch.observe(o)
  },
}

/** Of a decision of the audit log, what is needed here. */
interface Decision {
  readonly field: string
  readonly rule: string
  readonly winner: string
}

/** Stamps of the values that stand, by field; null: not known, and not known any more. */
type Clocks = Map<string, string | null>

class StampWatch {
  readonly #fail: (message: string) => void
  readonly #book: RunBook
  /** By record; null: somebody wrote it in a way that is not followed here. */
  readonly #records = new Map<string, Clocks | null>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => {
      for (const line of commit.lines) this.#line(line)
    })
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    if (o.kind !== 'server-restored') return
    // What stood then is not known any more.
    for (const key of this.#records.keys()) this.#records.set(key, null)
  }

  #line(line: ServerAudit): void {
    const key = `${line.collection}/${line.record}`
    const stamps = this.#stampsOf(line)
    const clocks = this.#records.get(key)
    if (line.op === 'create' && stamps && clocks === undefined) this.#records.set(key, new Map(stamps))
    else if (line.op === 'update' || line.op === 'none') {
      if (clocks && stamps) this.#judge(line, clocks, stamps)
      // Fields may be merged as one with those it names, and what it only repeats is of its time from then on.
      else if (clocks) for (const field of clocks.keys()) clocks.set(field, null)
    } else this.#records.set(key, null)
  }

  #judge(line: ServerAudit, clocks: Clocks, stamps: ReadonlyMap<string, string | null>): void {
    for (const { field, rule, winner } of decisionsOf(line.decisions)) {
      const [mine, theirs] = [stamps.get(field), clocks.get(field)]
      // What stands by being later is known from here on.
      if (rule === 'latest' && mine && !theirs && winner === 'mine') clocks.set(field, mine)
      if (rule !== 'latest' || !mine || !theirs || mine > theirs === (winner === 'mine')) continue
      const name = `${field} of ${line.collection}/${line.record}`
      this.#fail(`of ${name}, written at ${theirs} and by ${line.mutation} at ${mine}, ${winner} stands`)
    }
    for (const [field, mine] of stamps) {
      const theirs = clocks.get(field)
      if (!mine || !theirs) clocks.set(field, null)
      else if (mine > theirs) clocks.set(field, mine)
    }
  }

  /** When each field was set last by what was applied; undefined when that cannot be told. */
  #stampsOf(line: ServerAudit): ReadonlyMap<string, string | null> | undefined {
    const { device, mutation, status } = line
    if (device === null || mutation === null) return undefined
    if (status !== 'applied' && status !== 'merged') return new Map()
    const outcome = this.#book.outcomeOf(device, mutation)
    const items = outcome && this.#book.membersOf(outcome)
    if (!items || items.some(({ write, id }) => write.first.id !== id)) return undefined
    const [last] = items.slice(-1)
    const isMoved = last?.write.first.at.slice(0, timeLength) !== line.at
    const stored = (at: string): string | null => {
      if (!isMoved) return at
      return items.length === 1 ? line.at + at.slice(timeLength) : null
    }
    return new Map(
      items.flatMap(({ payload, write }) =>
        Object.keys(payload.changes).map((field) => [field, stored(write.first.at)]),
      ),
    )
  }
}

/** Characters of the time in a stamp; what follows tells edits of one moment apart. */
const timeLength = 24

function decisionsOf(decisions: Json): readonly Decision[] {
  // The log holds a list of them.
  return Array.isArray(decisions) ? (decisions as readonly Decision[]) : []
}
