import type { Checker } from './checker.ts'
import { decisionsOf } from './decisions-of.ts'
import { foldedWrite } from './folded-write.ts'
import type {
  DumpedConflict,
  EntryWritten,
  Json,
  Observation,
  RunEnded,
  ServerAudit,
  ServerOutcome,
} from './observation.ts'
import { type Commit, type Item, RunBook } from './run-book.ts'
import { sameValue } from './same-value.ts'
import type { SchemaFacts } from './schema-facts.ts'
import { scopesIn } from './scopes-in.ts'
import { WhatWasRead } from './what-was-read.ts'

/**
 * Nobody is asked, and no value gives way, where nobody else has changed anything: a conflict over fields, and a decision
 * for theirs, needs a change of one of those fields by somebody else since what the author's device had read when they
 * wrote; against a deletion any change of the record, and in a `strict` collection one of its author's as well. What an operator accepts out
 * of escrow is a change by somebody else, whoever wrote it. Left out is what copies of a disk
 * write, and what is written once a server was put back: they know of things that they have not read; what is written on a
 * record of a scope that the device has left; what was written
 * on a value that never stood on the server, because it was refused or changed there, in a form also where it was discarded since, but for another name that it was given for a unique key; and what comes behind what its author
 * did later: a dead letter that was tried again, an edit that was accepted out of escrow. Rules: SIM-101.
 */
export function needlessLoss(facts: SchemaFacts): Checker {
  return {
    name: 'needless-loss',
    promise: 'Only what others changed meanwhile is disputed, or gives way.',
    start: (fail) => {
      const watch = new MeetingWatch(fail, facts)
      return (o) => watch.observe(o)
    },
  }
}

/** What a line of the audit log did to a record. */
interface Change {
  readonly version: number
  readonly line: ServerAudit
  /** Who keeps theirs changes nothing, and what was written on top of mine meets it all the same. */
  readonly isSettlement: boolean
}

/** An edit, and what others had changed of its record by the time the server ruled on it. */
interface Meeting {
  readonly record: string
  readonly collection: string
  readonly sinceVersion: number
  readonly others: readonly Change[]
  /** Whether anybody had changed it, its author included. */
  readonly isWritten: boolean
  /** Whether it is deleted, and what its author made of it since was refused. */
  readonly isRemade: boolean
  /** Fields that its author had seen with a value that the server did not have. */
  readonly ownOnly: ReadonlySet<string>
}

class MeetingWatch {
  readonly #fail: (message: string) => void
  readonly #facts: SchemaFacts
  readonly #book: RunBook
  readonly #read = new WhatWasRead()
  /** By record, in the order of the log. */
  readonly #changes = new Map<string, Change[]>()
  readonly #meetings = new Map<string, Meeting>()
  /** By key that it was written under, when a refused edit was mended, or tried again, last. */
  readonly #saidTicks = new Map<string, number>()
  /** Dead letters that were tried again: what their author did since came before them. */
  readonly #again = new Set<string>()
  /** Dead letters that their author gave up: a form may have shown them before. */
  readonly #discarded = new Set<Item>()
  #isRestored = false
  /** Of the newest line. */
  #version = 0

  constructor(fail: (message: string) => void, facts: SchemaFacts) {
    this.#fail = fail
    this.#facts = facts
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    const letter = this.#letterIn(o)
    const before = letter?.payload.changes
    const item = this.#book.observe(o)
    if (o.kind === 'entry-gone' && item?.status === 'dead') this.#discarded.add(item)
    this.#read.observe(o)
    if (letter && (o.kind === 'entry-moved' || !sameValue(letter.payload.changes, before ?? {})))
      this.#saidTicks.set(letter.write.first.id, this.#read.tick)
    if (letter && o.kind === 'entry-moved') this.#again.add(o.to.id)
    if (o.kind === 'server-restored') this.#isRestored = true
    else if (o.kind === 'end') this.#end(o)
  }

