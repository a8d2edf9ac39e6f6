import type { Checker } from './checker.ts'
import type {
  DumpedConflict,
  Observation,
  RunEnded,
  ServerAudit,
  ServerRestored,
  Values,
} from './observation.ts'
import { type Commit, type Item, RunBook } from './run-book.ts'
import { show } from './same-value.ts'
import { lastWords, setsLists, speaksOfMembers } from './set-words.ts'

/**
 * What is in a set in the end is what people said of its members. A word on a member (it is in, it is out) is overruled
 * by a word that was accepted and said by somebody who knew of it: later on the same disk, or having seen the version it
 * made. Where all that is left says the same, so does the set; where it differs either is right. Who settles a conflict
 * repeats the word of the edit in dispute, so that what its author said later overrules it, unless whoever settled it had
 * seen that. What everybody else knows of a set comes from the audit log. A set is a field that somebody added to or
 * removed from. Rules: SIM-86.
 */
export const setMembers: Checker = {
  name: 'set-members',
  promise: 'A member is in a set if and only if the last who spoke of it put it there.',
  start: (fail) => {
    const watch = new MemberWatch(fail)
    return (o) => watch.observe(o)
  },
}

/** Something that took effect and speaks of members. */
interface Spoken {
  readonly outcome: string
  readonly version: number | null
  /** How often the server had been restored: versions of later histories say nothing about earlier ones. */
  readonly history: number
  readonly items: readonly Item[]
  /** It came out of escrow: while it was there, its author's device did not show it. */
  readonly isAccepted: boolean
}

interface RecordBook {
  /** As in `items/r1`. */
  readonly name: string
  /** False when what was in its sets before `spoken` is not known. */
  isWhole: boolean
  /** The line since which this is so. */
  sinceN: number
  spoken: Spoken[]
}

/** A word on a member, as it counts in the end. */
interface Word {
  readonly isIn: boolean
  /** Who said it first. */
  readonly by: Item
  /** Who repeated it to settle a conflict. */
  readonly through: Item | null
  readonly spoken: Spoken
}

class MemberWatch {
  readonly #fail: (message: string) => void
  readonly #book = new RunBook((commit) => this.#commit(commit))
  readonly #records = new Map<string, RecordBook>()
  /** By collection, the fields that are sets. */
  readonly #fields = new Map<string, Set<string>>()
  /** By key, what was put in dispute; by group, all of it. */
  readonly #disputed = new Map<string, readonly Item[]>()
  readonly #disputedGroups = new Map<string, Item[]>()
  readonly #losses = new Map<string, number>()
  /** Writes of disks that lost something before, with how often. */
  readonly #generations = new Map<Item['write'], number>()
  #history = 0

  constructor(fail: (message: string) => void) {
    this.#fail = fail
  }

  observe(o: Observation): void {
    const item = this.#book.observe(o)
    switch (o.kind) {
      case 'entry-written': {
        const losses = this.#losses.get(o.disk)
        if (losses !== undefined && item) this.#generations.set(item.write, losses)
        return
      }
      case 'device-lost':
        this.#losses.set(o.disk, (this.#losses.get(o.disk) ?? 0) + 1)
        return
      case 'server-restored':
        this.#forget(o)
        return
      case 'end':
        this.#end(o)
        return
      default:
        return
    }
  }

  #commit({ lines }: Commit): void {
    for (const line of lines) {
      const { device, mutation } = line
      const outcome =
        device === null || mutation === null ? undefined : this.#book.outcomeOf(device, mutation)
      const items = outcome && this.#book.membersOf(outcome)
      if (outcome?.status === 'conflict') this.#dispute(outcome.id, items ?? [])
      this.#turnPage(line, items)
      if (!items?.some(speaksOfMembers) || (outcome?.status !== 'applied' && outcome?.status !== 'merged'))
        continue
      for (const item of items) this.#noteFields(item)
      // Of what its author deleted with it nothing is said.
      if (items.at(-1)?.write.first.op === 'delete') continue
      const { version, id } = outcome
      const book = this.#records.get(`${line.collection}/${line.record}`)
      const isAccepted = typeof line.acceptedBy === 'string'
      book?.spoken.push({ outcome: `${device} ${id}`, version, history: this.#history, items, isAccepted })
    }
  }

  #noteFields({ payload, write }: Item): void {
    const { collection } = write.first
    let fields = this.#fields.get(collection)
    if (!fields) this.#fields.set(collection, (fields = new Set()))
    for (const field in payload.additions) fields.add(field)
    for (const field in payload.removals) fields.add(field)
  }

