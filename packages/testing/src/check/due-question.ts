import type { Checker } from './checker.ts'
import { decisionsOf } from './decisions-of.ts'
import { AuditModel } from './model.ts'
import type {
  EntryPayload,
  EntryWritten,
  Json,
  Observation,
  ServerAudit,
  ServerOutcome,
} from './observation.ts'
import { type Commit, type Item, RunBook } from './run-book.ts'
import { sameValue, show } from './same-value.ts'
import type { CollectionFacts, SchemaFacts } from './schema-facts.ts'
import { WhatWasRead } from './what-was-read.ts'

/**
 * Nothing of somebody else's is overwritten, or deleted, unseen and in silence: where others had changed what an
 * edit replaces since what its author's device had read when they wrote, a person is asked, or a decision holds both
 * values. It is told from what devices had read and what was written on them, never from what an edit says that its
 * author saw. Whose own value stands by now, as another may have decided, has seen it; so has whoever mended a
 * refused edit with it, in what stands on that. What it is mended with in a form saw what that showed, and what its
 * author had written by then, and a field that comes to it so, what was read by then. Of a `strict` record any
 * change is meant, and against a deletion any but of what adds up. Left out is what settles a conflict, what copies
 * of a disk write, what came out of escrow, creates, and everything once a server was put back. Rules: SIM-103.
 */
export function dueQuestion(facts: SchemaFacts): Checker {
  return {
    name: 'due-question',
    promise: 'What others changed unseen is not replaced in silence.',
    start: (fail) => {
      const watch = new SilenceWatch(fail, facts)
      return (o) => watch.observe(o)
    },
  }
}

/** What a line of the audit log did to a record. */
interface Change {
  readonly version: number
  readonly line: ServerAudit
  /** Who made it: a device, or somebody beside the server. */
  readonly by: string | null
}

/** What a mutation says of each field, and said before it was mended. */
interface Said {
  readonly id: string
  readonly words: Readonly<Record<string, Json>>[]
}

/** An edit that was taken, and what others had changed of its record. */
interface Taken {
  readonly name: string
  readonly line: ServerAudit
  readonly items: readonly Item[]
  readonly changes: readonly Change[]
  readonly facts: CollectionFacts | undefined
  /** Values before its line. */
  readonly stood: Readonly<Record<string, Json>>
}

class SilenceWatch {
  readonly #fail: (message: string) => void
  readonly #facts: SchemaFacts
  readonly #book: RunBook
  readonly #read = new WhatWasRead()
  readonly #model = new AuditModel()
  /** By record, in the order of the log. */
  readonly #changes = new Map<string, Change[]>()
  /** By disk and record, what was written there, in order. */
  readonly #lines = new Map<string, Said[]>()
  /** By key of a mutation, where it was written first. */
  readonly #places = new Map<string, string>()
  /** By key and field, how far had read, and how much had written, whoever mended that in a form. */
  readonly #mended = new Map<string, { readonly newest: number; readonly words: number }>()
  #isRestored = false

  constructor(fail: (message: string) => void, facts: SchemaFacts) {
    this.#fail = fail
    this.#facts = facts
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    const item = this.#book.observe(o)
    this.#read.observe(o)
    this.#model.follow(o)
    if (o.kind === 'server-restored') this.#isRestored = true
    if (o.kind === 'entry-payload' && item) this.#mend(o, item)
    if (o.kind === 'entry-written' && !this.#places.has(o.id)) this.#say(o)
  }

  #say({ id, disk, collection, record, op, payload }: EntryWritten): void {
    const place = `${disk} ${collection}/${record}`
    this.#places.set(id, place)
    const line = this.#lines.get(place) ?? []
    // Of what a create says nothing, its author has the default.
    const defaults = op === 'create' ? this.#facts[collection]?.defaults : {}
    line.push({ id, words: [{ ...defaults, ...payload.changes }] })
    this.#lines.set(place, line)
  }

