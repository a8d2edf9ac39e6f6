import {
  assert,
  type Environment,
  formatHlc,
  type Hlc,
  type HlcState,
  parseHlc,
  SyncError,
  tickHlc,
} from '@holdfast/core'

import type { SqlParam, SqlValue } from '../drivers/sqlite-driver.ts'
import type { LocalReader, LocalTransaction } from './local-database.ts'

/**
 * What the device remembers beside rows and mutations. `seq`, `clock`: the newest number and stamp that are no longer in the outbox.
 * `tables`: which schema the tables were last made for. `declared`: the fields that it had, by collection.
 */
export type MetaKey =
  | 'device'
  | 'account'
  | 'server'
  | 'schema'
  | 'tables'
  | 'declared'
  | 'clock'
  | 'seq'
  | 'cursor'
  // What the sync side counts and remembers; its names are its own.
  | `sync.${string}`

/** The remembered value; undefined when there is none. */
export async function readMeta(tx: LocalReader, key: MetaKey): Promise<SqlValue | undefined> {
  const [row] = await tx.all('SELECT value FROM _meta WHERE key = ?', [key])
  return row?.value
}

/** Errors: STORE_NEWER once an app with a newer schema has opened the database. Rules: SY-30. */
export async function requireNewest(tx: LocalReader, schemaVersion: number): Promise<void> {
  if (Number(await readMeta(tx, 'schema')) > schemaVersion)
    throw new SyncError('STORE_NEWER', 'a newer version of the app has opened this database')
}

/** Remembers a value; null forgets it. */
export async function writeMeta(tx: LocalTransaction, key: MetaKey, value: SqlParam): Promise<void> {
  if (value === null) await tx.run('DELETE FROM _meta WHERE key = ?', [key])
  else
    await tx.run(
      'INSERT INTO _meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
      [key, value],
    )
}

const newestStampSql = `SELECT max(
  coalesce((SELECT at FROM _outbox ORDER BY seq DESC LIMIT 1), ''),
  coalesce((SELECT value FROM _meta WHERE key = 'clock'), '')) AS newest`

/**
 * The device's clock inside one transaction: it goes on from the newest stamp in the file, so that stamps only grow,
 * whichever process makes them and whatever the wall clock does. Make a new one for each transaction. Rules: WR-9.
 */
export class StampClock {
  readonly #env: Pick<Environment, 'now'>
  readonly #device: string
  #state: HlcState | undefined

  constructor(env: Pick<Environment, 'now'>, device: string) {
    this.#env = env
    this.#device = device
  }

  /** Whether `tick` may be called. */
  get isReady(): boolean {
    return this.#state !== undefined
  }

  /** Finds the newest stamp in the file; `tick` goes on from there. Once for each transaction. */
  async ready(tx: LocalReader): Promise<void> {
    if (this.#state !== undefined) return
    const [row] = await tx.all(newestStampSql)
    this.#state = parseHlc(row?.newest) ?? { ms: 0, counter: 0 }
  }

  /** The next stamp; it becomes durable with the entry that carries it. */
  tick(): { readonly at: Hlc; readonly iso: string } {
    assert(this.#state !== undefined, 'a clock was asked before it was ready')
    this.#state = tickHlc(this.#state, this.#env.now())
    const at = formatHlc(this.#state, this.#device)
    return { at, iso: at.slice(0, 24) }
  }

  /** `ready` and `tick` in one. */
  async next(tx: LocalReader): Promise<{ readonly at: Hlc; readonly iso: string }> {
    await this.ready(tx)
    return this.tick()
  }
}

/** Keeps the newest stamp when the entry that carries it may go or move, so that the device's clock never runs back. */
export async function keepClock(tx: LocalTransaction): Promise<void> {
  await tx.run(
    `INSERT INTO _meta (key, value) SELECT 'clock', at FROM _outbox ORDER BY seq DESC LIMIT 1
     ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)`,
  )
}
