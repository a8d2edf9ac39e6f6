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
  /** By disk and group: how many of its mutations the disk has that are not ruled on. */
  readonly #sizes = new Map<string, number>()

  /**
   * Records about which a person kept theirs when a whole transaction was in dispute: the other records of it take mine,
   * so that they part by that person's will. Rules: CF-8.
   */
  readonly #parted = new Set<string>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    const item = this.#book.observe(o)
    switch (o.kind) {
      case 'group-read':
        this.#look(o)
        return
      case 'entry-written':
        if (item) this.#count(item, 1)
        if (o.resolves !== null && o.group !== null && Object.keys(o.payload.changes).length === 0) {
          this.#parted.add(o.record)
        }
        return
      case 'entry-gone':
        if (item) this.#count(item, -1)
        return
      case 'device-lost':
        for (const { id } of o.entries) {
          const lost = this.#book.itemOf(o.disk, id)
          if (lost) this.#count(lost, -1)
        }
        for (const { id } of o.back) {
          const back = this.#book.itemOf(o.disk, id)
          if (back) this.#count(back, 1)
        }
        return
      case 'device-copied':
        for (const { id } of o.entries) {
          const copy = this.#book.itemOf(o.to, id)
          if (copy) this.#count(copy, 1)
        }
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

  #count({ disk, write }: Item, difference: 1 | -1): void {
    const { group } = write.first
    if (group === null) return
    const key = `${disk} ${group}`
    this.#sizes.set(key, (this.#sizes.get(key) ?? 0) + difference)
  }

  #commit({ outcomes }: Commit): void {
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
      const size = this.#sizes.get(`${item.disk} ${group}`) ?? 0
      if (count < size) {
        this.#fail(`the server ruled on ${count} of the ${size} mutations of the transaction ${group}`)
      }
    }
  }
}
