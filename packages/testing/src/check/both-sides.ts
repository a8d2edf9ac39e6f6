import type { Checker } from './checker.ts'
import { type FoldedWrite, foldedWrite } from './folded-write.ts'
import { AuditModel } from './model.ts'
import type { DumpedConflict, DumpedPart, Json, Observation, RunEnded, ServerAudit } from './observation.ts'
import { type Commit, RunBook } from './run-book.ts'
import { sameValue, show } from './same-value.ts'

/**
 * A conflict is all that is left of an edit that met one: of each field in dispute it holds what its author wrote, and what
 * stood when the two met, on the server and on every device that lists it. Only conflicts over the fields of one record are
 * looked at, of edits that are no transaction: in one, a person decides about all of its edits together. Counters and sets
 * are shown as what they would come to, and are left out. Rules: SIM-99.
 */
export const bothSides: Checker = {
  name: 'both-sides',
  promise: 'Whoever decides is shown what was written on both sides.',
  start: (fail) => {
    const watch = new SidesWatch(fail)
    return (o) => watch.observe(o)
  },
}

/** What met a conflict. */
interface Dispute {
  readonly record: string
  readonly write: FoldedWrite
  /** What stood there; undefined when no line of the log says when they met. */
  readonly standing: Readonly<Record<string, Json>> | undefined
}

class SidesWatch {
  readonly #fail: (message: string) => void
  readonly #book: RunBook
  readonly #model = new AuditModel()
  /** By key; what is offered again to a restored server meets what stands there now. */
  readonly #disputes = new Map<string, Dispute>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    if (o.kind === 'server-restored') this.#model.cut(o.auditN)
    else if (o.kind === 'end') this.#end(o)
  }

  #commit({ outcomes, lines }: Commit): void {
    const standings = new Map<string, Readonly<Record<string, Json>>>()
    for (const line of lines) {
      if (line.status === 'conflict') standings.set(`${line.device} ${line.mutation}`, this.#standing(line))
      this.#model.apply(line)
    }
    for (const { device, id, status, ...outcome } of outcomes) {
      if (status !== 'conflict') continue
      this.#disputes.delete(id)
      const items = this.#book.membersOf({ device, id, status, ...outcome })
      const first = items?.[0]?.write.first
      // What copies of a disk offered under one key cannot be told apart.
      if (!items || !first || first.group !== null) continue
      const record = `${first.collection}/${first.record}`
      const standing = standings.get(`${device} ${id}`)
      this.#disputes.set(id, { record, write: foldedWrite(items), standing })
    }
  }

  #standing({ collection, record }: ServerAudit): Readonly<Record<string, Json>> {
    return { ...this.#model.row(collection, record)?.values }
  }

  #end({ server, devices, quietAtMs }: RunEnded): void {
    for (const conflict of server.conflicts) {
      const dispute = this.#disputes.get(conflict.mutation)
      if (dispute) for (const message of problemsOf(conflict, dispute)) this.#fail(message)
    }
    if (quietAtMs === null) return
    const known = new Map(server.conflicts.map((conflict) => [conflict.id, conflict]))
    for (const { disk, conflicts } of devices)
      for (const { id, parts } of conflicts) {
        const there = known.get(id)?.parts
        if (parts && there && !sameValue(parts, there))
          this.#fail(`${disk} shows other sides of the conflict ${id} than the server has`)
      }
  }
}

function problemsOf(conflict: DumpedConflict, { record, write, standing }: Dispute): readonly string[] {
  const { id, reason, fields = [], parts } = conflict
  const [part, another] = parts ?? []
  if (reason !== 'fields' || !part || another || part.record !== record || write.op !== 'update') return []
  return fields
    .flatMap((field) => sideProblems(field, { part, write, standing }))
    .map((problem) => `conflict ${id} over ${record} ${problem}`)
}

function sideProblems(
  field: string,
  { part, write, standing }: Pick<Dispute, 'write' | 'standing'> & { readonly part: DumpedPart },
): readonly string[] {
  const { changes, increments, members } = write
  if (!Object.hasOwn(changes, field) || Object.hasOwn(increments, field) || Object.hasOwn(members, field))
    return []
  const problems: string[] = []
  const [wrote, mine, theirs] = [
    changes[field] ?? null,
    part.mine?.[field] ?? null,
    part.theirs?.[field] ?? null,
  ]
  if (!sameValue(mine, wrote))
    problems.push(`has ${show(mine)} for ${field}, and its author wrote ${show(wrote)}`)
  const stood = standing?.[field] ?? null
  if (standing && !sameValue(theirs, stood))
    problems.push(`shows ${show(theirs)} against it for ${field}, where ${show(stood)} stood`)
  return problems
}
