import type { Json, Observation, ServerAudit, ServerMigrated } from './observation.ts'
import { sameValue, show } from './same-value.ts'

/** A record as the audit log has it. Of a deleted one the last values stay. */
export interface ModelRow {
  readonly collection: string
  readonly record: string
  version: number
  isLive: boolean
  values: Record<string, Json>
  /** When it was last edited, by its author's clock. */
  at: string
  /** The line that deleted it last; null for one that was never deleted. */
  deletion: ServerAudit | null
}

/** What a line changed, so that it can be taken back. */
interface Undo {
  readonly n: number
  readonly row: ModelRow
  readonly version: number
  readonly isLive: boolean
  readonly values: Record<string, Json>
  readonly at: string
  readonly deletion: ServerAudit | null
}

/**
 * Every row of the server, recomputed from its audit log alone, line by line. It knows nothing of schemas and rules: what
 * a line says has changed, has changed.
 */
export class AuditModel {
  readonly #rows = new Map<string, Map<string, ModelRow>>()
  readonly #undos: Undo[] = []

  /** Takes the next line. Returns in one sentence what is wrong with it; it counts all the same. */
  apply(line: ServerAudit): string | undefined {
    if (line.op === 'none') return undefined
    const row = this.#rowFor(line)
    const problem = problemOf(row, line)
    const { version, isLive, values, at, deletion } = row
    this.#undos.push({ n: line.n, row, version, isLive, values, at, deletion })
    row.version = line.version ?? row.version
    row.at = line.at
    switch (line.op) {
      case 'create':
        row.values = { ...line.after }
        row.isLive = true
        return problem
      case 'restore':
      case 'update':
        row.values = { ...row.values, ...line.after }
        // Somebody beside the server may edit a row that is marked as deleted; it stays deleted.
        row.isLive ||= line.op === 'restore'
        return problem
      case 'delete':
        row.values = { ...row.values, ...line.before, ...line.after }
        row.isLive = false
        row.deletion = line
        return problem
      default:
        line.op satisfies never
        return problem
    }
  }

  /** Takes in what happens to the log, and to what it says nothing of. */
  follow(o: Observation): void {
    if (o.kind === 'server-restored') this.#cut(o.auditN)
    else if (o.kind === 'server-migrated') this.#widen(o)
  }

  #widen({ columns }: ServerMigrated): void {
    for (const [collection, values] of Object.entries(columns))
      for (const row of this.rowsOf(collection)) row.values = { ...values, ...row.values }
  }

  /** Takes back every line after `auditN`. */
  #cut(auditN: number): void {
    for (let undo = this.#undos.at(-1); undo && undo.n > auditN; undo = this.#undos.at(-1)) {
      const { row, version, isLive, values, at, deletion } = undo
      Object.assign(row, { version, isLive, values, at, deletion })
      this.#undos.pop()
    }
  }

  /** A record, also a deleted one; undefined when the log never named it. */
  row(collection: string, record: string): ModelRow | undefined {
    return this.#rows.get(collection)?.get(record)
  }

  /** Every record of a collection, deleted ones included. */
  rowsOf(collection: string): Iterable<ModelRow> {
    return this.#rows.get(collection)?.values() ?? []
  }

  /** Names of all collections with records. */
  collections(): Iterable<string> {
    return this.#rows.keys()
  }

  #rowFor({ collection, record }: ServerAudit): ModelRow {
    let rows = this.#rows.get(collection)
    if (!rows) {
      rows = new Map()
      this.#rows.set(collection, rows)
    }
    let row = rows.get(record)
    if (!row) {
      row = { collection, record, version: 0, isLive: false, values: {}, at: '', deletion: null }
      rows.set(record, row)
    }
    return row
  }
}

function problemOf(row: ModelRow, line: ServerAudit): string | undefined {
  const name = `line ${line.n} on ${line.collection}/${line.record}`
  if (line.version === null) return `${name} changes the record without giving it a version`
  if (line.version <= row.version) {
    return `${name} goes from version ${row.version} back to ${line.version}`
  }
  // Whoever writes beside the server may edit and delete again what is marked as deleted.
  const isForeign = line.user === null
  if (line.op === 'create' && row.isLive) return `${name} creates a record that is there`
  if (line.op === 'restore' && row.isLive) return `${name} restores a record that is there`
  if ((line.op === 'update' || line.op === 'delete') && !row.isLive && !isForeign) {
    return `${name} is ${line.op} of a record that is not there`
  }
  if (line.op === 'create' || line.op === 'restore') return undefined
  for (const [field, value] of Object.entries(line.before ?? {})) {
    if (!sameValue(row.values[field], value)) {
      return `${name} says that ${field} was ${show(value)}, but the lines before it make it ${show(row.values[field])}`
    }
  }
  return undefined
}
