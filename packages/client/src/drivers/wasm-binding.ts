import type { Database, PreparedStatement, Sqlite3Static } from '@sqlite.org/sqlite-wasm'

import { type SqlParam, type SqlRow, type SqlValue, storeError } from './sqlite-driver.ts'
import type { SynchronousBinding, SynchronousStatement } from './synchronous-connection.ts'

/**
 * SQLite's own build for WebAssembly as a synchronous binding. `isFull` says whether the storage has just run out of
 * room. Rules: LO-1.
 */
export function wasmBinding(
  sqlite3: Sqlite3Static,
  database: Database,
  isFull: () => boolean,
): SynchronousBinding {
  const { capi } = sqlite3
  const compiler = { sqlite3, database, raw: rawOf(sqlite3) }
  let reading: Set<string> | undefined
  // Once and for ever: every change of the authorizer would have all statements compiled again.
  capi.sqlite3_set_authorizer(
    pointerOf(database),
    (_context, action, table) => {
      if (action === capi.SQLITE_READ && typeof table === 'string') reading?.add(table)
      return capi.SQLITE_OK
    },
    0,
  )
  return {
    translate: (error) => {
      const code = resultCodeOf(error)
      // The file system tells a quota that is used up like any other failure to write.
      const isOutOfRoom = code !== undefined && (code & 0xff) === capi.SQLITE_IOERR && isFull()
      return storeError(error, isOutOfRoom ? capi.SQLITE_FULL : code)
    },
    exec: (sql) => void database.exec(sql),
    close: () => database.close(),
    prepare: (sql) => new WasmStatement(compiler, sql),
    describe(sql) {
      const tables = new Set<string>()
      reading = tables
      try {
        const statement = database.prepare(sql)
        const columns = Array.from({ length: statement.columnCount }, (_, index) => ({
          name: capi.sqlite3_column_name(statement, index),
          // SQLite names neither for columns that are expressions.
          table: capi.sqlite3_column_table_name(statement, index) || null,
          column: capi.sqlite3_column_origin_name(statement, index) || null,
        }))
        statement.finalize()
        return { columns, tables }
      } finally {
        reading = undefined
      }
    },
  }
}

/**
 * SQLite's functions as they are compiled, with addresses for everything that is no number. The wrapped ones convert
 * each argument by a table, which costs several times what the call itself does.
 */
interface RawFunctions {
  sqlite3_bind_blob(statement: number, place: number, bytes: number, count: number, free: number): number
  sqlite3_bind_double(statement: number, place: number, value: number): number
  sqlite3_bind_int(statement: number, place: number, value: number): number
  sqlite3_bind_int64(statement: number, place: number, value: bigint): number
  sqlite3_bind_null(statement: number, place: number): number
  sqlite3_bind_text(statement: number, place: number, bytes: number, count: number, free: number): number
  sqlite3_changes(database: number): number
  sqlite3_column_blob(statement: number, index: number): number
  sqlite3_column_bytes(statement: number, index: number): number
  sqlite3_column_count(statement: number): number
  sqlite3_column_double(statement: number, index: number): number
  sqlite3_column_text(statement: number, index: number): number
  sqlite3_column_type(statement: number, index: number): number
  sqlite3_last_insert_rowid(database: number): bigint
  sqlite3_reset(statement: number): number
  sqlite3_step(statement: number): number
  sqlite3_stmt_status(statement: number, what: number, reset: number): number
}

function rawOf(sqlite3: Sqlite3Static): RawFunctions {
  // The exports of the module, by the names that C knows; its types leave them open.
  return sqlite3.wasm.exports as RawFunctions
}

interface Compiler {
  readonly sqlite3: Sqlite3Static
  readonly database: Database
  readonly raw: RawFunctions
}

const encoder = new TextEncoder()
// A mark of the byte order is a character like any other.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

class WasmStatement implements SynchronousStatement {
  readonly isReader: boolean
  readonly #compiler: Compiler
  readonly #statement: PreparedStatement
  readonly #pointer: number
  readonly #parameterCount: number
  #names: readonly string[] = []
  #compiledCount = -1

  constructor(compiler: Compiler, sql: string) {
    this.#compiler = compiler
    this.#statement = compiler.database.prepare(sql)
    // This build has addresses of 32 bits.
    this.#pointer = Number(this.#statement.pointer)
    this.#parameterCount = this.#statement.parameterCount
    this.isReader = this.#statement.columnCount > 0
  }

