import type { DatabaseSync, StatementSync } from 'node:sqlite'

import type {
  DumpedEscrow,
  EscrowRuled,
  Json,
  ServerAudit,
  ServerOutcome,
  Values,
} from '../check/observation.ts'
import { arrays, type Row } from './device-state.ts'
import type { DiskPorts } from './disk-ports.ts'

const outcomeColumns = 'd.user, d.device, o.seq, o.covers, o.id, o.status, o.version, o.code'

const auditColumns =
  'n, collection, record, version, op, user, device, mutation, at, before, after, status, decisions, code, accepted_by'

/** What is committed is told in the order in which it was written: the connection's own trigger, as on a device. */
const outcomeTrigger = `CREATE TEMP TRIGGER IF NOT EXISTS sim_outcome AFTER INSERT ON main.holdfast_outcomes BEGIN
  INSERT INTO sim_seen (user, device, seq, covers, id, status, version, code)
    SELECT ${outcomeColumns} FROM main.holdfast_devices d, (SELECT new.seq, new.covers, new.id, new.status, new.version, new.code) o
    WHERE d.n = new.device; END`

/** The same of what operators decide about edits in escrow. */
const escrowTrigger = `CREATE TEMP TRIGGER IF NOT EXISTS sim_escrow AFTER UPDATE OF status ON main.holdfast_escrow BEGIN
  INSERT INTO sim_ruled (user, device, id, status, verdict, version)
    VALUES (new.user, new.device, new.id, new.status, new.verdict, new.version); END`

/** Watches the server's database from outside: its verdicts, its audit log, and what becomes of escrow. Rules: SIM-15. */
export class ServerWitness {
  readonly #database: DatabaseSync
  readonly #ports: Pick<DiskPorts, 'observe' | 'nowMs'>
  readonly #seen: { all(): readonly Row[] }
  readonly #forget: StatementSync
  readonly #ruled: { all(): readonly Row[] }
  readonly #forgetRuled: StatementSync
  #audit: { all(n: number): readonly Row[] } | undefined
  #auditN = 0

  constructor(database: DatabaseSync, ports: Pick<DiskPorts, 'observe' | 'nowMs'>) {
    this.#database = database
    this.#ports = ports
    database.exec(
      `CREATE TEMP TABLE IF NOT EXISTS sim_seen (n INTEGER PRIMARY KEY, user, device, seq, covers, id, status, version, code);
       DELETE FROM sim_seen;
       CREATE TEMP TABLE IF NOT EXISTS sim_ruled (n INTEGER PRIMARY KEY, user, device, id, status, verdict, version);
       DELETE FROM sim_ruled`,
    )
    this.#seen = arrays(
      database,
      'SELECT user, device, seq, covers, id, status, version, code FROM sim_seen ORDER BY n',
    )
    this.#forget = database.prepare('DELETE FROM sim_seen')
    this.#ruled = arrays(
      database,
      'SELECT user, device, id, status, verdict, version FROM sim_ruled ORDER BY n',
    )
    this.#forgetRuled = database.prepare('DELETE FROM sim_ruled')
  }

  /** The newest line of the audit log; 0 before the first. */
  get auditN(): number {
    return this.#auditN
  }

  /** Tables may have been made. What is in the audit log of a file that was there before is known already. */
  lookAgain(isKnown: boolean): void {
    if (!hasServerTables(this.#database)) return
    this.#database.exec(outcomeTrigger)
    this.#database.exec(escrowTrigger)
    this.#audit ??= arrays(
      this.#database,
      `SELECT ${auditColumns} FROM main.holdfast_audit WHERE n > ? ORDER BY n`,
    )
    if (!isKnown) return
    const newest = this.#database.prepare('SELECT max(n) AS n FROM main.holdfast_audit').get()?.['n']
    this.#auditN = Number(newest ?? 0)
  }

  /** Tells what was committed since it was asked last: lines of the audit log, then rulings on escrow, then verdicts. */
  tell(): void {
    const atMs = this.#ports.nowMs()
    const lines = this.#audit?.all(this.#auditN) ?? []
    for (const line of lines) {
      this.#auditN = Number(line[0])
      this.#ports.observe(auditOf(line, atMs))
    }
    const ruled = this.#ruled.all()
    if (ruled.length > 0) this.#forgetRuled.run()
    for (const row of ruled) this.#ports.observe(ruledOf(row, atMs))
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

/** Edits in escrow as the server has them. */
export function readEscrow(database: DatabaseSync): readonly DumpedEscrow[] {
  if (!hasServerTables(database)) return []
  const rows = database.prepare('SELECT id, user, device, status FROM holdfast_escrow ORDER BY n').all()
  return rows.map(({ id, user, device, status }) => ({
    id: String(id),
    user: String(user),
    device: String(device),
    // The server writes no other.
    status: String(status) as DumpedEscrow['status'],
  }))
}

/** What an operator decided about an edit in escrow. */
export function ruledOf([user, device, id, status, verdict, version]: Row, atMs: number): EscrowRuled {
  return {
    kind: 'escrow-ruled',
    atMs,
    user: String(user),
    device: String(device),
    id: String(id),
    // The server writes no other.
    status: String(status) as EscrowRuled['status'],
    verdict: textOf(verdict) as EscrowRuled['verdict'],
    version: numberOf(version),
  }
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
    acceptedBy,
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
    ...(acceptedBy !== null && { acceptedBy: textOf(acceptedBy) }),
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