  #commit({ outcomes, lines }: Commit): void {
    // What it meets there is another matter.
    if (this.#isRestored) for (const { id } of outcomes) this.#meetings.delete(id)
    if (this.#isRestored) return
    for (const line of lines) {
      this.#version = Math.max(this.#version, line.version ?? 0)
      const isSettlement = line.status === 'lost' || this.#isSettlement(line)
      if (line.op === 'none' && !isSettlement) continue
      const record = `${line.collection}/${line.record}`
      const changes = this.#changes.get(record) ?? []
      changes.push({ version: line.version ?? this.#version + 0.5, line, isSettlement })
      this.#changes.set(record, changes)
    }
    for (const outcome of outcomes) {
      if (outcome.status !== 'conflict' && outcome.status !== 'merged') continue
      const line = lines.find(({ device, mutation }) => device === outcome.device && mutation === outcome.id)
      const meeting = typeof line?.acceptedBy === 'string' ? undefined : this.#meetingOf(outcome)
      if (!meeting) continue
      if (outcome.status === 'conflict') this.#meetings.set(outcome.id, meeting)
      else if (line) this.#judgeDecisions(line, meeting)
    }
  }

  /** undefined where what its author knew cannot be told. */
  #meetingOf(outcome: ServerOutcome): Meeting | undefined {
    const items = this.#book.membersOf(outcome)
    const first = items?.[0]?.write.first
    if (!items || !first || items.some((item) => !this.#isPlain(item))) return undefined
    const sinceVersion = Math.min(...items.map((item) => this.#read.of(item).position))
    const record = `${first.collection}/${first.record}`
    const changes = this.#changes.get(record) ?? []
    if (items.some((item) => this.#hasLeft(item, changes))) return undefined
    const later = changes.filter(
      ({ version, line }) => version > sinceVersion && (line.mutation !== outcome.id || line.device === null),
    )
    const others = later.filter(
      ({ line, isSettlement }) =>
        isSettlement || line.device !== outcome.device || !this.#hasSeenOwn(items, line),
    )
    // What it saw then: the base of what was written on a letter that is discarded is another by now.
    const asWritten = items.map((item) => ({ ...item, payload: item.write.first.payload }))
    const never = Object.entries(foldedWrite(asWritten).base).filter(
      (seen) => !hasStood(changes, seen, { sinceVersion, isOfForm: this.#isOfForm(items) }),
    )
    const refused = Object.entries(foldedWrite(items).base).filter((seen) => this.#isOfRefused(items, seen))
    const ownOnly = new Set([...never, ...refused].map(([field]) => field))
    const isWritten = later.length > 0
    const isRemade = later.at(-1)?.line.op === 'delete' && this.#isBehindRefused(first)
    return { record, collection: first.collection, sinceVersion, others, isWritten, isRemade, ownOnly }
  }

  /** Whether something that its author wrote on the record before it was refused. */
  #isBehindRefused({ disk, record, collection, at }: EntryWritten): boolean {
    return [...this.#book.itemsOn(disk).values()].some((other) => {
      const { first } = other.write
      const isBefore = first.record === record && first.collection === collection && first.at < at
      return isBefore && this.#book.outcomeFor(other)?.status === 'rejected'
    })
  }

  /** Whether the record has lain in a scope that its author's device had left then: what became of it there was not read. */
  #hasLeft(item: Item, changes: readonly Change[]): boolean {
    const { left } = this.#read.of(item)
    if (left.size === 0) return false
    return changes.some(({ line: { collection, before, after } }) =>
      [before, after].some((values) =>
        scopesIn(this.#facts[collection], values ?? {})?.some((scope) => left.has(scope)),
      ),
    )
  }

  /** Whether it was written on what another mutation of that disk says, or, in a form, said, which the server did not take as it is. */
  #isOfRefused(items: readonly Item[], [field, value]: readonly [string, Json]): boolean {
    const [first] = items
    if (!first) return false
    const changes = this.#changes.get(`${first.write.first.collection}/${first.write.first.record}`) ?? []
    const gone = this.#isOfForm(items) ? this.#discarded : []
    return [...this.#book.itemsOn(first.disk).values(), ...gone].some((other) => {
      if (other.disk !== first.disk) return false
      if (items.includes(other) || other.write.first.record !== first.write.first.record) return false
      const says = other.payload.changes[field]
      if (says === undefined || !sameValue(says, value)) return false
      // The server may have named it otherwise for a unique key: who wrote it stands on that all the same.
      const outcome = this.#book.outcomeFor(other)
      const change = changes.find(
        ({ line }) => line.mutation === outcome?.id && line.device === outcome?.device,
      )
      const isNamed = change && wasNamed(change, field).some((mine) => sameValue(mine, value))
      return outcome?.status !== 'applied' && (!isNamed || this.#isOfForm(items))
    })
  }

  /**
   * Whether the author had seen what the same device wrote. In a form that was open before, only what was written, mended or tried again by then;
   * and where a collection is strict not even that, for it may have had no version yet. What lies in escrow is gone from
   * the device, and of what an operator accepts its author knows nothing before they have read it.
   */
  #hasSeenOwn(items: readonly Item[], { device, mutation, collection, acceptedBy }: ServerAudit): boolean {
    if (device === null || mutation === null || typeof acceptedBy === 'string') return false
    const opened = items.flatMap((item) => this.#read.of(item).openedTick ?? [])
    if (opened.length === 0) return true
    const outcome = this.#book.outcomeOf(device, mutation)
    const written = outcome && this.#book.membersOf(outcome)?.map((item) => this.#saidTick(item))
    return this.#facts[collection]?.isStrict !== true && Math.max(...(written ?? [])) < Math.min(...opened)
  }

  /** A refused edit that is mended or tried again. */
  #letterIn(o: Observation): Item | undefined {
    if (o.kind === 'entry-payload') return this.#book.itemOf(o.disk, o.id)
    const item = o.kind === 'entry-moved' ? this.#book.itemOf(o.disk, o.from.id) : undefined
    return item?.status === 'dead' ? item : undefined
  }

  /** When its author last said what it says. */
  #saidTick(item: Item): number {
    return this.#saidTicks.get(item.write.first.id) ?? this.#read.of(item).tick
  }

  /** Then the server cannot tell whether its author knew of another name that it gave what they had made. */
  #isOfForm(items: readonly Item[]): boolean {
    return items.some((item) => this.#read.of(item).openedTick !== undefined)
  }

  #isPlain({ disk, id, write }: Item): boolean {
    const { group, op, resolves } = write.first
    const isCopied = this.#read.isCopied(disk) || this.#again.has(id)
    return group === null && op !== 'create' && resolves === null && !isCopied
  }

  #isSettlement({ device, mutation, status }: ServerAudit): boolean {
    const isTaken = status === 'applied' || status === 'merged'
    const outcome = isTaken && device !== null && mutation !== null && this.#book.outcomeOf(device, mutation)
    const items = outcome ? this.#book.membersOf(outcome) : undefined
    return items?.some(({ write }) => write.first.resolves !== null) === true
  }

  #judgeDecisions(line: ServerAudit, meeting: Meeting): void {
    for (const [field, decisions] of decisionsOf(line.decisions))
      for (const { winner, rule } of decisions) {
        if (winner !== 'theirs') continue
        const isTouched = rule.startsWith('onDelete') ? isChanged(meeting) : this.#isTouched(field, meeting)
        if (!isTouched)
          this.#fail(
            `${line.mutation} gave way in ${field} of ${meeting.record} (${rule}), ${whatNobody(meeting)}`,
          )
      }
  }

  /** Fields that merge as one are changed together. */
  #isTouched(field: string, { collection, others, ownOnly }: Meeting): boolean {
    const group = this.#facts[collection]?.groups?.find((fields) => fields.includes(field)) ?? [field]
    return group.some((name) => ownOnly.has(name) || others.some((other) => touches(other, name)))
  }

  #isMet({ reason, fields = [], records }: DumpedConflict, meeting: Meeting): boolean {
    if (reason === 'unique' || records?.length !== 1) return true
    if (reason === 'delete') return isChanged(meeting) || meeting.isRemade
    // What waits in between hides from the server what else of its author's an edit stands on.
    if (this.#facts[meeting.collection]?.isStrict === true)
      return meeting.isWritten || meeting.ownOnly.size > 0
    return fields.some((field) => this.#isTouched(field, meeting))
  }

  #end({ server }: RunEnded): void {
    for (const conflict of server.conflicts) {
      const meeting = this.#meetings.get(conflict.mutation)
      if (!meeting || this.#isMet(conflict, meeting)) continue
      const { id, reason, fields = [] } = conflict
      this.#fail(
        `conflict ${id} over ${meeting.record} is about its ${fields.join(', ')} (${reason}), ${whatNobody(meeting)}`,
      )
    }
  }
}

/** Whether others changed anything of the record, or its author saw what the server did not have. */
function isChanged({ others, ownOnly }: Meeting): boolean {
  return others.length > 0 || ownOnly.size > 0
}

function whatNobody({ sinceVersion }: Meeting): string {
  return `which nobody else had changed since version ${sinceVersion}, up to which its device had read`
}

function touches({ line: { op, before, after }, isSettlement }: Change, field: string): boolean {
  if (isSettlement || op !== 'update') return true
  return Object.hasOwn(after ?? {}, field) || Object.hasOwn(before ?? {}, field)
}

/** Whether the server had this value when a device had read that far, or has had it since. */
function hasStood(
  changes: readonly Change[],
  [field, value]: readonly [string, Json],
  { sinceVersion, isOfForm }: { readonly sinceVersion: number; readonly isOfForm: boolean },
): boolean {
  const stood = changes.filter(({ line }) => line.op !== 'none' && Object.hasOwn(line.after ?? {}, field))
  const then = stood.findLast(({ version }) => version <= sinceVersion)
  const later = stood.filter(({ version }) => version > sinceVersion)
  const values = [then, ...later].flatMap((change) => [
    change?.line.after?.[field] ?? null,
    ...(change && !isOfForm ? wasNamed(change, field) : []),
  ])
  return values.some((standing) => sameValue(standing, value))
}

/** What a field would say if the server had not named it otherwise for the sake of a unique key. */
function wasNamed({ line }: Change, field: string): readonly Json[] {
  const decisions = decisionsOf(line.decisions).get(field) ?? []
  return decisions.flatMap(({ rule, mine }) => (rule === 'unique.rename' ? [mine] : []))
}
