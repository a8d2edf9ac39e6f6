import { DatabaseSync } from 'node:sqlite'

import { halvesOf } from './device-work.ts'
import { type Deed, type Fate, type JournalEntry, readJournal } from './journal.ts'

/** One device of a run, after it was closed. */
export interface AuditedDevice {
  readonly name: string
  readonly path: string
  /** The notebooks of every process that had the file open. */
  readonly journals: readonly string[]
}

/** What the audit found. */
export interface AuditReport {
  /** What was promised and is not so. Empty when all is well. */
  readonly violations: readonly string[]
  readonly writes: Readonly<Record<Fate, number>>
  /** Writes that somebody took back, of which the server never heard. */
  readonly givenUp: number
}

interface Told extends JournalEntry {
  readonly device: string
}

type Row = Readonly<Record<string, unknown>>

/** Writes of a process that died before it heard, on one counter: more are too many to try all sums. */
const unknownCounts = 20

/**
 * Holds what the apps were told against what there is: no acknowledged write without its outcome, each count once,
 * transactions whole, devices like the server, nothing stuck, no file damaged. Rules: SIM-66.
 */
export function auditFiles(serverPath: string, devices: readonly AuditedDevice[]): AuditReport {
  const violations: string[] = []
  const told: Told[] = []
  const givenUp: string[] = []
  for (const { name, journals } of devices) {
    for (const path of journals) {
      const { entries, torn, givenUp: taken } = readJournal(path)
      givenUp.push(...taken)
      told.push(...entries.map((entry) => ({ ...entry, device: name })))
      violations.push(...torn.map((what) => `${name} read half of a transaction: ${what}`))
    }
  }
  const server = new DatabaseSync(serverPath)
  violations.push(...integrityOf(server, 'server'))
  const dead: string[] = []
  for (const device of devices) {
    const file = new DatabaseSync(device.path)
    violations.push(...integrityOf(file, device.name), ...auditDevice(device.name, file, server))
    dead.push(...texts(file, "SELECT payload AS text FROM _outbox WHERE status = 'dead'"))
    file.close()
  }
  const live = (table: string): Map<string, Row> => liveRows(server, table)
  const items = live('items')
  violations.push(
    ...auditCounts(told, items),
    ...auditTags(told, items),
    ...auditPairs(told, live('pairs')),
    ...auditTexts(told, live('notes'), knownTexts(server, [...dead, ...givenUp])),
    ...auditEffects(server),
  )
  server.close()
  const count = (fate: Fate): number => told.filter((entry) => entry.fate === fate).length
  return {
    violations,
    writes: { durable: count('durable'), unknown: count('unknown'), refused: count('refused') },
    givenUp: givenUp.length,
  }
}

/** Whether a file is sound and no transaction in it is half there: also right after a kill. */
export function auditFile(path: string, name: string): string[] {
  const file = new DatabaseSync(path)
  try {
    file.exec('PRAGMA busy_timeout = 5000')
    return integrityOf(file, name)
  } finally {
    file.close()
  }
}

function integrityOf(file: DatabaseSync, name: string): string[] {
  const found = file
    .prepare('PRAGMA integrity_check')
    .all()
    .map((row) => String(row['integrity_check']))
  const violations = found
    .filter((line) => line !== 'ok')
    .map((line) => `${name}: the file is damaged: ${line}`)
  const tables = texts(file, "SELECT name AS text FROM sqlite_schema WHERE type = 'table'")
  if (!tables.includes('pairs')) return violations
  const isDeleted = texts(file, "SELECT name AS text FROM pragma_table_info('pairs')").includes('deleted_at')
  const torn = file
    .prepare(
      `SELECT pair FROM pairs ${isDeleted ? 'WHERE deleted_at IS NULL' : ''}
       GROUP BY pair HAVING count(*) <> 2 OR min(value) <> max(value)`,
    )
    .all()
  return [
    ...violations,
    ...torn.map(({ pair }) => `${name}: half of the transaction of pair ${pair} is there`),
  ]
}

