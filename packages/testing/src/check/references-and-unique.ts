import type { Checker } from './checker.ts'
import { AuditModel } from './model.ts'
import type { Json, Observation, RunEnded, ServerAudit, Values } from './observation.ts'
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
    if (o.kind === 'server-restored') this.#model.cut(o.auditN)
    else if (o.kind === 'end') this.#end(o)
  }

  #commit({ lines }: Commit): void {
    // Records of one transaction may refer to each other, so that one may be written later than what refers to it.
    const open: Reference[] = []
    for (const line of lines) {
      this.#model.apply(line)
      if (line.op === 'none' || line.after === null) continue
      if (line.user === null) {
        if (this.#facts[line.collection]?.unique.some(({ fields }) => touches(line.after, fields))) {
          this.#foreign.add(`${line.collection}/${line.record}`)
        }
        continue
      }
      for (const [field, collection] of Object.entries(this.#facts[line.collection]?.references ?? {})) {
        const record = line.after[field]
        if (typeof record !== 'string') continue
        // A field that came back with its record as it was when that was deleted is checked as well.
        if (this.#model.row(collection, record)?.isLive !== true)
          open.push({ line, field, collection, record })
      }
    }
    for (const { line, field, collection, record } of open) {
      if (this.#model.row(collection, record)?.isLive === true) continue
      this.#fail(
        `line ${line.n} makes ${field} of ${line.collection}/${line.record} refer to ${collection}/${record}, which is not there`,
      )
    }
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
