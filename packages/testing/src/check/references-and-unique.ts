import type { Checker } from './checker.ts'
import { AuditModel } from './model.ts'
import type { Json, Observation, RunEnded, ServerAudit, ServerOutcome, Values } from './observation.ts'
import { type Commit, RunBook } from './run-book.ts'
import type { SchemaFacts } from './schema-facts.ts'

/**
 * A mutation never makes a record refer to one that is not there, and no two records have the same unique key. A record
 * that others refer to may be deleted later, and writers beside the server are held to neither. Rules: SIM-83.
 */
export function referencesAndUnique(facts: SchemaFacts): Checker {
  return {
    name: 'references-and-unique',
    promise: 'References were to records that were there, and unique keys are unique.',
    start: (fail) => {
      const watch = new KeyWatch(fail, facts)
      return (o) => watch.observe(o)
    },
  }
}

interface Reference {
  readonly line: ServerAudit
  readonly field: string
  readonly collection: string
  readonly record: string
}

class KeyWatch {
  readonly #fail: (message: string) => void
  readonly #facts: SchemaFacts
  readonly #book: RunBook
  readonly #model = new AuditModel()
  /** Records that somebody beside the server gave a key. */
  readonly #foreign = new Set<string>()

  constructor(fail: (message: string) => void, facts: SchemaFacts) {
    this.#fail = fail
    this.#facts = facts
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    this.#model.follow(o)
    if (o.kind === 'end') this.#end(o)
  }

  #commit({ lines, outcomes }: Commit): void {
    const groups = new Map(outcomes.map((outcome) => [outcome.id, this.#groupOf(outcome)]))
    // Records of one transaction may refer to each other, so that one may be written later than what refers to it.
    let open: readonly Reference[] = []
    let group: string | undefined
    for (const line of lines) {
      const next = groups.get(line.mutation ?? '')
      // A commit holds several transactions, and a later one may delete what an earlier one referred to.
      if (next !== undefined && next !== group) {
        this.#close(open)
        open = []
        group = next
      }
      this.#model.apply(line)
      open = [...open, ...this.#openIn(line)]
    }
    this.#close(open)
  }

  /** What was written as one; undefined when nobody was seen offering it. */
  #groupOf(outcome: ServerOutcome): string | undefined {
    const [first] = this.#book.membersOf(outcome) ?? []
    return first && (first.write.first.group ?? outcome.id)
  }

  /** References of a line to records that are not there yet. */
  #openIn(line: ServerAudit): readonly Reference[] {
    const { op, after, user } = line
    // An edit that is folded with the deletion after it makes nothing refer to anything.
    if (op === 'none' || op === 'delete' || after === null) return []
    const { references = {}, unique = [] } = this.#facts[line.collection] ?? {}
    if (user === null) {
      if (unique.some(({ fields }) => touches(after, fields)))
        this.#foreign.add(`${line.collection}/${line.record}`)
      return []
    }
    // A field that came back with its record as it was when that was deleted is checked as well.
    return Object.entries(references).flatMap(([field, collection]): readonly Reference[] => {
      const record = after[field]
      return typeof record === 'string' && !this.#isThere(collection, record)
        ? [{ line, field, collection, record }]
        : []
    })
  }

  #close(open: readonly Reference[]): void {
    for (const { line, field, collection, record } of open) {
      if (this.#isThere(collection, record)) continue
      this.#fail(
        `line ${line.n} makes ${field} of ${line.collection}/${line.record} refer to ${collection}/${record}, which is not there`,
      )
    }
  }

  #isThere(collection: string, record: string): boolean {
    return this.#model.row(collection, record)?.isLive === true
  }

  #end({ server }: RunEnded): void {
    for (const [collection, rows] of Object.entries(server.collections)) {
      for (const { fields, ignoresCase } of this.#facts[collection]?.unique ?? []) {
        const owners = new Map<string, string>()
        for (const { id, values } of rows) {
          const key = keyOf(values, fields, ignoresCase)
          if (key === undefined || this.#foreign.has(`${collection}/${id}`)) continue
          const owner = owners.get(key)
          if (owner !== undefined) {
            this.#fail(
              `${collection}/${owner} and ${collection}/${id} have the same ${fields.join(', ')}: ${key}`,
            )
          }
          owners.set(key, id)
        }
      }
    }
  }
}

function touches(values: Values | null, fields: readonly string[]): boolean {
  return values !== null && fields.some((field) => Object.hasOwn(values, field))
}

/** What a row occupies of a key; undefined when a field of it is null. */
function keyOf(values: Values, fields: readonly string[], ignoresCase: boolean): string | undefined {
  const parts: Json[] = []
  for (const field of fields) {
    const value = values[field] ?? null
    if (value === null) return undefined
    if (typeof value !== 'string') parts.push(value)
    else parts.push(ignoresCase ? value.normalize('NFC').toUpperCase().toLowerCase() : value.normalize('NFC'))
  }
  return JSON.stringify(parts)
}
