import type { Checker } from './checker.ts'
import { eachCovered } from './covered-numbers.ts'
import type { Observation, ServerAudit, ServerOutcome, ServerRestored } from './observation.ts'
import { type Commit, RunBook, type Write } from './run-book.ts'

/**
 * A number, a key and a write take effect once, under whatever key a write was offered again and from whatever copy of
 * the disk it was written on. Rules: SIM-31.
 */
export const exactlyOnce: Checker = {
  name: 'exactly-once',
  promise: 'Every mutation takes effect at most once, however often it is offered.',
  start: (fail) => {
    const watch = new EffectWatch(fail)
    return (o) => watch.observe(o)
  },
}

interface Effect {
  readonly n: number
  readonly key: string
  readonly writes: readonly Write[]
}

class EffectWatch {
  readonly #fail: (message: string) => void
  readonly #book: RunBook
  /** By user and device: the key that made a number final. */
  readonly #numbers = new Map<string, Map<number, string>>()
  readonly #keys = new Set<string>()
  /** In order of `n`, so that a restored server can take them back. */
  readonly #effects: Effect[] = []
  readonly #lines = new Map<string, number>()
  readonly #writes = new Map<Write, number>()

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    if (o.kind === 'outcome') this.#claim(o)
    else if (o.kind === 'server-restored') this.#restore(o)
  }

  #claim({ user, device, id, covers }: ServerOutcome): void {
    const who = `${user} ${device}`
    if (this.#keys.has(`${who} ${id}`)) this.#fail(`the server ruled twice on the key ${id}`)
    this.#keys.add(`${who} ${id}`)
    const numbers = this.#numbers.get(who) ?? new Map<number, string>()
    this.#numbers.set(who, numbers)
    eachCovered(covers, (number) => {
      const other = numbers.get(number)
      if (other !== undefined && other !== id) {
        this.#fail(`number ${number} of ${device} is final under two keys: ${other} and ${id}`)
      }
      numbers.set(number, id)
    })
  }

  #commit({ lines }: Commit): void {
    for (const line of lines) if (line.op !== 'none' && line.device !== null) this.#take(line, line.device)
  }

  #take({ n, user, mutation, record }: ServerAudit, device: string): void {
    if (mutation === null) return
    const key = `${user} ${device} ${mutation}`
    const earlier = this.#lines.get(key)
    if (earlier !== undefined)
      this.#fail(`the mutation ${mutation} took effect twice: lines ${earlier} and ${n}`)
    this.#lines.set(key, n)
    const outcome = this.#book.outcomeOf(device, mutation)
    const writes = ((outcome && this.#book.membersOf(outcome)) ?? []).map(({ write }) => write)
    for (const write of writes) {
      const before = this.#writes.get(write)
      if (before !== undefined && earlier === undefined) {
        this.#fail(
          `what ${write.first.id} wrote to ${record} took effect in line ${before} and again, as ${mutation}, in line ${n}`,
        )
      }
      this.#writes.set(write, n)
    }
    this.#effects.push({ n, key, writes })
  }

  #restore({ auditN, forgotten }: ServerRestored): void {
    for (let last = this.#effects.at(-1); last && last.n > auditN; last = this.#effects.at(-1)) {
      this.#effects.pop()
      this.#lines.delete(last.key)
      for (const write of last.writes) this.#writes.delete(write)
    }
    for (const { user, device, id, covers } of forgotten) {
      const who = `${user} ${device}`
      this.#keys.delete(`${who} ${id}`)
      const numbers = this.#numbers.get(who)
      eachCovered(covers, (number) => {
        numbers?.delete(number)
      })
    }
  }
}
