import type { Schema } from '@holdfast/core'
import type { DatabaseSync, StatementSync } from 'node:sqlite'

import {
  arrays,
  type DeviceState,
  differences,
  emptyState,
  hasDeviceTables,
  type OnDisk,
  readState,
  type Row,
  statusColumns,
  writtenColumns,
} from './device-state.ts'
import type { DiskPorts } from './disk-ports.ts'
import { readCommit, type Speaker } from './read-commit.ts'
import { escrowedIn, ghostsIn, isRewritingPutOff, keptOutside, scopesLeft } from './scopes-left.ts'

/** Whose database is watched. */
export interface WitnessOptions {
  readonly name: string
  readonly user: string
  readonly schema: Schema
  readonly ports: Pick<DiskPorts, 'observe' | 'nowMs'>
}

const inNew = (columns: string): string => columns.replaceAll(/\w+/g, 'new.$&')
const isOther = (columns: string): string =>
  `(${inNew(columns)}) IS NOT (${columns.replaceAll(/\w+/g, 'old.$&')})`

/**
 * What happens to the outbox, the identity and the cursor is written down by triggers that belong to the connection and
 * not to the file, in a table that is rolled back with the rest. The client sees none of them.
 */
const triggers: readonly string[] = [
  `CREATE TEMP TRIGGER IF NOT EXISTS sim_written AFTER INSERT ON main._outbox BEGIN
     INSERT INTO sim_seen (kind, a, b, c, d, e, f, g, h, i, j) VALUES ('written', ${inNew(writtenColumns)}); END`,
  // A move comes before what else a statement did to the entry.
  `CREATE TEMP TRIGGER IF NOT EXISTS sim_changed AFTER UPDATE OF seq, id, ${statusColumns} ON main._outbox BEGIN
     INSERT INTO sim_seen (kind, a, b, c, d) SELECT 'moved', old.seq, old.id, new.seq, new.id WHERE ${isOther('seq, id')};
     INSERT INTO sim_seen (kind, a, b, c, d, e, f, g)
       SELECT 'status', new.seq, new.id, ${inNew(statusColumns)} WHERE ${isOther(statusColumns)}; END`,
  `CREATE TEMP TRIGGER IF NOT EXISTS sim_rewritten AFTER UPDATE OF payload, group_id, resolves, base_version, at
   ON main._outbox BEGIN
     INSERT INTO sim_seen (kind, a, b, c, d, e, f, g, h, i, j, k)
       VALUES ('rewritten', ${inNew(writtenColumns)}, ${isOther('payload')}); END`,
  `CREATE TEMP TRIGGER IF NOT EXISTS sim_gone AFTER DELETE ON main._outbox BEGIN
     INSERT INTO sim_seen (kind, a, b) VALUES ('gone', old.seq, old.id); END`,
  `CREATE TEMP TRIGGER IF NOT EXISTS sim_lost AFTER INSERT ON main._escrow WHEN new.status = 'unknown' BEGIN
     INSERT INTO sim_seen (kind, b, c) VALUES ('noted', new.id, new.record); END`,
  // Its values are to leave the file.
  `CREATE TEMP TRIGGER IF NOT EXISTS sim_escrowed AFTER INSERT ON main._escrow BEGIN
     INSERT INTO sim_escrowed (id, hash) SELECT id, hash FROM main._outbox WHERE id = new.id; END`,
  ...['INSERT', 'UPDATE OF value', 'DELETE'].map((event, index) => {
    const row = event === 'DELETE' ? 'old' : 'new'
    const value = event === 'DELETE' ? 'NULL' : 'new.value'
    return `CREATE TEMP TRIGGER IF NOT EXISTS sim_meta_${index} AFTER ${event} ON main._meta
      WHEN ${row}.key IN ('device', 'cursor') BEGIN
        INSERT INTO sim_seen (kind, a) VALUES (${row}.key, ${value}); END`
  }),
]