function auditDevice(name: string, file: DatabaseSync, server: DatabaseSync): string[] {
  const violations: string[] = []
  for (const row of file.prepare("SELECT * FROM _outbox WHERE status <> 'dead'").all()) {
    violations.push(`${name}: mutation ${row['id']} is stuck in the outbox as ${row['status']}`)
  }
  const columns = { items: 'label, stock, tags', notes: 'body', pairs: 'pair, value' }
  for (const [table, fields] of Object.entries(columns)) {
    const here = file.prepare(`SELECT id, ${fields}, _version AS version FROM ${table} ORDER BY id`).all()
    const there = server
      .prepare(`SELECT id, ${fields}, version FROM ${table} WHERE deleted_at IS NULL ORDER BY id`)
      .all()
    const known = new Map(here.map((row) => [row['id'], JSON.stringify(row)]))
    for (const row of there) {
      const mine = known.get(row['id'])
      known.delete(row['id'])
      const theirs = JSON.stringify(row)
      if (mine !== theirs) violations.push(`${name}: ${table} has ${mine}, the server ${theirs}`)
    }
    for (const mine of known.values()) violations.push(`${name}: ${table} has ${mine}, the server nothing`)
  }
  return violations
}

function auditCounts(told: readonly Told[], items: ReadonlyMap<string, Row>): string[] {
  const violations: string[] = []
  const sums = new Map<string, { sum: number; unknown: number[]; isDurable: boolean }>()
  for (const { deed, fate } of told) {
    if (!('amount' in deed) || fate === 'refused') continue
    const seen = sums.get(deed.item) ?? { sum: 0, unknown: [], isDurable: false }
    if (fate === 'durable') seen.sum += deed.amount
    else seen.unknown.push(deed.amount)
    sums.set(deed.item, { ...seen, isDurable: seen.isDurable || fate === 'durable' })
  }
  for (const [item, { sum, unknown, isDurable }] of sums) {
    const stock = items.get(item)?.['stock']
    if (stock === undefined) {
      if (isDurable) violations.push(`item ${item} was counted and is not there`)
      continue
    }
    if (unknown.length > unknownCounts)
      violations.push(`item ${item}: ${unknown.length} counts of unknown fate`)
    else if (!isSumOf(Number(stock) - sum, unknown)) {
      const off = Number(stock) - sum
      violations.push(
        `item ${item}: stock is ${Number(stock)}, acknowledged were ${sum}: ${off} too much, unknown ${unknown}`,
      )
    }
  }
  return violations
}

/** Whether some of the amounts, or none, add up to `sum`. */
function isSumOf(sum: number, amounts: readonly number[]): boolean {
  const [first, ...others] = amounts
  if (first === undefined) return sum === 0
  return isSumOf(sum, others) || isSumOf(sum - first, others)
}

function auditTags(told: readonly Told[], items: ReadonlyMap<string, Row>): string[] {
  const violations: string[] = []
  const fateOf = (kind: Deed['kind'], tag: string): Fate | undefined =>
    told.find(({ deed }) => deed.kind === kind && 'tag' in deed && deed.tag === tag)?.fate
  const added = told.flatMap(({ deed, fate }) => (deed.kind === 'tag' ? [{ ...deed, fate }] : []))
  const byTag = new Map(added.map((each) => [each.tag, each]))
  for (const [item, row] of items) {
    // The column of a set holds its members as JSON.
    for (const tag of JSON.parse(String(row['tags'])) as string[]) {
      const known = byTag.get(tag)
      if (known === undefined || known.item !== item || known.fate === 'refused')
        violations.push(`item ${item}: nobody added the tag ${tag}`)
      if (fateOf('untag', tag) === 'durable')
        violations.push(`item ${item}: the tag ${tag} was removed and is there`)
      byTag.delete(tag)
    }
  }
  for (const { item, tag, fate } of byTag.values()) {
    const removal = fateOf('untag', tag)
    if (fate === 'durable' && (removal === undefined || removal === 'refused'))
      violations.push(`item ${item}: the tag ${tag} was added and is not there`)
  }
  return violations
}

