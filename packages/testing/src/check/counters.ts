import type { Checker } from './checker.ts'
import { type FoldedWrite, foldedWrite } from './folded-write.ts'
import type {
  EntryWritten,
  Json,
  Observation,
  RunEnded,
  ServerAudit,
  ServerOutcome,
  Values,
} from './observation.ts'
import { type Commit, RunBook } from './run-book.ts'
import { show } from './same-value.ts'

/**
 * Every counter is what it began with plus every increment the server took, once each. Amounts come from what devices
 * wrote down, never from what the server says it added; only the order, and what writers without a device assigned, come
 * from the audit log. A counter is a field that somebody added to: fields are not told apart in any other way.
 * Rules: SIM-32.
 */
export const counters: Checker = {
  name: 'counters',
  promise: 'Counters equal the sum of what was counted and accepted.',
  start: (fail) => {
    const watch = new CounterWatch(fail)
    return (o) => watch.observe(o)
  },
}

/** Numbers by field. Never changed in place, so that a restored server can take them back. */
type Totals = Readonly<Record<string, number>>

class CounterWatch {
  readonly #fail: (message: string) => void
  readonly #book: RunBook
  readonly #totals = new Map<string, Totals>()
  /** `collection/field` of what was ever added to. */
  readonly #counters = new Set<string>()
  readonly #undos: { readonly n: number; readonly key: string; readonly totals: Totals | undefined }[] = []

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    switch (o.kind) {
      case 'entry-written':
        for (const field in o.payload.increments) this.#counters.add(`${o.collection}/${field}`)
        if (o.op === 'update') this.#checkTotals(o)
        return
      case 'server-restored':
        for (let last = this.#undos.at(-1); last && last.n > o.auditN; last = this.#undos.at(-1)) {
          this.#undos.pop()
          if (last.totals) this.#totals.set(last.key, last.totals)
          else this.#totals.delete(last.key)
        }
        return
      case 'end':
        this.#end(o)
        return
      default:
        return
    }
  }

  /** Whoever says what there is now says it of what they saw: only the difference may travel. */
  #checkTotals({ disk, id, collection, payload }: EntryWritten): void {
    for (const [field, total] of Object.entries(payload.changes)) {
      if (!this.#counters.has(`${collection}/${field}`) || typeof total !== 'number') continue
      // A base of null is that of a record that was not there.
      if (payload.base !== null && Object.hasOwn(payload.base, field)) continue
      this.#fail(
        `${id} on ${disk} sets ${field} of ${collection} to ${total}, whatever others counted meanwhile`,
      )
    }
  }

  #commit({ outcomes, lines }: Commit): void {
    const written = new Set<string>()
    for (const line of lines) {
      if (line.status === 'lost') continue
      if (line.device !== null && line.mutation !== null) written.add(`${line.device} ${line.mutation}`)
      this.#take(line)
    }
    for (const outcome of outcomes) {
      if (outcome.status !== 'applied' && outcome.status !== 'merged') continue
      if (written.has(`${outcome.device} ${outcome.id}`)) continue
      const write = this.#writeOf(outcome)
      if (write && write.op !== 'delete' && adds(write)) {
        this.#fail(`${outcome.id} was ${outcome.status}, but what it counts is in no line of the audit log`)
      }
    }
  }

  /** undefined when copies of a disk offered different things under one key: then the log has to be believed. */
  #writeOf(outcome: ServerOutcome): FoldedWrite | undefined {
    const items = this.#book.membersOf(outcome)
    return items && foldedWrite(items)
  }

  #take(line: ServerAudit): void {
    const { device, mutation, op, n, after } = line
    const outcome = device === null || mutation === null ? undefined : this.#book.outcomeOf(device, mutation)
    const write = outcome && this.#writeOf(outcome)
    if (op === 'none') {
      const isTaken = outcome?.status === 'applied' || outcome?.status === 'merged'
      // A count for a record that was deleted meanwhile is merged into nothing, and says so in a decision.
      const isDecided = Array.isArray(line.decisions) && line.decisions.length > 0
      if (write && isTaken && !isDecided && write.op === 'update' && adds(write)) {
        this.#fail(`${mutation} was ${outcome.status}, but what it counts changed nothing (line ${n})`)
      }
      return
    }
    if (op === 'delete') return
    const key = `${line.collection}/${line.record}`
    const before = this.#totals.get(key)
    const claimed = numbersIn(after)
    const next = { ...(op === 'create' ? {} : before), ...claimed }
    if (write) this.#compare(line, write, before ?? {})
    this.#undos.push({ n, key, totals: before })
    this.#totals.set(key, next)
  }

  #compare(line: ServerAudit, write: FoldedWrite, before: Totals): void {
    const { collection, record, n, after } = line
    const fields = new Set([
      ...Object.keys(write.increments),
      ...Object.keys(numbersIn(after)),
      ...Object.keys(write.changes),
    ])
    for (const field of fields) {
      if (!this.#counters.has(`${collection}/${field}`)) continue
      const amount = write.increments[field] ?? 0
      const sent = write.changes[field]
      const seen = write.base[field]
      const stood = before[field] ?? 0
      let expected = stood + amount
      if (typeof sent === 'number') {
        // A total that says what it replaces counts as the difference, any other one assigns.
        expected += typeof seen === 'number' ? sent - seen : sent - stood
      } else if (write.op === 'create' || (line.op === 'create' && write.op === 'update')) expected = amount
      const found = after?.[field] ?? before[field] ?? 0
      if (found === expected) continue
      this.#fail(
        `${field} of ${collection}/${record} is ${show(found)} after line ${n}, but should be ${expected}`,
      )
    }
  }

  #end({ server }: RunEnded): void {
    for (const [collection, rows] of Object.entries(server.collections)) {
      for (const { id, values } of rows) {
        const totals = this.#totals.get(`${collection}/${id}`)
        for (const [field, value] of Object.entries(totals ?? {})) {
          if (!this.#counters.has(`${collection}/${field}`) || values[field] === value) continue
          this.#fail(
            `${field} of ${collection}/${id} is ${show(values[field])} on the server, but what was counted makes ${value}`,
          )
        }
      }
    }
  }
}

function adds({ increments, changes }: FoldedWrite): boolean {
  return Object.entries(increments).some(([field, amount]) => amount !== 0 && !Object.hasOwn(changes, field))
}

function numbersIn(values: Values | null): Record<string, number> {
  const numbers: Record<string, number> = {}
  for (const [field, value] of Object.entries<Json>(values ?? {}))
    if (typeof value === 'number') numbers[field] = value
  return numbers
}