  /** What a refused edit is mended with, what was written on it has seen, and whoever did that in a form saw what it showed. */
  #mend({ disk, atMs, payload: { changes } }: EntryPayload, { write: { first } }: Item): void {
    const { id, collection, record } = first
    const words = this.#lineOf(id).find((said) => said.id === id)?.words
    const before = words?.at(-1) ?? {}
    words?.push(changes)
    const { newest, openedTick } = this.#read.now({ disk, collection, record, atMs })
    for (const [field, value] of Object.entries(changes)) {
      // What it had said nothing of is written now, in a form or not.
      const isNew = !Object.hasOwn(before, field)
      if (!isNew && (openedTick === undefined || sameValue(before[field], value))) continue
      this.#mended.set(`${id} ${field}`, { newest, words: this.#lineOf(id).length })
    }
  }

  #lineOf(id: string): readonly Said[] {
    return this.#lines.get(this.#places.get(id) ?? '') ?? []
  }

  /** What was written there before a mutation was. */
  #before(id: string): readonly Said[] {
    const line = this.#lineOf(id)
    return line.slice(
      0,
      line.findIndex((said) => said.id === id),
    )
  }

  /** Every value that was written to a field there before a mutation was, or was mended in a form, and what that was mended with since. */
  #saidBefore(id: string, field: string): readonly Json[] {
    const words = this.#mended.get(`${id} ${field}`)?.words
    const before = words === undefined ? this.#before(id) : this.#lineOf(id).slice(0, words)
    return before.flatMap(({ words }) =>
      words.flatMap((changes) => (Object.hasOwn(changes, field) ? [changes[field] ?? null] : [])),
    )
  }

  #commit({ outcomes, lines }: Commit): void {
    if (this.#isRestored) return
    const taken = new Map(
      outcomes
        .filter(({ status }) => status === 'applied' || status === 'merged')
        .map((outcome) => [`${outcome.device} ${outcome.id}`, outcome]),
    )
    for (const line of lines) {
      const outcome = taken.get(`${line.device} ${line.mutation}`)
      if (outcome) this.#judge(line, outcome)
      this.#model.apply(line)
      if (line.op === 'none' || line.version === null) continue
      const record = `${line.collection}/${line.record}`
      const changes = this.#changes.get(record) ?? []
      changes.push({ version: line.version, line, by: line.device })
      this.#changes.set(record, changes)
    }
  }

  #judge(line: ServerAudit, outcome: ServerOutcome): void {
    if ((line.op !== 'update' && line.op !== 'delete') || typeof line.acceptedBy === 'string') return
    const items = this.#book.membersOf(outcome)
    if (!items || items.length === 0 || !items.every((item) => this.#isPlain(item))) return
    const record = `${line.collection}/${line.record}`
    const taken: Taken = {
      name: `${outcome.id} was ${outcome.status}`,
      line,
      items,
      changes: this.#changes.get(record) ?? [],
      facts: this.#facts[line.collection],
      stood: { ...this.#model.row(line.collection, line.record)?.values },
    }
    const problem = this.#ofRecord(taken) ?? this.#ofFields(taken)
    if (problem !== undefined) this.#fail(problem)
  }

  #isPlain({ disk, write }: Item): boolean {
    const { op, resolves } = write.first
    return op !== 'create' && resolves === null && !this.#read.isCopied(disk)
  }

  /** What others changed of its record since somebody had read so far. */
  #unseen({ line, changes }: Taken, newest: number): readonly Change[] {
    return changes.filter(({ version, by }) => version > newest && (by === null || by !== line.device))
  }

  /** A deletion, and any edit of a strict record. */
  #ofRecord(taken: Taken): string | undefined {
    const { name, line, items, facts } = taken
    const isStrict = facts?.isStrict === true
    const [first] = items
    const deletion = line.op === 'delete' ? items.find(({ write }) => write.first.op === 'delete') : undefined
    const item = isStrict ? first : deletion
    if (item === undefined) return undefined
    const adding = facts?.adding ?? []
    const fields = this.#unseen(taken, this.#read.of(item).newest).flatMap((change) =>
      fieldsOf(change).filter((field) => isStrict || !adding.includes(field)),
    )
    if (fields.length === 0 || (!isStrict && decisionsOf(line.decisions).size > 0)) return undefined
    const what = line.op === 'delete' ? 'deleted' : 'changed'
    return `${name} and ${what} ${placeOf(line)}, of which its author had not seen that ${[...new Set(fields)].join(', ')} changed`
  }

  #ofFields(taken: Taken): string | undefined {
    const { name, line, items, facts, stood } = taken
    if (line.op !== 'update') return undefined
    const decisions = decisionsOf(line.decisions)
    for (const field of Object.keys(line.after ?? {})) {
      if (facts?.adding?.includes(field)) continue
      const item = items.find(({ payload }) => Object.hasOwn(payload.changes, field))
      const unit = facts?.groups?.find((fields) => fields.includes(field)) ?? [field]
      if (!item || unit.some((each) => decisions.has(each))) continue
      const newest = this.#newestOf(item, field)
      const theirs = unit.find((each) => this.#isUnseen(taken, item, { field: each, newest }))
      if (theirs === undefined) continue
      return `${name} and replaced ${field} of ${placeOf(line)}, of which its author had not seen that ${theirs} was ${show(stood[theirs])}`
    }
    return undefined
  }

  /** How far its author had read: in the form that it was mended in, or, at least, that another was mended in which it stands on. */
  #newestOf(item: Item, field: string): number {
    const { id } = item.write.first
    const mended = (key: string): number | undefined => this.#mended.get(`${key} ${field}`)?.newest
    const below = this.#before(id).map((said) => mended(said.id) ?? 0)
    return Math.max(mended(id) ?? this.#read.of(item).newest, ...below)
  }

  /** Whether what stands in a field is somebody else's, and neither what its author had read nor what they had written. */
  #isUnseen(
    taken: Taken,
    item: Item,
    { field, newest }: { readonly field: string; readonly newest: number },
  ): boolean {
    const { changes, stood, facts } = taken
    const ofField = changes.filter((change) => fieldsOf(change).includes(field))
    const last = ofField.at(-1)
    if (last === undefined || !this.#unseen(taken, newest).includes(last)) return false
    const read = ofField.findLast(({ version }) => version <= newest)
    const said = this.#saidBefore(item.write.first.id, field)
    const stands = stood[field] ?? null
    // Before its first change it was what that says, as where it came with the column.
    const first = ofField[0]?.line.before?.[field] ?? null
    // A device has no values of what is deleted, and of a column that came later what it came with: the defaults.
    const hasDefault = read === undefined || read.line.op === 'delete'
    const defaults = hasDefault ? [facts?.defaults?.[field] ?? null] : []
    const seen = [read ? valueIn(read, field) : first, ...defaults, ...said]
    return !seen.some((value) => sameValue(value, stands))
  }
}

function placeOf({ collection, record }: ServerAudit): string {
  return `${collection}/${record}`
}

/** What a field was after a change; of a deleted record the last values stay. */
function valueIn({ line: { op, before, after } }: Change, field: string): Json {
  return after?.[field] ?? (op === 'delete' ? before?.[field] : null) ?? null
}

/** What of a record a change touched. */
function fieldsOf({ line: { before, after } }: Change): readonly string[] {
  return Object.keys({ ...before, ...after })
}
