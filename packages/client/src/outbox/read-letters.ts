import { type Payload, SyncError } from '@holdfast/core'

import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { LocalReader } from '../local/local-database.ts'
import { type EntryError, entryColumns, readEntry } from './entry.ts'
import { dependentsOf } from './requeue.ts'

/** One mutation of a dead letter. */
export interface DeadMutation {
  readonly id: string
  readonly seq: number
  readonly collection: string
  readonly record: string
  readonly op: string
  /** null when its bytes cannot be read. */
  readonly payload: Payload | null
  readonly createdAt: string
  readonly attempts: number
  readonly error: EntryError
}

/** Mutations that will never succeed by themselves and travel together: one, a fold of several, or a transaction. */
export interface DeadLetter {
  /** Id of its first mutation; every call also takes the id of any other. */
  readonly id: string
  readonly error: EntryError
  readonly mutations: readonly DeadMutation[]
  /** Ids of the mutations that wait for it: they go on by themselves once it is retried, or are on their own once it is discarded. */
  readonly behind: readonly string[]
}

// That they are not pending is said for the index.
const isDead = "status = 'dead' AND status <> 'pending'"

export function deadRows(tx: LocalReader): Promise<readonly SqlRow[]> {
  return tx.all(`SELECT ${entryColumns} FROM _outbox WHERE ${isDead} ORDER BY seq`)
}

/** Rows by letter: what was offered together, or written in one transaction, is refused together. */
export function lettersIn(rows: readonly SqlRow[]): readonly (readonly SqlRow[])[] {
  const letters = new Map<string, SqlRow[]>()
  for (const row of rows) {
    const key = row.group_id === null ? `offer ${row.offer ?? row.seq}` : `group ${row.group_id}`
    const letter = letters.get(key)
    if (letter === undefined) letters.set(key, [row])
    else letter.push(row)
  }
  return [...letters.values()]
}

/** The rows of one letter. Errors: RECORD_NOT_FOUND. */
export async function rowsOf(tx: LocalReader, id: string): Promise<readonly SqlRow[]> {
  const rows = await tx.all(
    `WITH named AS MATERIALIZED (SELECT seq, offer, group_id FROM _outbox WHERE ${isDead} AND id = ?)
     SELECT ${entryColumns} FROM _outbox WHERE ${isDead} AND seq IN (SELECT seq FROM named
       UNION SELECT o.seq FROM named JOIN _outbox AS o ON o.group_id = named.group_id
       UNION SELECT o.seq FROM named JOIN _outbox AS o ON o.offer = named.offer WHERE named.group_id IS NULL) ORDER BY seq`,
    [id],
  )
  return lettersIn(rows).find((letter) => letter.some((row) => row.id === id)) ?? noLetter(id)
}

export function noLetter(id: string): never {
  throw new SyncError('RECORD_NOT_FOUND', `there is no dead letter ${id}`)
}

/** What waits for any of them is looked for once. */
export async function readLetters(
  tx: LocalReader,
  letters: readonly (readonly SqlRow[])[],
): Promise<readonly DeadLetter[]> {
  const dependents = await dependentsOf(tx, letters.flat().map(seqOf))
  const rows = await tx.all('SELECT seq, id FROM _outbox WHERE seq IN (SELECT value FROM json_each(?))', [
    JSON.stringify([...new Set([...dependents.values()].flat())]),
  ])
  const ids = new Map(rows.map((row) => [seqOf(row), String(row.id)]))
  return letters.map((letter) => {
    const behind = new Set(letter.flatMap((row) => dependents.get(seqOf(row)) ?? []))
    return letterOf(
      letter,
      [...behind].sort((left, right) => left - right).flatMap((seq) => ids.get(seq) ?? []),
    )
  })
}

function letterOf(rows: readonly SqlRow[], behind: readonly string[]): DeadLetter {
  const mutations = rows.map(deadMutationOf)
  // The culprit of a refused transaction is the member with a reason of its own.
  const culprit = mutations.find(({ error }) => error.code !== 'DEPENDENCY_FAILED') ?? mutations[0]
  const error = culprit?.error ?? { code: 'ENTRY_UNREADABLE', message: '' }
  return { id: String(rows[0]?.id), error, mutations, behind }
}

function deadMutationOf(row: SqlRow): DeadMutation {
  const entry = readEntry(row)
  const text = String(row.error ?? '')
  const space = `${text} `.indexOf(' ')
  return {
    id: String(row.id),
    seq: seqOf(row),
    collection: String(row.collection),
    record: String(row.record),
    op: String(row.op),
    payload: entry?.payload ?? null,
    createdAt: String(row.created_at),
    attempts: Number(row.attempts),
    error: { code: text.slice(0, space), message: text.slice(space + 1) },
  }
}

/** The device number of a row. */
export function seqOf(row: SqlRow): number {
  return Number(row.seq)
}
