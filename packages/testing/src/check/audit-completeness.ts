import type { Checker } from './checker.ts'
import { AuditModel } from './model.ts'
import type { Observation, RunEnded, ServerAudit, ServerDump } from './observation.ts'
import { type Commit, RunBook } from './run-book.ts'
import { sameValue, show } from './same-value.ts'

/**
 * Replaying the audit log gives every row of the server as it is, and log and verdicts say the same. Rules: SIM-33.
 */
export const auditCompleteness: Checker = {
  name: 'audit-completeness',
  promise: 'The audit log explains every row, and agrees with every verdict.',
  start: (fail) => {
    const watch = new AuditWatch(fail)
    return (o) => watch.observe(o)
  },
}

/** Refusals of what was read and understood. */
const judgedCodes: ReadonlySet<string> = new Set([
  'SCOPE_DENIED',
  'RECORD_NOT_FOUND',
  'UNIQUE_VIOLATION',
  'REFERENCE_MISSING',
  'TRANSITION_REFUSED',
  'DEPENDENCY_FAILED',
  'ESCROWED',
])

class AuditWatch {
  readonly #fail: (message: string) => void
  readonly #book: RunBook
  readonly #model = new AuditModel()
  #lastN = 0

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    this.#model.follow(o)
    if (o.kind === 'server-restored') this.#lastN = Math.min(this.#lastN, o.auditN)
    else if (o.kind === 'end') this.#end(o)
  }

  #commit({ outcomes, lines }: Commit): void {
    const written = new Map<string, ServerAudit>()
    for (const line of lines) {
      if (line.n <= this.#lastN) this.#fail(`line ${line.n} of the audit log comes after line ${this.#lastN}`)
      this.#lastN = line.n
      const problem = this.#model.apply(line)
      if (problem !== undefined) this.#fail(problem)
      if (line.device === null || line.mutation === null || line.status === 'lost') continue
      written.set(`${line.device} ${line.mutation}`, line)
      this.#compareLine(line, line.device, line.mutation)
    }
    // With what could not be read, which has no words that a line could repeat, falls all of its transaction.
    const isUnread = outcomes.some(
      ({ status, code }) => status === 'rejected' && !judgedCodes.has(code ?? ''),
    )
    for (const { device, id, status, version, code } of outcomes) {
      const line = written.get(`${device} ${id}`)
      const isJudged = status === 'conflict' || (status === 'rejected' && judgedCodes.has(code ?? ''))
      if (isJudged && line === undefined && !(isUnread && code === 'DEPENDENCY_FAILED'))
        this.#fail(`${id} was ${status}, but the audit log has no line of it`)
      if (version === null || (status !== 'applied' && status !== 'merged')) continue
      if (line === undefined || line.op === 'none') {
        this.#fail(`${id} was ${status} as version ${version}, but the audit log has no line of it`)
      } else if (line.version !== version) {
        this.#fail(
          `${id} was ${status} as version ${version}, but line ${line.n} gives version ${line.version}`,
        )
      }
    }
  }

  #compareLine(line: ServerAudit, device: string, mutation: string): void {
    const status = this.#book.outcomeOf(device, mutation)?.status
    if (status === undefined) this.#fail(`line ${line.n} is of ${mutation}, on which the server never ruled`)
    else if (status !== line.status) {
      this.#fail(`line ${line.n} says that ${mutation} was ${line.status}, but the verdict was ${status}`)
    }
  }

  #end({ server }: RunEnded): void {
    for (const [collection, rows] of Object.entries(server.collections)) {
      if (collection.startsWith('_')) continue
      const ids = new Set<string>()
      for (const { id, version, updatedAt, values } of rows) {
        ids.add(id)
        const name = `${collection}/${id}`
        const row = this.#model.row(collection, id)
        if (!row?.isLive) {
          this.#fail(`${name} is on the server, but the audit log ${row ? 'deleted it' : 'does not know it'}`)
          continue
        }
        if (row.version !== version) {
          this.#fail(`${name} is at version ${version}, but the audit log ends at ${row.version}`)
        }
        if (updatedAt !== null && row.at !== updatedAt) {
          this.#fail(`${name} says it was edited at ${updatedAt}, but the audit log says at ${row.at}`)
        }
        for (const field of new Set([...Object.keys(values), ...Object.keys(row.values)])) {
          if (sameValue(values[field] ?? null, row.values[field] ?? null)) continue
          this.#fail(
            `${name} has ${field} ${show(values[field])}, but the audit log makes it ${show(row.values[field])}`,
          )
        }
      }
      for (const row of this.#model.rowsOf(collection)) {
        if (row.isLive && !ids.has(row.record)) {
          this.#fail(
            `${collection}/${row.record} is gone from the server, but no line of the audit log deletes it`,
          )
        }
      }
    }
    this.#compareDeleted(server)
  }

  /** Tombstones may have been collected, so that there may be fewer than the log knows. */
  #compareDeleted({ deleted }: ServerDump): void {
    for (const [collection, tombstones] of Object.entries(deleted)) {
      if (collection.startsWith('_')) continue
      for (const { id, version } of tombstones) {
        const row = this.#model.row(collection, id)
        if (row && !row.isLive && row.version === version) continue
        const found = row ? `${row.isLive ? 'live' : 'deleted'} at version ${row.version}` : 'unknown'
        this.#fail(
          `${collection}/${id} is deleted at version ${version}, but to the audit log it is ${found}`,
        )
      }
    }
  }
}
