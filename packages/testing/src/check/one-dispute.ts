import type { Checker } from './checker.ts'
import type { DumpedConflict, Observation } from './observation.ts'
import { type Commit, type Item, RunBook } from './run-book.ts'

/**
 * What a device sends over fields that an open conflict of its own is about waits with them: a person is asked once, and
 * not for each edit. Only conflicts over the fields of one record are looked at. Rules: SIM-93.
 */
export const oneDispute: Checker = {
  name: 'one-dispute',
  promise: 'What is in dispute is asked about once.',
  start: (fail) => {
    const watch = new DisputeWatch(fail)
    return (o) => watch.observe(o)
  },
}

interface Dispute {
  readonly mutation: string
  readonly user: string
  readonly device: string
  readonly record: string
  readonly touched: ReadonlySet<string>
  /** A decision that met another conflict is about the same on purpose. */
  readonly isDecision: boolean
  /** Its place among all that was decided. */
  readonly order: number
}

/** A decision on a conflict that was taken, or met another one. */
interface Settlement {
  readonly mutation: string
  readonly device: string
  readonly conflict: string
  readonly order: number
}

/** A dispute and the conflict that the server has of it in the end. */
interface Met {
  readonly dispute: Dispute
  readonly conflict: DumpedConflict
}

class DisputeWatch {
  readonly #fail: (message: string) => void
  readonly #book: RunBook
  #disputes: Dispute[] = []
  #settlements: Settlement[] = []
  #order = 0

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    if (o.kind === 'server-restored') {
      const gone = new Set([...o.forgotten, ...(o.unruled ?? [])].map(({ device, id }) => `${device} ${id}`))
      const isThere = ({ device, mutation }: Dispute | Settlement): boolean =>
        !gone.has(`${device} ${mutation}`)
      this.#disputes = this.#disputes.filter(isThere)
      this.#settlements = this.#settlements.filter(isThere)
    } else if (o.kind === 'end') this.#end(o.server.conflicts)
  }

  #commit({ outcomes }: Commit): void {
    for (const outcome of outcomes) {
      const members = this.#book.membersOf(outcome) ?? []
      const [first] = members
      if (first === undefined) continue
      const { collection, record, resolves } = first.write.first
      const { id: mutation, user, device, status } = outcome
      const order = (this.#order += 1)
      if (status === 'conflict')
        this.#disputes.push({
          mutation,
          user,
          device,
          record: `${collection}/${record}`,
          touched: new Set(members.flatMap(touchedBy)),
          isDecision: resolves !== null,
          order,
        })
      if (resolves !== null && status !== 'rejected')
        this.#settlements.push({ mutation, device, conflict: resolves, order })
    }
  }

  #end(conflicts: readonly DumpedConflict[]): void {
    const byMutation = new Map(conflicts.map((conflict) => [conflict.mutation, conflict]))
    const open: Met[] = []
    for (const dispute of this.#disputes) {
      const conflict = byMutation.get(dispute.mutation)
      if (conflict?.reason !== 'fields' || conflict.records?.length !== 1) continue
      const before = open.find(
        (other) =>
          other.dispute.device === dispute.device &&
          other.dispute.record === dispute.record &&
          other.conflict.fields?.some((field) => dispute.touched.has(field)) === true &&
          (!isAnOperators(other) || isAnOperators({ dispute, conflict })) &&
          !this.#isSettledBefore(other.conflict, dispute) &&
          !wasSettledBefore(other.conflict, conflict),
      )
      if (before && !dispute.isDecision)
        this.#fail(
          `${dispute.mutation} met conflict ${conflict.id} over ${dispute.record}, while ${before.conflict.id} over the same was open`,
        )
      open.push({ dispute, conflict })
    }
  }

  #isSettledBefore({ id }: DumpedConflict, dispute: Dispute): boolean {
    return this.#settlements.some(({ conflict, order }) => conflict === id && order < dispute.order)
  }
}

/** What was accepted from escrow is in front of who accepted it; its author may write on what stands meanwhile. Rules: ES-8. */
function isAnOperators({ dispute, conflict }: Met): boolean {
  return conflict.author !== dispute.user
}

/**
 * By whomever, also without a device, when the decision is no mutation of the run. The server's clock is always right; of
 * what it did at one moment only the order in which it was observed says what came first.
 */
function wasSettledBefore({ resolvedAt }: DumpedConflict, { createdAt }: DumpedConflict): boolean {
  return typeof resolvedAt === 'string' && createdAt !== undefined && resolvedAt < createdAt
}

function touchedBy({ payload: { changes, increments, additions, removals } }: Item): readonly string[] {
  return [changes, increments, additions, removals].flatMap((words) => Object.keys(words))
}
