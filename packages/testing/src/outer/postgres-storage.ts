import { assert, type Schema } from '@holdfast/core'
import { postgresStore, type Store } from '@holdfast/server'
import pg from 'pg'
import type { SQLInputValue } from 'node:sqlite'

import type { DumpedEscrow, ServerDump, ServerOutcome } from '../check/observation.ts'
import type { Row } from '../sim/device-state.ts'
import type { DiskPorts } from '../sim/disk-ports.ts'
import { quoted } from '../sim/dump-rows.ts'
import { dumpTables } from '../sim/dump-server.ts'
import type { HistoryPlace, ServerStorage, StorageRow } from '../sim/server-storage.ts'
import { auditOf, outcomeOf, ruledOf } from '../sim/server-witness.ts'
import { type FreshDatabase, freshDatabase } from '../services/fresh-database.ts'
import { PostgresLife } from './postgres-life.ts'

/** What the storage of one run is made for. */
export interface PostgresStorageOptions {
  readonly schema: Schema
  readonly ports: DiskPorts
  readonly nowIso: () => string
  readonly database: FreshDatabase
  /** Where copies of it are made. */
  readonly serverUrl: string
  /** The process that holds it died. */
  readonly onKill?: () => void
}

/**
 * A database of a real PostgreSQL beneath a simulated server. What commits bring is told as on the simulated disk. Rules:
 * SIM-97.
 */
export class PostgresStorage implements ServerStorage {
  readonly #options: PostgresStorageOptions
  /** Whoever looks from outside. */
  #eye: pg.Pool
  #backup: FreshDatabase | undefined
  #life: PostgresLife | undefined
  #telling: Promise<void> = Promise.resolve()
  #looks = 0
  #newest = 0
  #tags = new Map<number, string>()
  #newestByScope = new Map<string, number>()
  #inEscrow = 0
  /** Authors of open conflicts. */
  #authors: readonly string[] = []

  constructor(options: PostgresStorageOptions) {
    this.#options = options
    this.#eye = openEye(options.database.url)
  }

  get hasBackup(): boolean {
    return this.#backup !== undefined
  }

