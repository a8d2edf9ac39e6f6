import { isJsonArray, scopesOfRow } from '@holdfast/core'

import { AuditModel } from '../check/model.ts'
import type {
  EntryWritten,
  Json,
  Observation,
  Payload,
  RunEnded,
  ServerAudit,
  ServerOutcome,
} from '../check/observation.ts'
import { type Commit, type Item, RunBook } from '../check/run-book.ts'
import type { Reachable } from './away-times.ts'
import type { Figures } from './figures.ts'
import { SightQueue } from './sight-queue.ts'

/** One run as its observations tell it, counted into the figures of a report. Rules: SIM-72 to SIM-76. */
export class RunFold {
  readonly #figures: Figures
  readonly #isReachable: Reachable
  readonly #book: RunBook
  readonly #model = new AuditModel()
  readonly #sights: SightQueue
  /** Writes the server has ruled on, as far as their devices know; one that is tried again was ruled on before. */
  readonly #answered = new WeakSet<EntryWritten>()
  /** By key, verdicts that put something in front of a person. */
  readonly #disputes = new Map<string, ServerOutcome>()
  /** Before then people put in what there is to work on, and have their first sync. */
  readonly #startMs: number
  /** What is written from then on is the end of the run, in which everything is settled: no work of anybody's. */
  #healedMs = Number.POSITIVE_INFINITY

  constructor(figures: Figures, isReachable: Reachable, startMs: number) {
    this.#figures = figures
    this.#startMs = startMs
    this.#isReachable = isReachable
    this.#book = new RunBook((commit) => this.#commit(commit))
    this.#sights = new SightQueue(figures.visible, isReachable)
  }