/** Watches a device's database from outside and tells what each commit did. Rules: SIM-12. */
export class DeviceWitness {
  readonly #database: DatabaseSync
  readonly #options: WitnessOptions
  readonly #seen: { all(): readonly Row[] }
  readonly #forget: StatementSync
  readonly #speaker: Speaker
  #isWatching = false
  /** Scopes that were given up since the file was rewritten last. */
  #traced: readonly string[] = []

  constructor(database: DatabaseSync, options: WitnessOptions) {
    this.#database = database
    this.#options = options
    this.#speaker = { user: options.user, device: '', cursor: null }
    database.exec(
      `PRAGMA temp_store = MEMORY; CREATE TEMP TABLE sim_seen (n INTEGER PRIMARY KEY, kind, a, b, c, d, e, f, g, h, i, j, k);
       CREATE TEMP TABLE sim_escrowed (id, hash)`,
    )
    this.#seen = arrays(database, 'SELECT kind, a, b, c, d, e, f, g, h, i, j, k FROM sim_seen ORDER BY n')
    this.#forget = database.prepare('DELETE FROM sim_seen')
  }

  /** Begins to watch a database whose state is known to whoever is told. */
  know(state: DeviceState): void {
    this.#speaker.device = state.device
    this.#speaker.cursor = state.cursor
    if (!hasDeviceTables(this.#database)) return
    this.#isWatching = true
    for (const sql of triggers) this.#database.exec(sql)
  }

  /** Tables were made: watches them too. What is in them already is told. */
  lookAgain(): void {
    const wasWatching = this.#isWatching
    if (!hasDeviceTables(this.#database)) return
    const state = readState(this.#database, this.#now())
    this.know(state)
    if (wasWatching) return
    for (const { written } of state.entries.values()) this.#options.ports.observe(written)
    for (const each of differences(emptyState, state, { ...this.#now(), user: this.#options.user }))
      this.#options.ports.observe(each)
  }

  /** Tells what was committed since it was asked last. */
  tell(): void {
    const rows = this.#seen.all()
    if (rows.length === 0) return
    this.#forget.run()
    const { observe } = this.#options.ports
    const before = this.#speaker.cursor
    for (const observation of readCommit(rows, this.#speaker, this.#now())) observe(observation)
    const { cursor } = this.#speaker
    if (cursor !== before) this.#tellWhatIsLeft(before, cursor)
  }

  /** Rows of scopes that a cursor gave up are looked for wherever the file holds values; that is rare. */
  #tellWhatIsLeft(before: string | null, after: string | null): void {
    const { left, covered } = scopesLeft(before, after)
    if (left.length === 0) return
    this.#traced = left
    const kept = keptOutside(this.#database, this.#options.schema, covered)
    this.#options.ports.observe({ kind: 'scopes-left', ...this.#now(), scopes: left, kept, ghosts: [] })
  }

  /**
   * What can be read out of the bytes of the file and is in no row, once it was rewritten because scopes were given up.
   * When all is over: also where it never was, unless that was put off.
   */
  tellTraces(isOver: boolean): void {
    const escrowed = this.#database.prepare('SELECT id, hash FROM sim_escrowed').all()
    const isTraced = this.#traced.length > 0 || escrowed.length > 0
    if (!isTraced || (isOver && isRewritingPutOff(this.#database))) return
    const scopes = this.#traced
    this.#traced = []
    this.#database.exec('DELETE FROM sim_escrowed')
    const ghosts = [...ghostsIn(this.#database), ...escrowedIn(this.#database, escrowed)]
    const kept = isOver ? ['a file that was not rewritten'] : []
    this.#options.ports.observe({ kind: 'scopes-left', ...this.#now(), scopes, kept, ghosts })
  }

  #now(): OnDisk {
    return { atMs: this.#options.ports.nowMs(), disk: this.#options.name }
  }
}
