/**
 * What a statement does to the transaction it runs in. `write`: may change rows; `define`: may change tables; `setting`:
 * changes the connection alone; `sync`: waits for the disk; `mark`: a savepoint and its ends; `ask`: a pragma that only
 * reads.
 */
export type StatementKind =
  | 'read'
  | 'write'
  | 'define'
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'mark'
  | 'setting'
  | 'sync'
  | 'ask'

/** Whether a statement of this kind needs room on the disk. */
export function needsRoom(kind: StatementKind): boolean {
  return kind === 'write' || kind === 'define' || kind === 'commit'
}

const kindsByWord: Readonly<Record<string, StatementKind>> = {
  SELECT: 'read',
  VALUES: 'read',
  EXPLAIN: 'read',
  BEGIN: 'begin',
  COMMIT: 'commit',
  END: 'commit',
  SAVEPOINT: 'mark',
  RELEASE: 'mark',
  CREATE: 'define',
  DROP: 'define',
  ALTER: 'define',
}

/**
 * Told from the text, as SQLite gives no word on it; what is not known counts as a write. Several statements in one
 * text are of the kind of the first.
 */
export function statementKind(sql: string): StatementKind {
  const word = /^\s*([a-z]+)/i.exec(sql)?.[1]?.toUpperCase() ?? ''
  if (word === 'ROLLBACK') return /^\s*ROLLBACK\s+(TRANSACTION\s+)?TO\b/i.test(sql) ? 'mark' : 'rollback'
  if (word === 'PRAGMA') return pragmaKind(sql)
  if (word === 'WITH') return /\b(INSERT|UPDATE|DELETE|REPLACE)\b/i.test(sql) ? 'write' : 'read'
  return kindsByWord[word] ?? 'write'
}

function pragmaKind(sql: string): StatementKind {
  // These two are kept in the file itself.
  if (/\b(application_id|user_version)\s*=/i.test(sql)) return 'write'
  if (/\bwal_checkpoint\b/i.test(sql)) return 'sync'
  return sql.includes('=') ? 'setting' : 'ask'
}