  readonly observe = (o: Observation): void => {
    const item = this.#book.observe(o)
    this.#sights.observe(o)
    switch (o.kind) {
      case 'entry-written':
        return this.#write(o)
      case 'entry-status':
        if (!item) return
        if (o.status === 'dead' && o.code !== null && this.#isWork(item))
          this.#figures.die(o.code, item.write.first.collection)
        if (o.verdict !== null && o.verdict !== 'retry' && o.status !== 'held') this.#answer(item, o.atMs)
        return
      case 'entry-gone':
        if (item && this.#book.outcomeFor(item)) this.#answer(item, o.atMs)
        return
      case 'request':
        if (this.#isWorkTime(o.atMs)) this.#figures.bytesUp += o.bytes ?? 0
        return
      case 'response':
        if (!this.#isWorkTime(o.atMs)) return
        this.#figures.requests += 1
        this.#figures.bytesDown += o.bytes ?? 0
        return
      case 'healed':
        this.#healedMs = o.atMs
        return
      case 'server-restored':
        return this.#model.follow(o)
      case 'end':
        return this.#ask(o)
      default:
    }
  }

  #isWork({ write }: Item): boolean {
    return this.#isWorkTime(write.first.atMs)
  }

  #isWorkTime(atMs: number): boolean {
    return atMs >= this.#startMs && atMs < this.#healedMs
  }

  #write({ collection, op, payload, resolves, atMs }: EntryWritten): void {
    const figures = this.#figures
    figures.write(collection)
    if (!this.#isWorkTime(atMs)) return
    figures.edits += 1
    if (resolves !== null) return
    if (op === 'delete') {
      const deletes = figures.deletes(collection)
      if (deletes) deletes.deletes += 1
    }
    if (op !== 'update') return
    for (const name of touched(payload)) {
      const field = figures.field(collection, name)
      if (field) field.edits += 1
    }
  }

  #answer({ write: { first }, disk }: Item, atMs: number): void {
    const wroteMs = first.atMs
    if (this.#answered.has(first) || !this.#isWorkTime(wroteMs)) return
    this.#answered.add(first)
    const { online, overall } = this.#figures.verdict
    overall.add(atMs - wroteMs)
    if (this.#isReachable(disk, wroteMs, atMs)) online.add(atMs - wroteMs)
  }

  #commit({ outcomes, lines }: Commit): void {
    for (const outcome of outcomes) if (outcome.status === 'conflict') this.#disputes.set(outcome.id, outcome)
    for (const line of lines) {
      this.#model.apply(line)
      this.#decide(line)
      this.#show(line)
    }
  }

  /** What met another edit and was decided by a rule. */
  #decide(line: ServerAudit): void {
    const { collection, status, code } = line
    const figures = this.#figures
    const outcome = this.#outcomeOf(line)
    const isOfEnd = line.atMs >= this.#healedMs && status === 'lost'
    const members = outcome && this.#book.membersOf(outcome)
    if (isOfEnd || members?.some((item) => !this.#isWork(item))) return
    const isSettling = members?.every(isSettlement) === true
    if (status === 'rejected' && code === 'UNIQUE_VIOLATION' && !isSettling) figures.refuse(collection)
    const decisions = decisionsOf(line.decisions)
    if (!isSettling && decisions.some(({ rule }) => rule.startsWith('onDelete.'))) {
      const deletes = figures.deletes(collection)
      if (deletes) deletes.merged += 1
    }
    for (const { field: name, rule, winner, mine, theirs } of decisions) {
      if (rule === 'unique.rename') {
        if (!isSettling) figures.collide(collection, 'rename', name)
        continue
      }
      const isOfDelete = rule.startsWith('onDelete.')
      const loser = winner === 'mine' ? theirs : mine
      // The delete itself is no value that could be brought back.
      if (winner !== 'both' && !(isOfDelete && loser === null))
        figures.lose(collection, name, status === 'lost' ? 'person' : rule)
      if (isOfDelete || status === 'lost') continue
      const field = figures.field(collection, name)
      const count = this.#editsOf(outcome, name)
      if (!field) continue
      field.met += count
      field.merged += count
    }
  }

  /** From now on others wait to see it. */
  #show(line: ServerAudit): void {
    const { op, version, collection, record } = line
    const outcome = this.#outcomeOf(line)
    const schema = this.#figures.collection(collection)
    if (op === 'none' || version === null || !outcome || !schema) return
    const members = this.#book.membersOf(outcome)?.filter((item) => this.#isWork(item)) ?? []
    const writes = members.map(({ write }) => write.first)
    const values = this.#model.row(collection, record)?.values ?? {}
    this.#sights.expect({ version, writes, scopes: scopesOfRow(schema.scopes, values) })
  }

  /** What is or was in front of a person. */
  #ask({ server }: RunEnded): void {
    for (const { mutation, collection, reason, fields = [] } of server.conflicts) {
      const outcome = this.#disputes.get(mutation)
      const members = outcome && this.#book.membersOf(outcome)
      if (members?.some((item) => !this.#isWork(item)) || members?.every(isSettlement) === true) continue
      if (reason === 'unique') this.#figures.collide(collection, 'ask', fields[0])
      else if (reason === 'delete') {
        const deletes = this.#figures.deletes(collection)
        if (deletes) deletes.asked += 1
      } else {
        for (const name of fields) {
          const field = this.#figures.field(collection, name)
          const count = this.#editsOf(outcome, name)
          if (!field) continue
          field.met += count
          field.asked += count
        }
      }
    }
  }

  #outcomeOf({ device, mutation }: ServerAudit): ServerOutcome | undefined {
    return device === null || mutation === null ? undefined : this.#book.outcomeOf(device, mutation)
  }

  /** How many edits of a field a verdict stands for: unsent edits of a record travel as one. What settles a conflict is none. */
  #editsOf(outcome: ServerOutcome | undefined, field: string): number {
    const members = outcome && this.#book.membersOf(outcome)
    if (!members) return 1
    return members.filter(
      (item) => item.write.first.op === 'update' && !isSettlement(item) && touched(item.payload).has(field),
    ).length
  }
}

/** Whether it decides a conflict: where it meets one again, nobody has edited anything. */
function isSettlement({ write }: Item): boolean {
  return write.first.resolves !== null
}

function touched({ changes, increments, additions, removals }: Payload): ReadonlySet<string> {
  return new Set([changes, increments, additions, removals].flatMap((part) => Object.keys(part)))
}

/** Of a decision of the audit log, what is needed here. */
interface Decision {
  readonly field: string
  readonly rule: string
  readonly winner: string
  readonly mine: Json
  readonly theirs: Json
}

function decisionsOf(decisions: Json): readonly Decision[] {
  // The server writes a list of decisions and nothing else there.
  return isJsonArray(decisions) ? (decisions as unknown as readonly Decision[]) : []
}
