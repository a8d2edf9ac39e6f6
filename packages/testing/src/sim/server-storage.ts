import type { Store } from '@holdfast/server'
import type { SQLInputValue, SQLOutputValue } from 'node:sqlite'

import type { ServerDump } from '../check/observation.ts'

/** A row by column name, in the terms of SQLite: booleans are 1 and 0, JSON and times are text. */
export type StorageRow = Readonly<Record<string, SQLOutputValue>>

/** Where a server is in its own history. */
export interface HistoryPlace {
  /** The newest position there is. */
  readonly newest: number
  /** Of the history that made the position that was asked about. */
  readonly tag: string
}

/**
 * What a world needs of the storage beneath its server, whatever database that is. Looks and `kill` answer at once; what
 * they tell is as of the last commit. Statements are SQLite's, with our own tables under their names there.
 */
export interface ServerStorage {
  /** A store for the next life of the server; the life before is over. */
  store(): Store
  /** The process died: what was not committed is undone, and every later call of its store fails. */
  kill(): void
  /** Whether there is something to put back. */
  readonly hasBackup: boolean
  /** Keeps what it holds now, in the place of what was kept before. A server may run, and is not disturbed. */
  backUp(): Looked<void>
  /** It holds again what was kept, and tells what was forgotten by that; only while no server runs. */
  restore(): Looked<void>
  placeOf(position: number): HistoryPlace
  /** The newest position at which a scope was told of something; 0 is never. */
  newestIn(scope: string): number
  /** Edits in escrow that wait, and disputes that began when this operator accepted one, which nobody else may see. */
  openFor(operator: string): number
  /** What another program reads. */
  read(sql: string, ...params: SQLInputValue[]): Looked<readonly StorageRow[]>
  /** What another program does, in a transaction of its own. */
  write(sql: string, ...params: SQLInputValue[]): Looked<void>
  /** Everything it holds. */
  dump(): Looked<ServerDump>
  close(): Looked<void>
}

/** SQLite answers at once, a database elsewhere does not. */
export type Looked<Value> = Value | Promise<Value>
