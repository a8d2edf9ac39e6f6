import type { Checker } from './checker.ts'
import { AuditModel } from './model.ts'
import type { EntryWritten, GrantsChanged, Observation, ServerAudit, ServerOutcome } from './observation.ts'
import { RunBook } from './run-book.ts'
import { scopesIn } from './scopes-in.ts'
import type { SchemaFacts } from './schema-facts.ts'

/**
 * Nothing goes to escrow of whoever lost no right: neither a scope, nor the sight of a record of theirs that was moved, or
 * of another one of the same transaction. Copies of disks, disks that are as they were earlier, and everything once a
 * server was put back are left out. Rules: SIM-104.
 */
export function escrowReason(facts: SchemaFacts): Checker {
  return {
    name: 'escrow-reason',
    promise: 'Only what its author may not see any more goes to escrow.',
    start: (fail) => {
      const watch = new SightWatch(fail, facts)
      return (o) => watch.observe(o)
    },
  }
}

class SightWatch {
  readonly #fail: (message: string) => void
  readonly #facts: SchemaFacts
  readonly #book = new RunBook()
  readonly #model = new AuditModel()
  readonly #grants = new Map<string, ReadonlySet<string>>()
  /** Who had a scope that they have not any more. */
  readonly #losers = new Set<string>()
  /** By user, records that lay where they did not see them. */
  readonly #hidden = new Map<string, Set<string>>()
  /** By transaction, its records. */
  readonly #groups = new Map<string, Set<string>>()
  /** Names of devices of which there are copies, or that are as they were earlier. */
  readonly #copies = new Set<string>()
  #isRestored = false

  constructor(fail: (message: string) => void, facts: SchemaFacts) {
    this.#fail = fail
    this.#facts = facts
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    this.#model.follow(o)
    switch (o.kind) {
      case 'grants':
        return this.#grant(o)
      case 'entry-written':
        return this.#note(o)
      case 'audit':
        return this.#hide(o)
      case 'device-lost':
      case 'device-copied':
        this.#copies.add(this.#book.deviceOf(o.disk))
        return
      case 'server-restored':
        this.#isRestored = true
        return
      case 'outcome':
        if (o.code === 'ESCROWED' && !this.#isRestored) this.#judge(o)
        return
      default:
    }
  }

  #grant({ user, scopes }: GrantsChanged): void {
    const now = new Set(scopes)
    const before = this.#grants.get(user) ?? new Set()
    if (!now.has('*') && [...before].some((scope) => !now.has(scope))) this.#losers.add(user)
    this.#grants.set(user, now)
  }

  #note({ group, collection, record }: EntryWritten): void {
    if (group === null) return
    const records = this.#groups.get(group) ?? new Set()
    this.#groups.set(group, records.add(`${collection}/${record}`))
  }

  #hide(line: ServerAudit): void {
    this.#model.apply(line)
    const { collection, record, op } = line
    const row = op === 'none' ? undefined : this.#model.row(collection, record)
    const scopes = row && scopesIn(this.#facts[collection], row.values)
    if (scopes === undefined) return
    for (const [user, granted] of this.#grants) {
      if (granted.has('*') || scopes.some((scope) => granted.has(scope))) continue
      const hidden = this.#hidden.get(user) ?? new Set()
      this.#hidden.set(user, hidden.add(`${collection}/${record}`))
    }
  }

  #judge(outcome: ServerOutcome): void {
    const { user, device, id } = outcome
    const items = this.#book.membersOf(outcome)
    if (!items || this.#losers.has(user) || this.#copies.has(device)) return
    const records = items.flatMap(({ write: { first } }) => [
      `${first.collection}/${first.record}`,
      ...(this.#groups.get(first.group ?? '') ?? []),
    ])
    if (records.some((record) => this.#hidden.get(user)?.has(record) === true)) return
    this.#fail(
      `${id} of ${device} went to escrow, but ${user} lost neither a scope nor sight of ${records.join(', ')}`,
    )
  }
}