  /** Sessions that are idle are cut for it, which a server does not notice: PostgreSQL copies no database that is in use. */
  backUp(): Promise<void> {
    return this.#telling.then(() =>
      this.#look(async () => {
        const { database, serverUrl } = this.#options
        await this.#eye.end()
        await endSessions(serverUrl, database.name)
        const made = await freshDatabase(serverUrl, database.name)
        this.#eye = openEye(database.url)
        await this.#backup?.drop()
        this.#backup = made
      }),
    )
  }

  restore(): Promise<void> {
    return this.#telling.then(() =>
      this.#look(async () => {
        const { database, serverUrl, ports } = this.#options
        assert(this.#life === undefined, 'the database was exchanged under a running server')
        assert(this.#backup !== undefined, 'there is no backup to put back')
        // What the process of before had asked for may still be committed.
        await this.#endOthers('')
        await this.#tellNow()
        const before = await this.#known()
        await this.#eye.end()
        await database.drop()
        await freshDatabase(serverUrl, this.#backup.name, database.name)
        this.#eye = openEye(database.url)
        const after = await this.#known()
        const outcomes = new Set(after.outcomes.map(keyOfOutcome))
        const waiting = new Set(after.waiting.map(({ id }) => id))
        ports.observe({
          kind: 'server-restored',
          atMs: ports.nowMs(),
          auditN: after.auditN,
          forgotten: before.outcomes.filter((outcome) => !outcomes.has(keyOfOutcome(outcome))),
          unruled: before.ruled.filter(({ id }) => waiting.has(id)),
        })
        await this.#lookAgain()
      }),
    )
  }

  /** What was decided so far. */
  async #known(): Promise<{
    readonly auditN: number
    readonly outcomes: readonly ServerOutcome[]
    readonly ruled: readonly DumpedEscrow[]
    readonly waiting: readonly DumpedEscrow[]
  }> {
    const atMs = this.#options.ports.nowMs()
    const [audit] = await this.#ask('SELECT coalesce(max(n), 0) AS n FROM holdfast.audit')
    const outcomes = await this.#ask(
      `SELECT json_build_array(d.account, d.device, o.seq, o.covers, o.id, o.status, o.version, o.code) AS body
       FROM holdfast.outcomes o JOIN holdfast.devices d ON d.n = o.device ORDER BY o.device, o.seq`,
    )
    const escrow = await this.#escrow()
    return {
      auditN: Number(audit?.['n']),
      outcomes: outcomes.map(({ body }) => outcomeOf(JSON.parse(String(body)) as Row, atMs)),
      ruled: escrow.filter(({ status }) => status !== 'waiting'),
      waiting: escrow.filter(({ status }) => status === 'waiting'),
    }
  }

  async #escrow(): Promise<readonly DumpedEscrow[]> {
    const rows = await this.#ask('SELECT id, account, device, status FROM holdfast.escrow ORDER BY n')
    return rows.map(({ id, account, device, status }) => ({
      id: String(id),
      user: String(account),
      device: String(device),
      // The server writes no other.
      status: String(status) as DumpedEscrow['status'],
    }))
  }

  /** Nothing is under way between the server and its database. */
  get isIdle(): boolean {
    return this.#looks === 0 && this.#life?.isIdle !== false
  }

  store(): Store {
    this.kill()
    const { ports, nowIso, database } = this.#options
    const life = new PostgresLife({
      judge: ports.judge,
      nowIso,
      onKill: () => this.kill(),
      onCommit: () => this.#tell(),
    })
    this.#life = life
    const url = new URL(database.url)
    url.searchParams.set('application_name', life.name)
    const store = postgresStore({ url: url.href, migrate: true, pollMs: 0, listen: false, connections: 4 })
    const open = store.open.bind(store)
    store.open = async (setup) => {
      await this.#look(() => this.#endOthers(life.name))
      await this.#tell()
      return open(setup)
    }
    return store
  }

  kill(): void {
    this.#options.onKill?.()
    this.#life?.end()
    this.#life = undefined
  }

  placeOf(position: number): HistoryPlace {
    return { newest: this.#newest, tag: this.#tags.get(position) ?? '' }
  }

  newestIn(scope: string): number {
    return this.#newestByScope.get(scope) ?? 0
  }

  openFor(operator: string): number {
    return this.#inEscrow + this.#authors.filter((author) => author === operator).length
  }

  read(sql: string, ...params: SQLInputValue[]): Promise<readonly StorageRow[]> {
    return this.#ask(numbered(sql), params)
  }

  async write(sql: string, ...params: SQLInputValue[]): Promise<void> {
    await this.#look(async () => {
      const client = await this.#eye.connect()
      try {
        await client.query(`BEGIN; SET LOCAL "sim.now" = '${this.#options.nowIso()}'`)
        await client.query(numbered(sql), params)
        await client.query('COMMIT')
      } catch (error) {
        await client.query('ROLLBACK')
        throw error
      } finally {
        client.release()
      }
    })
    await this.#tell()
  }

  async dump(): Promise<ServerDump> {
    const { schema } = this.#options
    const rows = new Map<string, readonly StorageRow[]>()
    const tombstones = new Map<string, readonly StorageRow[]>()
    for (const name of schema.collections.keys()) {
      rows.set(name, await this.#ask(`SELECT * FROM ${quoted(name)} ORDER BY id::text`))
      const sql = `SELECT record AS id, version FROM holdfast.tombstones WHERE collection = $1 ORDER BY record::text`
      tombstones.set(name, await this.#ask(sql, [name]))
    }
    const [state] = await this.#ask('SELECT epoch FROM holdfast.state')
    return dumpTables(schema, {
      epoch: String(state?.['epoch']),
      rows,
      tombstones,
      conflicts: await this.#ask('SELECT * FROM holdfast.conflicts ORDER BY id::text'),
      conflictScopes: await this.#ask(
        `SELECT record, scope FROM holdfast.feed WHERE collection = '_conflicts' AND op = 'put' AND scope <> '' ORDER BY record::text, scope`,
      ),
      escrow: await this.#escrow(),
      damage: [],
    })
  }

  async close(): Promise<void> {
    this.kill()
    await this.#telling
    await this.#eye.end()
    await this.#options.database.drop()
    await this.#backup?.drop()
  }

  /** What the process of before was at is rolled back before the next one looks. */
  async #endOthers(name: string): Promise<void> {
    const sql = `SELECT count(pg_terminate_backend(pid)) AS n FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'holdfast-life-%' AND application_name <> $1`
    for (let rest = 1; rest > 0; ) rest = Number((await this.#ask(sql, [name]))[0]?.['n'])
  }

  /** Tells what was committed since it was asked last, once whoever tells now is through. */
  #tell(): Promise<void> {
    this.#telling = this.#telling.then(() => this.#look(() => this.#tellNow()))
    return this.#telling
  }

  async #tellNow(): Promise<void> {
    const { ports } = this.#options
    const seen = await this.#ask(
      'WITH gone AS (DELETE FROM sim.seen RETURNING n, kind, body) SELECT kind, body FROM gone ORDER BY kind, n',
    )
    const atMs = ports.nowMs()
    for (const { kind, body } of seen) {
      // The triggers write lists of what the readers know.
      const row = JSON.parse(String(body)) as Row
      if (kind === 'audit') ports.observe(auditOf(row, atMs))
      else ports.observe(kind === 'escrow' ? ruledOf(row, atMs) : outcomeOf(row, atMs))
    }
    await this.#lookAgain()
  }

  async #lookAgain(): Promise<void> {
    const positions = await this.#ask(
      'SELECT position, tag FROM holdfast.transactions WHERE position IS NOT NULL',
    )
    this.#tags = new Map(positions.map(({ position, tag }) => [Number(position), String(tag ?? '')]))
    this.#newest = Math.max(0, ...this.#tags.keys())
    const scopes = await this.#ask(
      'SELECT f.scope, max(t.position) AS newest FROM holdfast.feed f JOIN holdfast.transactions t ON t.n = f.tx GROUP BY f.scope',
    )
    this.#newestByScope = new Map(scopes.map(({ scope, newest }) => [String(scope), Number(newest)]))
    const [waiting] = await this.#ask("SELECT count(*) AS n FROM holdfast.escrow WHERE status = 'waiting'")
    this.#inEscrow = Number(waiting?.['n'])
    const open = await this.#ask("SELECT author FROM holdfast.conflicts WHERE status = 'open'")
    this.#authors = open.map(({ author }) => String(author))
  }

  #ask(sql: string, params: readonly SQLInputValue[] = []): Promise<readonly StorageRow[]> {
    return this.#look(async () => (await this.#eye.query<StorageRow>(sql, [...params])).rows)
  }

  async #look<Result>(run: () => Promise<Result>): Promise<Result> {
    this.#looks += 1
    try {
      return await run()
    } finally {
      this.#looks -= 1
    }
  }
}