function auditPairs(told: readonly Told[], rows: ReadonlyMap<string, Row>): string[] {
  const violations: string[] = []
  const histories = new Map<string, Told[]>()
  for (const entry of told) {
    if ('pair' in entry.deed)
      histories.set(entry.deed.pair, [...(histories.get(entry.deed.pair) ?? []), entry])
  }
  for (const [pair, history] of histories) {
    const wanted = possibleEnds(history)
    const found = halvesOf(pair).map((id) => (rows.get(id)?.['value'] ?? null) as string | null)
    if (found[0] !== found[1]) violations.push(`pair ${pair} is torn: ${found.join(' and ')}`)
    else if (!wanted.has(found[0] ?? null))
      violations.push(`pair ${pair} is ${found[0]}, told was ${[...wanted].join(' or ')}`)
  }
  return violations
}

/** One process writes a pair, in this order: what a pair may be in the end; null is gone. */
function possibleEnds(history: readonly Told[]): ReadonlySet<string | null> {
  let ends = new Set<string | null>([null])
  for (const { deed, fate } of history) {
    if (fate === 'refused') continue
    const end = 'value' in deed ? deed.value : null
    ends = fate === 'durable' ? new Set([end]) : new Set([...ends, end])
  }
  return ends
}

/** A text is in force, in the history, in a conflict, in a dead letter or taken back, unless its own device wrote over it. */
function auditTexts(
  told: readonly Told[],
  notes: ReadonlyMap<string, Row>,
  known: ReadonlySet<string>,
): string[] {
  const violations: string[] = []
  const writes = new Map<string, number>()
  const erased = new Set<string>()
  for (const { deed, device, fate } of told) {
    const record = recordOf(deed)
    if (record === undefined || fate === 'refused') continue
    writes.set(`${device} ${record}`, (writes.get(`${device} ${record}`) ?? 0) + 1)
    if (deed.kind === 'erase' || deed.kind === 'settle') erased.add(record)
  }
  for (const { deed, device, fate } of told) {
    const record = recordOf(deed)
    // A decision that came second is given up by whoever made it.
    if (record === undefined || fate !== 'durable' || !('value' in deed) || deed.kind === 'settle') continue
    if (!known.has(deed.value) && writes.get(`${device} ${record}`) === 1)
      violations.push(`${device}: the text ${deed.value} of ${record} was lost without a trace`)
    if (deed.kind === 'note' && !erased.has(record) && !notes.has(record))
      violations.push(`${device}: note ${record} was written, never erased, and is not there`)
  }
  return violations
}

function recordOf(deed: Deed): string | undefined {
  if (deed.kind === 'label' || deed.kind === 'item') return deed.item
  if (deed.kind === 'settle') return deed.record
  return 'note' in deed ? deed.note : undefined
}

/** Every text the server can still show, and those of the devices that it cannot know. */
function knownTexts(server: DatabaseSync, ofDevices: readonly string[]): ReadonlySet<string> {
  const held = [
    ...ofDevices,
    ...texts(server, "SELECT concat_ws(' ', before, after, decisions) AS text FROM holdfast_audit"),
    ...texts(server, "SELECT concat_ws(' ', parts, resolution) AS text FROM holdfast_conflicts"),
  ]
  return new Set(held.flatMap((text) => text.match(/[\w.]+-\d+(-settled)?/g) ?? []))
}

/** No mutation has two effects on one record. */
function auditEffects(server: DatabaseSync): string[] {
  return server
    .prepare(
      `SELECT mutation, record, count(*) AS times FROM holdfast_audit
       WHERE mutation IS NOT NULL AND status IN ('applied', 'merged') AND version IS NOT NULL
       GROUP BY mutation, record HAVING times > 1`,
    )
    .all()
    .map((row) => `mutation ${row['mutation']} was applied ${row['times']} times to ${row['record']}`)
}

function liveRows(server: DatabaseSync, table: string): Map<string, Row> {
  const rows = server.prepare(`SELECT * FROM ${table} WHERE deleted_at IS NULL`).all()
  return new Map(rows.map((row) => [String(row['id']), row]))
}

function texts(file: DatabaseSync, sql: string): string[] {
  return file
    .prepare(sql)
    .all()
    .map((row) => String(row['text']))
}
