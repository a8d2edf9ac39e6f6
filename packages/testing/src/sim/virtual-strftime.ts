import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'

/**
 * Makes SQL's `strftime` know only virtual time, also in defaults, checks and triggers: 'now' is what `nowIso` says, and
 * everything else is as SQLite computes it. Rules: SIM-16.
 */
export function useVirtualTime(database: DatabaseSync, nowIso: () => string): void {
  const original = new DatabaseSync(':memory:')
  const statements = new Map<number, StatementSync>()
  database.function('strftime', { varargs: true, deterministic: false }, (...args: SQLInputValue[]) => {
    const values = args.length === 1 ? [args[0] ?? null, 'now'] : args
    const virtual = values.map((value, index) => (index > 0 && value === 'now' ? nowIso() : value))
    let statement = statements.get(virtual.length)
    if (statement === undefined) {
      statement = original.prepare(`SELECT strftime(${virtual.map(() => '?').join(', ')}) AS text`)
      statements.set(virtual.length, statement)
    }
    return statement.get(...virtual)?.['text'] ?? null
  })
}