function openEye(url: string): pg.Pool {
  const eye = new pg.Pool({ connectionString: url, max: 1, types })
  eye.on('error', () => undefined)
  return eye
}

/** Ends what is open to a database, and waits until nothing is. */
async function endSessions(serverUrl: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  const sql = 'SELECT count(pg_terminate_backend(pid)) AS n FROM pg_stat_activity WHERE datname = $1'
  for (let rest = 1; rest > 0; ) rest = Number((await client.query<{ n: string }>(sql, [name])).rows[0]?.n)
  await client.end()
}

function keyOfOutcome({ user, device, seq, id }: ServerOutcome): string {
  return `${user} ${device} ${seq} ${id}`
}

/** SQLite's holes as PostgreSQL wants them. */
function numbered(sql: string): string {
  let count = 0
  return sql.replaceAll('?', () => `$${(count += 1)}`)
}

const numbers = new Set([20, 21, 23, 700, 701])
const bool = 16
const timestamp = 1184

/** Values as SQLite has them. */
const types = {
  getTypeParser: (oid: number) => (text: string) => {
    if (numbers.has(oid)) return Number(text)
    if (oid === bool) return Number(text === 't')
    if (oid !== timestamp) return text
    const ms = Date.parse(`${text.replace(' ', 'T')}:00`)
    assert(!Number.isNaN(ms), `no time: ${text}`)
    return new Date(ms).toISOString()
  },
}
