import type { Checker } from './checker.ts'
import { decisionsOf } from './decisions-of.ts'
import { type FoldedWrite, foldedWrite } from './folded-write.ts'
import { AuditModel, type ModelRow } from './model.ts'
import type { EntryWritten, Json, Observation, ServerAudit, ServerOutcome } from './observation.ts'
import { type Commit, type Item, RunBook } from './run-book.ts'
import { breachOf, type Decision } from './rule-breach.ts'
import { sameValue, show } from './same-value.ts'

/**
 * Each single verdict holds against what its author wrote: an applied mutation stands as it was sent, a merged one
 * stands or is named in a decision with both values, and one that was refused left no trace in a row. What counters came
 * to is for the checker of counters. Rules: SIM-34.
 */
export const effect: Checker = {
  name: 'effect',
  promise: 'What the server says it did with a mutation is what it did.',
  start: (fail) => {
    const watch = new VerdictWatch(fail)
    return (o) => watch.observe(o)
  },
}

class VerdictWatch {
  readonly #fail: (message: string) => void
  readonly #book: RunBook
  readonly #model = new AuditModel()
  /** By device, record and field, the newest name that the server gave. */
  readonly #names: Names = new Map()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    this.#model.follow(o)
  }

  #commit({ lines, outcomes }: Commit): void {
    for (const outcome of outcomes) if (outcome.code === 'REFERENCE_MISSING') this.#checkOrder(outcome)
    for (const line of lines) {
      const before =
        line.op === 'none' ? undefined : { ...this.#model.row(line.collection, line.record)?.values }
      this.#model.apply(line)
      if (line.device === null || line.mutation === null || line.status === 'lost') continue
      const outcome = this.#book.outcomeOf(line.device, line.mutation)
      if (outcome) this.#judge(line, outcome, before)
      for (const [field, decisions] of decisionsOf(line.decisions))
        for (const decision of decisions)
          if (decision.rule === 'unique.rename') this.#names.set(nameKey(line, field), decision)
    }
  }

  /** What refers to a record of its own author's making comes behind it. */
  #checkOrder(outcome: ServerOutcome): void {
    for (const { disk, seq, payload, write: refused } of this.#book.membersOf(outcome) ?? []) {
      const referred = new Set(Object.values(payload.changes))
      const items = [...this.#book.itemsOn(disk).values()]
      const behind = behindTheDispute(items, refused.first)
      for (const item of items) {
        const { write, offeredBy, offeredBefore, ...made } = item
        const { op, record, collection } = write.first
        // It went before, as all that is for escrow does, and there is no such record before somebody accepts it (ES-12).
        if (this.#book.outcomeFor(item)?.code === 'ESCROWED') continue
        // What waits for a decision goes behind it (OB-6).
        if (behind.has(item)) continue
        const isUnsent = made.status === 'pending' && offeredBy === null && offeredBefore === null
        // A fold goes where its first edit was: none of its edits may stand on what was made in between, and is not there yet.
        const isPassed = made.seq > outcome.seq && made.status !== 'answered'
        if (op !== 'create' || made.seq >= seq || !(isUnsent || isPassed) || !referred.has(record)) continue
        this.#fail(`${outcome.id} was refused because it came before ${collection}/${record}, made before it`)
      }
    }
  }

  #judge(line: ServerAudit, outcome: ServerOutcome, before: ModelRow['values'] | undefined): void {
    if (outcome.status === 'rejected' || outcome.status === 'conflict') {
      if (line.op !== 'none')
        this.#fail(`${outcome.id} is ${outcome.status}, but line ${line.n} gives it an effect`)
      return
    }
    // What copies of a disk offered under one key cannot be told apart; counters and rows are checked all the same.
    const items = this.#book.membersOf(outcome)
    const row = this.#model.row(line.collection, line.record)
    if (!items || !row) return
    if (items.some(({ write }) => write.first.record !== line.record)) {
      this.#fail(
        `${outcome.id} was ${outcome.status} to ${line.record}, which is not the record it was written for`,
      )
      return
    }
    const decisions = decisionsOf(line.decisions)
    const write = foldedWrite(items)
    const verdict: Verdict = { line, outcome, decisions, write, row, before, names: this.#names }
    const problems = [problemsOfFields, problemsOfUnseen, problemsOfDecisions].flatMap((of) => of(verdict))
    for (const message of problems) this.#fail(message)
  }
}

/**
 * What waits for a decision, if it is of one: all of the disputed records, of the transactions that are in, and what
 * stands on records that are made in these.
 */
function behindTheDispute(items: readonly Item[], { group, resolves }: EntryWritten): ReadonlySet<Item> {
  const decisions = items.filter(
    ({ write: { first } }) =>
      first.resolves !== null && (first.resolves === resolves || (group !== null && first.group === group)),
  )
  const records = new Set(decisions.map(({ write }) => write.first.record))
  const groups = new Set<string>()
  const behind = new Set<Item>()
  for (let known = -1; known < behind.size; ) {
    known = behind.size
    for (const item of items) {
      const { op, record, group: own } = item.write.first
      const names = [record, ...Object.values(item.payload.changes)]
      if (!names.some((name) => typeof name === 'string' && records.has(name)) && !groups.has(own ?? ''))
        continue
      behind.add(item)
      if (own !== null) groups.add(own)
      if (op === 'create') records.add(record)
    }
  }
  return behind
}

interface Verdict {
  readonly line: ServerAudit
  readonly outcome: ServerOutcome
  readonly decisions: ReadonlyMap<string, readonly Decision[]>
  readonly write: FoldedWrite
  readonly row: ModelRow
  /** Values before the line; undefined when it changed nothing. */
  readonly before: ModelRow['values'] | undefined
  readonly names: Names
}