  all(params: readonly SqlParam[]): readonly SqlRow[] {
    const { raw } = this.#compiler
    try {
      this.#bind(params)
      const rows: SqlRow[] = []
      if (!this.#step()) return rows
      const names = this.#columnNames()
      do rows.push(this.#row(names))
      while (this.#step())
      return rows
    } finally {
      raw.sqlite3_reset(this.#pointer)
    }
  }

  run(params: readonly SqlParam[]): { changes: number; lastInsertRowid: number } {
    const { raw, database } = this.#compiler
    try {
      this.#bind(params)
      while (this.#step());
      const pointer = pointerOf(database)
      return {
        changes: raw.sqlite3_changes(pointer),
        lastInsertRowid: Number(raw.sqlite3_last_insert_rowid(pointer)),
      }
    } finally {
      raw.sqlite3_reset(this.#pointer)
    }
  }

  close(): void {
    this.#statement.finalize()
  }

  /** Whether there is another row. */
  #step(): boolean {
    const { raw, sqlite3, database } = this.#compiler
    const { capi } = sqlite3
    const code = raw.sqlite3_step(this.#pointer)
    if (code === capi.SQLITE_ROW) return true
    if (code === capi.SQLITE_DONE) return false
    throw failure(code, capi.sqlite3_errmsg(pointerOf(database)))
  }

  #bind(params: readonly SqlParam[]): void {
    const { capi } = this.#compiler.sqlite3
    if (params.length > this.#parameterCount)
      throw failure(capi.SQLITE_RANGE, `${params.length} parameters, for ${this.#parameterCount}`)
    for (let place = 1; place <= this.#parameterCount; place++) {
      const code = this.#bindOne(place, params[place - 1] ?? null)
      if (code !== capi.SQLITE_OK) throw failure(code, `parameter ${place} cannot be bound`)
    }
  }

  #bindOne(place: number, value: SqlParam): number {
    const { raw } = this.#compiler
    const pointer = this.#pointer
    switch (typeof value) {
      case 'string':
        return this.#bindText(place, value)
      case 'number':
        if ((value | 0) === value) return raw.sqlite3_bind_int(pointer, place, value)
        if (Number.isSafeInteger(value)) return raw.sqlite3_bind_int64(pointer, place, BigInt(value))
        return raw.sqlite3_bind_double(pointer, place, value)
      case 'boolean':
        return raw.sqlite3_bind_int(pointer, place, value ? 1 : 0)
      case 'bigint':
        return raw.sqlite3_bind_int64(pointer, place, value)
      default:
        return value === null ? raw.sqlite3_bind_null(pointer, place) : this.#bindBlob(place, value)
    }
  }

  /** SQLite frees the copy when it needs it no more. */
  #bindText(place: number, text: string): number {
    const { raw, sqlite3 } = this.#compiler
    // No UTF-16 unit takes more than three bytes.
    const room = text.length * 3 + 1
    const address = Number(sqlite3.wasm.alloc(room))
    const { written } = encoder.encodeInto(text, sqlite3.wasm.heap8u().subarray(address, address + room))
    return raw.sqlite3_bind_text(this.#pointer, place, address, written, freeOf(sqlite3))
  }

  #bindBlob(place: number, bytes: Uint8Array): number {
    const { raw, sqlite3 } = this.#compiler
    const address = Number(sqlite3.wasm.alloc(bytes.length || 1))
    sqlite3.wasm.heap8u().set(bytes, address)
    return raw.sqlite3_bind_blob(this.#pointer, place, address, bytes.length, freeOf(sqlite3))
  }

  /** A table that was changed has the statement compiled again, and it may then have other columns. */
  #columnNames(): readonly string[] {
    const { raw, sqlite3 } = this.#compiler
    const { capi } = sqlite3
    const compiledCount = raw.sqlite3_stmt_status(this.#pointer, capi.SQLITE_STMTSTATUS_REPREPARE, 0)
    if (compiledCount !== this.#compiledCount) {
      this.#compiledCount = compiledCount
      const count = raw.sqlite3_column_count(this.#pointer)
      this.#names = Array.from({ length: count }, (_, at) => capi.sqlite3_column_name(this.#statement, at))
    }
    return this.#names
  }

  #row(names: readonly string[]): SqlRow {
    const row: Record<string, SqlValue> = {}
    for (let index = 0; index < names.length; index++) row[names[index] ?? ''] = this.#value(index)
    return row
  }

  #value(index: number): SqlValue {
    const { raw, sqlite3 } = this.#compiler
    const { capi, wasm } = sqlite3
    const pointer = this.#pointer
    switch (raw.sqlite3_column_type(pointer, index)) {
      case capi.SQLITE_INTEGER: {
        const value = raw.sqlite3_column_double(pointer, index)
        if (Number.isSafeInteger(value)) return value
        throw new RangeError(`${this.#names[index]} holds an integer that a number cannot hold exactly`)
      }
      case capi.SQLITE_FLOAT:
        return raw.sqlite3_column_double(pointer, index)
      case capi.SQLITE_TEXT: {
        const address = raw.sqlite3_column_text(pointer, index)
        return textAt(wasm.heap8u(), address, address + raw.sqlite3_column_bytes(pointer, index))
      }
      case capi.SQLITE_BLOB: {
        const address = raw.sqlite3_column_blob(pointer, index)
        return wasm.heap8u().slice(address, address + raw.sqlite3_column_bytes(pointer, index))
      }
      default:
        return null
    }
  }
}

/** Up to this length plain characters are put together one by one, which is faster than to call the decoder. */
const shortText = 40

function textAt(heap: Uint8Array, start: number, end: number): string {
  if (end - start > shortText) return decoder.decode(heap.subarray(start, end))
  let text = ''
  for (let at = start; at < end; at++) {
    const byte = heap[at] ?? 0
    if (byte > 127) return decoder.decode(heap.subarray(start, end))
    text += String.fromCharCode(byte)
  }
  return text
}

/** The address of the function that frees what `alloc` gave. */
function freeOf(sqlite3: Sqlite3Static): number {
  return Number(sqlite3.capi.SQLITE_WASM_DEALLOC)
}

function pointerOf(database: Database): number {
  if (database.pointer === undefined) throw new Error('the database was closed')
  return Number(database.pointer)
}

/** Like the errors of the build itself. */
function failure(resultCode: number, message: string): Error {
  return Object.assign(new Error(message), { resultCode })
}

function resultCodeOf(error: unknown): number | undefined {
  const code = error instanceof Error && 'resultCode' in error ? error.resultCode : undefined
  return typeof code === 'number' ? code : undefined
}
