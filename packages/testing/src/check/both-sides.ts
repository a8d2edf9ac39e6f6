import type { Checker } from './checker.ts'
import { type FoldedWrite, foldedWrite } from './folded-write.ts'
import { AuditModel } from './model.ts'
import type {
  DumpedConflict,
  DumpedPart,
  Json,
  Observation,
  RunEnded,
  ServerAudit,
  ServerOutcome,
} from './observation.ts'
import { type Commit, type Item, RunBook } from './run-book.ts'
import { sameValue, show } from './same-value.ts'

/**
 * A conflict is all that is left of an edit that met one: of each record that it was about it holds what its author wrote,
 * a transaction's edits of it together, and what stood when the two met, on the server and on every device that lists it.
 * Counters and sets are shown as what they would come to, and whose side deletes is shown to have nothing. Of a conflict
 * over a unique key what stood is the other record, and is left out; so are counters and sets there, and what stood of a
 * record of a transaction where nothing of it is shown: its author may not see it any more. Rules: SIM-99.
 */
export const bothSides: Checker = {
  name: 'both-sides',
  promise: 'Whoever decides is shown what was written on both sides.',
  start: (fail) => {
    const watch = new SidesWatch(fail)
    return (o) => watch.observe(o)
  },
}

/** What was written to a record, and what stood there. */
interface Side {
  readonly items: readonly Item[]
  /** undefined when no line of the log says when they met. */
  readonly standing: Standing | undefined
}

interface Standing {
  readonly isLive: boolean
  readonly values: Readonly<Record<string, Json>>
}

/** What met a conflict: an edit, or all that a transaction wrote, by record. */
type Dispute = ReadonlyMap<string, Side>

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
    this.#model.follow(o)
    if (o.kind === 'end') this.#end(o)
  }

  #commit({ outcomes, lines }: Commit): void {
    const standings = new Map<string, Standing>()
    for (const line of lines) {
      if (line.status === 'conflict') standings.set(`${line.device} ${line.mutation}`, this.#standing(line))
      this.#model.apply(line)
    }
    const units = new Map<string, ServerOutcome[]>()
    for (const outcome of outcomes) {
      if (outcome.status !== 'conflict') continue
      this.#disputes.delete(outcome.id)
      const group = this.#book.membersOf(outcome)?.[0]?.write.first.group ?? outcome.id
      units.set(group, [...(units.get(group) ?? []), outcome])
    }
    for (const unit of units.values()) {
      const dispute = this.#disputeOf(unit, standings)
      if (dispute) for (const { id } of unit) this.#disputes.set(id, dispute)
    }
  }

  /** undefined where it cannot be told: what copies of a disk offered under one key. */
  #disputeOf(unit: readonly ServerOutcome[], standings: ReadonlyMap<string, Standing>): Dispute | undefined {
    const dispute = new Map<string, Side>()
    for (const outcome of unit) {
      const items = this.#book.membersOf(outcome)
      const first = items?.[0]?.write.first
      if (!items || !first) return undefined
      const record = `${first.collection}/${first.record}`
      const known = dispute.get(record)
      const all = [...(known?.items ?? []), ...items].sort((left, right) => left.seq - right.seq)
      const standing = known?.standing ?? standings.get(`${outcome.device} ${outcome.id}`)
      dispute.set(record, { items: all, standing })
    }
    return dispute
  }

  #standing({ collection, record }: ServerAudit): Standing {
    const row = this.#model.row(collection, record)
    return { isLive: row?.isLive === true, values: { ...row?.values } }
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

function problemsOf({ id, reason, parts }: DumpedConflict, dispute: Dispute): readonly string[] {
  return (parts ?? []).flatMap((part) => {
    const side = dispute.get(part.record)
    if (!side) return []
    const write = foldedWrite(side.items)
    // In a transaction, of a record that its author may not see any more, what stands is not shown.
    const isHidden = part.theirs === null && side.items[0]?.write.first.group !== null
    const standing = reason === 'unique' || isHidden ? undefined : side.standing
    const problems = [
      ...(write.op === 'delete' ? ofDeletion(part, reason) : ofMine(part, write)),
      ...(standing ? ofTheirs(part, { ...standing, isAll: write.op === 'delete' }) : []),
      ...(standing?.isLive && write.op === 'update' ? ofSums(part, write, standing.values) : []),
    ]
    return problems.map((problem) => `conflict ${id} over ${part.record} ${problem}`)
  })
}

function ofDeletion({ mine }: DumpedPart, reason: DumpedConflict['reason']): readonly string[] {
  return mine === null || reason !== 'delete' ? [] : [`has ${show(mine)}, and its author deleted it`]
}

/** What its author wrote; a set that was written without having been seen joins what stood, and what was added to as well is more. */
function ofMine({ mine }: DumpedPart, write: FoldedWrite): readonly string[] {
  const { changes, base, increments, members } = write
  if (mine === null) return ['has nothing of what its author wrote']
  return Object.entries(changes).flatMap(([field, wrote]) => {
    const isJoined = Array.isArray(wrote) && !Array.isArray(base[field])
    const isAdded = isJoined || Object.hasOwn(increments, field) || Object.hasOwn(members, field)
    const shown = mine[field] ?? null
    return isAdded || sameValue(shown, wrote)
      ? []
      : [`has ${show(shown)} for ${field}, and its author wrote ${show(wrote)}`]
  })
}

/** `isAll`: whoever decides on a deletion sees all that would be gone. */
function ofTheirs(
  { theirs }: DumpedPart,
  { isLive, values, isAll }: Standing & { readonly isAll: boolean },
): readonly string[] {
  if (theirs === null) return isLive ? ['shows that it is gone, where it stood'] : []
  if (!isLive) return ['shows values against it, where nothing stood']
  return Object.keys(isAll ? { ...values, ...theirs } : theirs).flatMap((field) => {
    const [shown, stood] = [theirs[field] ?? null, values[field] ?? null]
    return sameValue(shown, stood)
      ? []
      : [`shows ${show(shown)} against it for ${field}, where ${show(stood)} stood`]
  })
}

/** What counters and sets would come to on what stood. */
function ofSums(
  { mine }: DumpedPart,
  { changes, increments, members }: FoldedWrite,
  stood: Standing['values'],
): readonly string[] {
  const wanted = new Map<string, Json>()
  for (const [field, amount] of Object.entries(increments)) wanted.set(field, Number(stood[field]) + amount)
  for (const [field, words] of Object.entries(members)) {
    const before = stood[field]
    const all = new Set(Array.isArray(before) ? (before as readonly (string | number)[]) : [])
    for (const [member, isIn] of words) {
      if (isIn) all.add(member)
      else all.delete(member)
    }
    wanted.set(field, [...all])
  }
  return [...wanted].flatMap(([field, sum]) => {
    const shown = mine?.[field] ?? null
    return Object.hasOwn(changes, field) || sameMembers(shown, sum)
      ? []
      : [`has ${show(shown)} for ${field}, which comes to ${show(sum)}`]
  })
}

/** Sets have no order. */
function sameMembers(left: Json, right: Json): boolean {
  if (!Array.isArray(left) || !Array.isArray(right)) return sameValue(left, right)
  return left.length === right.length && left.every((member) => right.includes(member))
}
