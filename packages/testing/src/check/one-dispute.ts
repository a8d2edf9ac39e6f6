import type { Checker } from './checker.ts'
import type { DumpedConflict, Observation, ServerAudit, ServerOutcome } from './observation.ts'
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
  /** Of its line in the audit log. */
  readonly n: number
  readonly atMs: number
}

/** A decision on a conflict that was taken, or met another one. */
interface Settlement {
  readonly mutation: string
  readonly device: string
  readonly conflict: string
  readonly n: number
}

/** A write without a device, as an operator's decisions are. */
type PlainWrite = Pick<ServerAudit, 'collection' | 'record' | 'n' | 'atMs'>

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
  #plainWrites: PlainWrite[] = []

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
      this.#plainWrites = this.#plainWrites.filter(({ n }) => n <= o.auditN)
    } else if (o.kind === 'end') this.#end(o.server.conflicts)
  }

  #commit({ outcomes, lines }: Commit): void {
    this.#plainWrites.push(...lines.filter(({ device, user }) => device === null && user !== null))
    for (const outcome of outcomes) {
      const members = this.#book.membersOf(outcome) ?? []
      const [first] = members
      if (first === undefined) continue
      const { collection, record, resolves } = first.write.first
      const { id: mutation, user, device, status } = outcome
      const { n, atMs } = placeOf(outcome, lines)
      if (status === 'conflict')
        this.#disputes.push({
          mutation,
          user,
          device,
          record: `${collection}/${record}`,
          touched: new Set(members.flatMap(touchedBy)),
          isDecision: resolves !== null,
          n,
          atMs,
        })
      if (resolves !== null && status !== 'rejected')
        this.#settlements.push({ mutation, device, conflict: resolves, n })
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
          !this.#isSettledBefore(other, { dispute, conflict }),
      )
      if (before && !dispute.isDecision)
        this.#fail(
          `${dispute.mutation} met conflict ${conflict.id} over ${dispute.record}, while ${before.conflict.id} over the same was open`,
        )
      open.push({ dispute, conflict })
    }
  }

  /** The server's clock is always right; of what it did at one moment its log says what came first. */
  #isSettledBefore(first: Met, { dispute, conflict }: Met): boolean {
    const { resolvedAt, id } = first.conflict
    const { createdAt } = conflict
    if (this.#settlements.some((settled) => settled.conflict === id && settled.n < dispute.n)) return true
    if (typeof resolvedAt !== 'string' || createdAt === undefined) return false
    const isThen = ({ collection, record, n, atMs }: PlainWrite): boolean =>
      `${collection}/${record}` === dispute.record &&
      atMs === dispute.atMs &&
      first.dispute.n < n &&
      n < dispute.n
    return resolvedAt < createdAt || (resolvedAt === createdAt && this.#plainWrites.some(isThen))
  }
}

/** What was accepted from escrow is in front of who accepted it; its author may write on what stands meanwhile. Rules: ES-8. */
function isAnOperators({ dispute, conflict }: Met): boolean {
  return conflict.author !== dispute.user
}

/** Where and when the log says what became of a mutation; a line that nobody saw comes after all others. */
function placeOf(
  { device, id, status, atMs }: ServerOutcome,
  lines: readonly ServerAudit[],
): Pick<ServerAudit, 'n' | 'atMs'> {
  const isIts = (line: ServerAudit): boolean =>
    line.device === device && line.mutation === id && line.status === status
  return lines.find(isIts) ?? { n: Number.POSITIVE_INFINITY, atMs }
}

function touchedBy({ payload: { changes, increments, additions, removals } }: Item): readonly string[] {
  return [changes, increments, additions, removals].flatMap((words) => Object.keys(words))
}
