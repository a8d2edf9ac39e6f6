import type { Checker } from './checker.ts'
import type { GroupRead, Observation } from './observation.ts'
import { type Commit, type Item, RunBook } from './run-book.ts'

/**
 * All of a user transaction or none of it: for whoever reads, and in what the server rules, which it does for all of its
 * mutations at once and in one way. Rules: SIM-80.
 */
export const groupAtomicity: Checker = {
  name: 'group-atomicity',
  promise: 'Nobody ever sees half of a user transaction.',
  start: (fail) => {
    const watch = new GroupWatch(fail)
    return (o) => watch.observe(o)
  },
}

class GroupWatch {
  readonly #fail: (message: string) => void
  readonly #book: RunBook
  /** By disk and group: its mutations that the disk has, by key. */
  readonly #members = new Map<string, Map<string, Item>>()

  /**
   * Records about which a person kept theirs when a whole transaction was in dispute: the other records of it take mine,
   * so that they part by that person's will. And those of which a note says that a restored server lost what was done
   * there, while the rest was returned. Rules: CF-8, SY-25.
   */
  readonly #parted = new Set<string>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    const before = o.kind === 'entry-moved' ? this.#book.itemOf(o.disk, o.from.id) : undefined
    const item = this.#book.observe(o)
    switch (o.kind) {
      case 'group-read':
        this.#look(o)
        return
      case 'entry-written':
        this.#add(item)
        if (o.resolves !== null && o.group !== null && Object.keys(o.payload.changes).length === 0) {
          this.#parted.add(o.record)
        }
        return
      case 'entry-moved':
        this.#remove(before)
        this.#add(item)
        return
      case 'entry-gone':
        this.#remove(item)
        return
      case 'loss-noted':
        this.#parted.add(o.record)
        return
      case 'device-lost':
        for (const { id } of o.entries) this.#remove(this.#book.itemOf(o.disk, id))
        for (const { id } of o.back) this.#add(this.#book.itemOf(o.disk, id))
        return
      case 'device-copied':
        for (const { id } of o.entries) this.#add(this.#book.itemOf(o.to, id))
        return
      default:
        return
    }
  }

  #look({ marks, where, disk }: GroupRead): void {
    const records = Object.keys(marks)
    const first = records[0] === undefined ? null : marks[records[0]]
    const other = records.find((record) => marks[record] !== first)
    if (other === undefined || records.some((record) => this.#parted.has(record))) return
    const reader = where === 'server' ? 'a reader of the server' : `a reader on ${disk}`
    this.#fail(`${reader} saw ${records[0]} with the mark ${first} and ${other} with ${marks[other]}`)
  }

  #add(item: Item | undefined): void {
    const key = item && keyOf(item)
    if (key) this.#members.set(key, (this.#members.get(key) ?? new Map<string, Item>()).set(item.id, item))
  }

  #remove(item: Item | undefined): void {
    const key = item && keyOf(item)
    if (key) this.#members.get(key)?.delete(item.id)
  }

  #commit({ outcomes }: Commit): void {
    const now = new Set(outcomes)
    const ruled = new Map<string, { readonly kinds: Set<string>; readonly item: Item; count: number }>()
    for (const outcome of outcomes) {
      for (const item of this.#book.membersOf(outcome) ?? []) {
        const { group } = item.write.first
        if (group === null) continue
        const key = `${outcome.device} ${group}`
        const known = ruled.get(key) ?? { kinds: new Set(), item, count: 0 }
        known.kinds.add(outcome.status === 'merged' ? 'applied' : outcome.status)
        known.count += 1
        ruled.set(key, known)
      }
    }
    for (const { kinds, item, count } of ruled.values()) {
      const { group } = item.write.first
      if (kinds.size > 1)
        this.#fail(`of the transaction ${group} some are ${[...kinds].sort().join(' and some are ')}`)
      // What a copy of the disk had offered without the rest, which a person gave up there, was ruled on before.
      const open = [...(this.#members.get(keyOf(item) ?? '')?.values() ?? [])].filter((member) => {
        const verdict = this.#book.outcomeFor(member)
        return verdict === undefined || now.has(verdict)
      })
      if (count < open.length) {
        this.#fail(`the server ruled on ${count} of the ${open.length} mutations of the transaction ${group}`)
      }
    }
  }
}

function keyOf({ disk, write }: Item): string | undefined {
  const { group } = write.first
  return group === null ? undefined : `${disk} ${group}`
}
