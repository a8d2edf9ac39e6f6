import type { Checker } from './checker.ts'
import { AuditModel } from './model.ts'
import type { GrantsChanged, Observation, ServerAudit } from './observation.ts'
import { scopesIn } from './scopes-in.ts'
import type { SchemaFacts } from './schema-facts.ts'

/**
 * Nobody changes a record that lies in none of their scopes, and nobody makes one there. Whoever moves a record to where
 * they do not see it may. Rules: SIM-92.
 */
export function writeRights(facts: SchemaFacts): Checker {
  return {
    name: 'write-rights',
    promise: 'Nobody writes what they may not see.',
    start: (fail) => {
      const watch = new RightsWatch(fail, facts)
      return (o) => watch.observe(o)
    },
  }
}

/** A request that has begun goes on with the rights it found, ms. */
const oldRightsMs = 5_000

interface Rights {
  readonly scopes: ReadonlySet<string>
  readonly before: ReadonlySet<string>
  readonly sinceMs: number
}

class RightsWatch {
  readonly #fail: (message: string) => void
  readonly #facts: SchemaFacts
  readonly #model = new AuditModel()
  readonly #rights = new Map<string, Rights>()

  constructor(fail: (message: string) => void, facts: SchemaFacts) {
    this.#fail = fail
    this.#facts = facts
  }

  observe(o: Observation): void {
    this.#model.follow(o)
    if (o.kind === 'grants') this.#grant(o)
    else if (o.kind === 'audit') {
      this.#check(o)
      this.#model.apply(o)
    }
  }

  #grant({ user, scopes, atMs }: GrantsChanged): void {
    const before = this.#rights.get(user)?.scopes ?? new Set()
    this.#rights.set(user, { scopes: new Set(scopes), before, sinceMs: atMs })
  }

  #check(line: ServerAudit): void {
    const { collection, record, op, after, acceptedBy } = line
    // Whoever takes an edit out of escrow answers for it.
    const user = acceptedBy ?? line.user
    const rights = user === null ? undefined : this.#rights.get(user)
    if (op === 'none' || rights === undefined) return
    const row = this.#model.row(collection, record)
    const isNew = op === 'create' && row?.isLive !== true
    const values = isNew ? after : row?.isLive === true ? row.values : null
    // What somebody beside the server deleted, or what was there before the log, is not followed.
    if (values === null) return
    const scopes = scopesIn(this.#facts[collection], values)
    if (scopes === undefined || scopes.some((scope) => maySee(rights, scope, line.atMs))) return
    const where = scopes.length === 0 ? 'no scope' : scopes.join(' and ')
    this.#fail(`line ${line.n}: ${user} may not see ${where}, and did ${op} ${collection}/${record} there`)
  }
}

function maySee({ scopes, before, sinceMs }: Rights, scope: string, atMs: number): boolean {
  if (scopes.has('*') || scopes.has(scope)) return true
  return atMs - sinceMs < oldRightsMs && (before.has('*') || before.has(scope))
}