  #dispute(id: string, items: readonly Item[]): void {
    this.#disputed.set(id, items)
    for (const item of items) {
      const { group } = item.write.first
      if (group === null) continue
      const known = this.#disputedGroups.get(group)
      if (known) known.push(item)
      else this.#disputedGroups.set(group, [item])
    }
  }

  /** Some lines make all that was said before of no account. */
  #turnPage(
    { op, n, status, collection, record, after }: ServerAudit,
    items: readonly Item[] | undefined,
  ): void {
    if (op === 'none' || status === 'lost') return
    const isFirst = (item: Item): boolean => op === 'create' && item.write.first.op === 'create'
    const isUnknown =
      items === undefined
        ? op !== 'update' || hasLists(after)
        : items.some((item) => setsLists(item) && !isFirst(item))
    if (op === 'update' && !isUnknown) return
    // A new record has what its author put in it. One that comes back has what was in it when it was deleted.
    const page = { isWhole: op === 'create' && !isUnknown, sinceN: n, spoken: [] }
    const key = `${collection}/${record}`
    const known = this.#records.get(key)
    if (known) Object.assign(known, page)
    else this.#records.set(key, { name: key, ...page })
  }

  #forget({ forgotten, unruled = [], auditN }: ServerRestored): void {
    this.#history += 1
    const gone = new Set([...forgotten, ...unruled].map(({ device, id }) => `${device} ${id}`))
    for (const book of this.#records.values()) {
      book.spoken = book.spoken.filter(({ outcome }) => !gone.has(outcome))
      if (book.sinceN > auditN) book.isWhole = false
    }
  }

  #end({ server }: RunEnded): void {
    const conflicts = new Map(server.conflicts.map((conflict) => [conflict.id, conflict]))
    for (const [collection, rows] of Object.entries(server.collections)) {
      const fields = this.#fields.get(collection) ?? []
      for (const { id, values } of rows) {
        const book = this.#records.get(`${collection}/${id}`)
        if (!book) continue
        for (const field of fields) {
          const standing = values[field]
          this.#judge(book, { field, standing: Array.isArray(standing) ? standing : [], conflicts })
        }
      }
    }
  }

  #judge(book: RecordBook, { field, standing, conflicts }: Judged): void {
    const words = new Map<unknown, Word[]>(standing.map((member) => [member, []]))
    for (const spoken of book.spoken) {
      for (const [member, { item, isIn }] of lastWords(spoken.items, field)) {
        const by = this.#origin(item, { field, member, isIn }, conflicts)
        const word = { isIn, by, through: by === item ? null : item, spoken }
        const known = words.get(member)
        if (known) known.push(word)
        else words.set(member, [word])
      }
    }
    for (const [member, said] of words) {
      if (said.length === 0 && !book.isWhole) continue
      const left = said.filter((word) => !said.some((other) => this.#overrules(other, word)))
      const isIn = standing.includes(member)
      // Two who knew nothing of each other: whoever came to the server last.
      if (left.some((word) => word.isIn === isIn)) continue
      const what = `${show(member)} is ${isIn ? '' : 'not '}in ${field} of ${book.name}`
      const [last] = left
      if (last)
        this.#fail(
          `${what}, but ${last.by.id} ${isIn ? 'took it out' : 'put it there'} and nobody later did otherwise`,
        )
      else if (isIn) this.#fail(`${what}, and nobody put it there`)
    }
  }

  /** The edit whose word a settlement repeats; itself when it says something of its own. */
  #origin(item: Item, word: OfMember, conflicts: ReadonlyMap<string, DumpedConflict>): Item {
    let origin = item
    const seen = new Set<Item>()
    while (!seen.has(origin)) {
      seen.add(origin)
      const { resolves, record } = origin.write.first
      const conflict = resolves === null ? undefined : conflicts.get(resolves)
      const lead = conflict && this.#disputed.get(conflict.mutation)
      const group = lead?.[0]?.write.first.group ?? null
      const all = (group === null ? lead : this.#disputedGroups.get(group)) ?? []
      const ofRecord = all.filter(({ write }) => write.first.record === record)
      const said = lastWords(ofRecord, word.field).get(word.member)
      if (said?.isIn !== word.isIn) return origin
      origin = said.item
    }
    return origin
  }

  #overrules(later: Word, word: Word): boolean {
    if (!this.#knows(later.by, word)) return false
    // Whoever settles with the removal in view, and puts the member there all the same, has said it anew.
    return word.through === null || !this.#hasSeen(word.through, later.spoken)
  }

  #knows(item: Item, { by, spoken }: Word): boolean {
    if (this.#hasSeen(item, spoken)) return true
    const [mine, theirs] = [item.write.first, by.write.first]
    // A decision passes what waits, and is no word on it.
    if (mine.resolves !== null || spoken.isAccepted || item.disk !== by.disk) return false
    const [now, then] = [this.#generations.get(item.write), this.#generations.get(by.write)]
    return now === then && mine.seq > theirs.seq && item.seq > by.seq
  }

  #hasSeen({ write }: Item, { version, history }: Spoken): boolean {
    return version !== null && history === 0 && write.first.baseVersion >= version
  }
}

interface OfMember {
  readonly field: string
  readonly member: unknown
  readonly isIn: boolean
}

interface Judged {
  readonly field: string
  readonly standing: readonly unknown[]
  readonly conflicts: ReadonlyMap<string, DumpedConflict>
}

function hasLists(values: Values | null): boolean {
  for (const field in values) if (Array.isArray(values[field])) return true
  return false
}
