import type { DatabaseSync, StatementSync } from 'node:sqlite'

import type { Json, ServerAudit, ServerOutcome, Values } from '../check/observation.ts'
import { arrays, type Row } from './device-state.ts'
import type { DiskPorts } from './disk-ports.ts'

const outcomeColumns = 'd.user, d.device, o.seq, o.covers, o.id, o.status, o.version, o.code'

const auditColumns =
  'n, collection, record, version, op, user, device, mutation, at, before, after, status, decisions, code'

/** What is committed is told in the order in which it was written: the connection's own trigger, as on a device. */
const outcomeTrigger = `CREATE TEMP TRIGGER IF NOT EXISTS sim_outcome AFTER INSERT ON main.holdfast_outcomes BEGIN
  INSERT INTO sim_seen (user, device, seq, covers, id, status, version, code)
    SELECT ${outcomeColumns} FROM main.holdfast_devices d, (SELECT new.seq, new.covers, new.id, new.status, new.version, new.code) o
    WHERE d.n = new.device; END`

/** Watches the server's database from outside: its verdicts and its audit log. Rules: SIM-15. */
export class ServerWitness {
  readonly #database: DatabaseSync
  readonly #ports: Pick<DiskPorts, 'observe' | 'nowMs'>
  readonly #seen: { all(): readonly Row[] }
  readonly #forget: StatementSync
  #audit: { all(n: number): readonly Row[] } | undefined
  #auditN = 0

  constructor(database: DatabaseSync, ports: Pick<DiskPorts, 'observe' | 'nowMs'>) {
    this.#database = database
    this.#ports = ports
    database.exec(
      `CREATE TEMP TABLE IF NOT EXISTS sim_seen (n INTEGER PRIMARY KEY, user, device, seq, covers, id, status, version, code);
       DELETE FROM sim_seen`,
    )
    this.#seen = arrays(
      database,
      'SELECT user, device, seq, covers, id, status, version, code FROM sim_seen ORDER BY n',
    )
    this.#forget = database.prepare('DELETE FROM sim_seen')
  }

  /** The newest line of the audit log; 0 before the first. */
  get auditN(): number {
    return this.#auditN
  }

  /** Tables may have been made. What is in the audit log of a file that was there before is known already. */
  lookAgain(isKnown: boolean): void {
    if (!hasServerTables(this.#database)) return
    this.#database.exec(outcomeTrigger)
    this.#audit ??= arrays(
      this.#database,
      `SELECT ${auditColumns} FROM main.holdfast_audit WHERE n > ? ORDER BY n`,
    )
    if (!isKnown) return
    const newest = this.#database.prepare('SELECT max(n) AS n FROM main.holdfast_audit').get()?.['n']
    this.#auditN = Number(newest ?? 0)
  }

  /** Tells what was committed since it was asked last: lines of the audit log, then verdicts. */
  tell(): void {
    const atMs = this.#ports.nowMs()
    const lines = this.#audit?.all(this.#auditN) ?? []
    for (const line of lines) {
      this.#auditN = Number(line[0])
      this.#ports.observe(auditOf(line, atMs))
    }
    const outcomes = this.#seen.all()
    if (outcomes.length === 0) return
    this.#forget.run()
    for (const row of outcomes) this.#ports.observe(outcomeOf(row, atMs))
  }
}

/** Whether the server has made its tables. */
export function hasServerTables(database: DatabaseSync): boolean {
  const found = database
    .prepare("SELECT count(*) AS n FROM main.sqlite_schema WHERE name = 'holdfast_audit'")
    .get()
  return found?.['n'] === 1
}

/** Every verdict the server still knows. */
export function readOutcomes(database: DatabaseSync, atMs: number): readonly ServerOutcome[] {
  if (!hasServerTables(database)) return []
  const rows = arrays(
    database,
    `SELECT ${outcomeColumns} FROM holdfast_outcomes o JOIN holdfast_devices d ON d.n = o.device ORDER BY o.device, o.seq`,
  ).all()
  return rows.map((row) => outcomeOf(row, atMs))
}

/** A verdict from a row of `outcomeColumns`. */
export function outcomeOf(row: Row, atMs: number): ServerOutcome {
  const [user, device, seq, covers, id, status, version, code] = row
  return {
    kind: 'outcome',
    atMs,
    user: String(user),
    device: String(device),
    seq: Number(seq),
    covers: String(covers),
    id: String(id),
    // The server writes no other.
    status: String(status) as ServerOutcome['status'],
    version: numberOf(version),
    code: textOf(code),
  }
}

/** A line of the log from a row of `auditColumns`. */
export function auditOf(row: Row, atMs: number): ServerAudit {
  const [
    n,
    collection,
    record,
    version,
    op,
    user,
    device,
    mutation,
    at,
    before,
    after,
    status,
    decisions,
    code,
  ] = row
  return {
    kind: 'audit',
    atMs,
    n: Number(n),
    collection: String(collection),
    record: String(record),
    version: numberOf(version),
    // The server writes no other.
    op: String(op) as ServerAudit['op'],
    user: textOf(user),
    device: textOf(device),
    mutation: textOf(mutation),
    at: String(at),
    before: valuesOf(before),
    after: valuesOf(after),
    status: String(status),
    decisions: decisions === '[]' ? [] : parseJson(String(decisions)),
    code: textOf(code),
  }
}

function valuesOf(text: unknown): Values | null {
  // A JSON object of field values, by the layout of the table.
  return typeof text === 'string' ? (parseJson(text) as Values) : null
}

function parseJson(text: string): Json {
  // JSON.parse returns JSON by definition; its type says any.
  return JSON.parse(text) as Json
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}
