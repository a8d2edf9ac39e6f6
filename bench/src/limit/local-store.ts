import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { type Item, lowStock } from '../inventory.ts'

/** A row as the table holds it; tags are JSON text. */
type StoredItem = Omit<Item, 'tags'> & { readonly tags: string }

/** A row as it travels and as the app reads it. */
export type VersionedItem = Item & { readonly version: number }

/** An outbox entry as it travels. */
export interface Entry {
  readonly seq: number
  readonly op: 'create' | 'update'
  readonly record: string
  readonly changes: Partial<Item>
}

const tables = `
  CREATE TABLE IF NOT EXISTS items (
    id TEXT PRIMARY KEY, sku TEXT, name TEXT, description TEXT, stock INTEGER, price TEXT, tags TEXT, warehouse TEXT,
    counted TEXT, version INTEGER);
  CREATE INDEX IF NOT EXISTS items_by_name ON items (warehouse, name);
  CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, op TEXT, record TEXT, changes TEXT);
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value)`

const upsertItem = `INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const addEntry = 'INSERT INTO outbox (op, record, changes) VALUES (?, ?, ?)'
const queryLowStock = 'SELECT * FROM items WHERE warehouse = ? AND stock < ? ORDER BY name LIMIT ?'

/** Rows per transaction of a bulk write. */
const batchRows = 1_000

/**
 * The least a device must do to keep an app's data and what it owes the server: node:sqlite, prepared statements, the
 * row and its outbox entry in one transaction. No conflicts, no shadows, no scopes.
 */
export class LocalStore {
  readonly database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  /** `full` survives a power cut with every write that returned; `fast` may lose the last ones. */
  constructor(file: string, durability: 'full' | 'fast') {
    this.database = new DatabaseSync(file)
    // The same pragmas as the library's, so that neither side buys speed with what a power cut would cost.
    const synchronous = durability === 'full' ? 'FULL' : 'NORMAL'
    this.database.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA wal_autocheckpoint = 4000`,
    )
    this.database.exec(tables)
  }

  /** Runs `work` in one transaction; it is on disk when this returns, as `durability` says. */
  transaction(work: () => void): void {
    this.statement('BEGIN IMMEDIATE').run()
    try {
      work()
      this.statement('COMMIT').run()
    } catch (error) {
      this.statement('ROLLBACK').run()
      throw error
    }
  }

  /** One new row and its entry. */
  insert(item: Item): void {
    this.transaction(() => this.#insert(item))
  }

  /** New rows and their entries, a transaction per thousand. */
  insertMany(items: readonly Item[]): void {
    for (let from = 0; from < items.length; from += batchRows) {
      this.transaction(() => items.slice(from, from + batchRows).forEach((item) => this.#insert(item)))
    }
  }

  /** Sets one number or price of a row, and notes that. */
  update(record: string, changes: { readonly stock: number } | { readonly price: string }): void {
    const [name, value] =
      'stock' in changes ? (['stock', changes.stock] as const) : (['price', changes.price] as const)
    this.transaction(() => {
      this.statement(`UPDATE items SET ${name} = ? WHERE id = ?`).run(value, record)
      this.statement(addEntry).run('update', record, JSON.stringify(changes))
    })
  }

  /** The live query. */
  lowStock(): Item[] {
    const rows = this.statement(queryLowStock).all(lowStock.warehouse, lowStock.below, lowStock.rows)
    // The table was made with these columns above, and only this class writes it.
    return (rows as unknown as StoredItem[]).map((row) => ({
      ...row,
      tags: JSON.parse(row.tags) as string[],
    }))
  }

  /** The oldest entries. */
  entries(limit: number): Entry[] {
    const rows = this.statement('SELECT seq, op, record, changes FROM outbox ORDER BY seq LIMIT ?').all(limit)
    // As in lowStock.
    return (rows as unknown as (Omit<Entry, 'changes'> & { readonly changes: string })[]).map((row) => ({
      ...row,
      changes: JSON.parse(row.changes) as Partial<Item>,
    }))
  }

  /** Entries up to this number are with the server. */
  settle(seq: number): void {
    this.transaction(() => this.statement('DELETE FROM outbox WHERE seq <= ?').run(seq))
  }

  /** Rows from the server and the place they came from, in one transaction. */
  apply(rows: readonly VersionedItem[], cursor: number): void {
    this.transaction(() => {
      for (const row of rows) this.statement(upsertItem).run(...columnsOf(row, row.version))
      this.statement(`INSERT OR REPLACE INTO meta VALUES ('cursor', ?)`).run(cursor)
    })
  }

  /** Up to where the server's changes are here; 0 before the first. */
  cursor(): number {
    return Number(this.statement(`SELECT value FROM meta WHERE key = 'cursor'`).get()?.['value'] ?? 0)
  }

  /** How many rows a table holds. */
  count(table: 'items' | 'outbox'): number {
    return Number(this.statement(`SELECT count(*) AS n FROM ${table}`).get()?.['n'])
  }

  /** A statement, prepared once. */
  statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const made = this.database.prepare(sql)
    this.#statements.set(sql, made)
    return made
  }

  #insert(item: Item): void {
    this.statement(upsertItem).run(...columnsOf(item, 0))
    this.statement(addEntry).run('create', item.id, JSON.stringify(item))
  }
}

/** The values of `upsertItem`, in order. */
export function columnsOf(item: Item, version: number): (string | number)[] {
  const { id, sku, name, description, stock, price, tags, warehouse, counted } = item
  return [id, sku, name, description, stock, price, JSON.stringify(tags), warehouse, counted, version]
}