type Names = Map<string, Decision>

function nameKey({ device, collection, record }: ServerAudit, field: string): string {
  return [device, collection, record, field].join(' ')
}

function problemsOfFields(verdict: Verdict): readonly string[] {
  const { outcome, decisions, write, row, line } = verdict
  const name = `${outcome.id} was ${outcome.status}`
  if (outcome.status === 'applied' && decisions.size > 0)
    return [`${name} although a decision was made on it`]
  if (write.op === 'delete') {
    // What was returned with a newer answer stands against a deletion that was returned (ME-24).
    const isKept = [...decisions.values()]
      .flat()
      .some(({ rule, winner }) => rule.startsWith('onDelete') || (rule === 'restored' && winner === 'theirs'))
    return row.isLive && !isKept ? [`${name}, but ${line.collection}/${line.record} is still there`] : []
  }
  const isGone = !row.isLive
  if (isGone && decisions.size === 0 && !isEmpty(write)) return [`${name}, but the record is deleted`]
  const problems: string[] = []
  for (const [field, sent] of Object.entries(write.changes)) {
    // What was added to in the same fold is not what was sent first.
    if (Object.hasOwn(write.increments, field) || Object.hasOwn(write.members, field)) continue
    const decision = decisions.get(field)
    if (decision) {
      if (!decision.some(({ mine }) => sameValue(mine, sent))) {
        problems.push(`${name}, but of ${field} ${show(decision[0]?.mine)} is kept instead of ${show(sent)}`)
      }
      continue
    }
    if (!isGone && (sameValue(row.values[field] ?? null, sent) || saysNothing(verdict, field, sent))) continue
    problems.push(
      `${name}, but ${field} is ${show(isGone ? null : row.values[field])} instead of ${show(sent)}, and no decision says why`,
    )
  }
  for (const [field, members] of Object.entries(write.members)) {
    if (isGone) continue
    const standing = row.values[field]
    for (const [member, isThere] of members) {
      if (Array.isArray(standing) && standing.includes(member) === isThere) continue
      problems.push(`${name}, but ${show(member)} is ${isThere ? 'not' : 'still'} in ${field}`)
    }
  }
  return problems
}

/** What was replaced without a decision had been seen by who replaced it, or was their own under the name that the server gave. */
function problemsOfUnseen({ line, outcome, decisions, write, before, names }: Verdict): readonly string[] {
  if (write.op !== 'update' || line.op !== 'update' || !before) return []
  return Object.keys(line.after ?? {}).flatMap((field) => {
    const [seen, wanted, stood] = [write.base[field], write.changes[field] ?? null, before[field] ?? null]
    // A counter is added to, whatever stood there.
    if (seen === undefined || decisions.has(field) || Object.hasOwn(write.increments, field)) return []
    if (Object.hasOwn(write.members, field) || sameValue(seen, stood) || sameValue(wanted, stood)) return []
    const given = names.get(nameKey(line, field))
    if (given && sameValue(given.mine, seen) && sameValue(given.result, stood)) return []
    const name = `${outcome.id} was ${outcome.status}`
    return [`${name} and replaced ${field} ${show(stood)}, but its author had seen ${show(seen)}`]
  })
}

/** A field that its author left as he saw it, or a field of the server's own in a create that met a record. */
function saysNothing({ write, line, row }: Verdict, field: string, sent: Json): boolean {
  if (write.op === 'create') {
    // A set that met another joins it, and the server's own fields stay as they are.
    const isMet = line.op === 'update' || line.op === 'none'
    return isMet && (sent === null || isWithin(row.values[field], sent))
  }
  return Object.hasOwn(write.base, field) && sameValue(write.base[field], sent)
}

function isWithin(standing: Json | undefined, sent: Json): boolean {
  return Array.isArray(sent) && Array.isArray(standing) && sent.every((member) => standing.includes(member))
}

/** Every value that lost is there, and the result is what stands. */
function problemsOfDecisions({ outcome, decisions, row, before, line }: Verdict): readonly string[] {
  const problems: string[] = []
  for (const [field, all] of decisions) {
    const last = all.at(-1)
    if (!last) continue
    const { rule, winner, mine, theirs, result } = last
    const name = `the decision on ${field} of ${outcome.id} (${rule})`
    const standing = row.isLive ? (row.values[field] ?? null) : null
    if (!sameValue(result ?? null, standing)) {
      problems.push(`${name} says ${show(result)}, but ${show(standing)} stands`)
    }
    const wanted = winner === 'mine' ? mine : winner === 'theirs' ? theirs : result
    const isOfRecord = rule.startsWith('onDelete')
    if (!isOfRecord && !sameValue(wanted ?? null, result ?? null)) {
      problems.push(`${name} names ${winner} as the winner, but the result is ${show(result)}`)
    }
    if (mine === undefined || theirs === undefined) problems.push(`${name} does not keep both values`)
    const breach = breachOf(last)
    if (breach !== undefined) problems.push(`${name} ${breach}`)
    const stood = before ? (before[field] ?? null) : standing
    if (
      isOfRecord ||
      all.length > 1 ||
      rule === 'unique.rename' ||
      line.op === 'restore' ||
      line.op === 'create'
    )
      continue
    if (!sameValue(theirs ?? null, stood)) {
      problems.push(`${name} keeps ${show(theirs)} as theirs, but ${show(stood)} stood there`)
    }
  }
  return problems
}

function isEmpty({ changes, increments, members }: FoldedWrite): boolean {
  return [changes, increments, members].every((part) => Object.keys(part).length === 0)
}
