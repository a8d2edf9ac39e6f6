import {
  type Change,
  isObject,
  parsePullResponse,
  type PullResponse,
  type Schema,
  SyncError,
} from '@holdfast/core'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { readMeta, writeMeta } from '../local/meta.ts'
import { notePage, type PageNote, type PageVerdicts } from './page-note.ts'
import { type PullProgress, startPull } from './pull-progress.ts'

/** A page to be put aside until the flip. */
export interface PageToStage {
  /** What it says of our mutations. */
  readonly verdicts: PageVerdicts
  /** The answer as it came. */
  readonly text: string
  /** Its changes, parsed. */
  readonly changes: readonly Change[]
  /** The progress with this page in it. */
  readonly progress: PullProgress
}

/** Puts a page aside. Rules: AP-3. */
export async function stagePage(tx: LocalTransaction, schema: Schema, staged: PageToStage): Promise<void> {
  const { lastInsertRowid } = await tx.run("INSERT INTO _staging (kind, body) VALUES ('page', ?)", [
    staged.text,
  ])
  const note: PageNote = {
    ...notePage(schema, lastInsertRowid, staged.changes),
    verdicts: staged.verdicts,
  }
  await tx.run("INSERT INTO _staging (kind, body) VALUES ('note', ?)", [JSON.stringify(note)])
}

/** Remembers how far the pull got, in the transaction of its newest page. */
export async function keepProgress(tx: LocalTransaction, progress: PullProgress): Promise<void> {
  await writeMeta(tx, 'sync.pull', JSON.stringify(progress))
}

/** Whatever was staged goes, and a snapshot of everything is to be fetched. */
export function beginReset(tx: LocalTransaction, schemaVersion: number): Promise<PullProgress> {
  return begin(tx, startPull(null, schemaVersion))
}

/** The pull begins anew where it began, as for other grants; one that replaces everything still does. Rules: AP-3, AP-12. */
export function beginAgain(tx: LocalTransaction, progress: PullProgress): Promise<PullProgress> {
  return begin(tx, { ...startPull(progress.base, progress.schema), isWhole: progress.isWhole })
}

/**
 * The pull begins anew where it began, and asks for own rows whole: the device cannot build them, as after it was put back to
 * a backup. Errors: RESPONSE_INVALID, when it had asked for that. Rules: AP-9.
 */
export async function beginWhole(tx: LocalTransaction, progress: PullProgress): Promise<PullProgress> {
  if (progress.isWhole) throw new SyncError('RESPONSE_INVALID', 'own rows were asked for and did not come')
  return beginAgain(tx, { ...progress, isWhole: true })
}

async function begin(tx: LocalTransaction, fresh: PullProgress): Promise<PullProgress> {
  await dropStaging(tx)
  await keepProgress(tx, fresh)
  return fresh
}

/** Where a pull begins. */
export interface PullStart {
  readonly cursor: string | null
  /** Whether there are pages of a pull that was under way. */
  readonly left: boolean
  /** That pull, if it can go on: same cursor, same schema. */
  readonly fit: PullProgress | undefined
}

/** Whether everything is being replaced, by a pull that no flip has ended. */
export async function isReplacing(reader: LocalReader): Promise<boolean> {
  const text = await readMeta(reader, 'sync.pull')
  // Written by keepProgress and by nobody else.
  return typeof text === 'string' && (JSON.parse(text) as PullProgress).replaces
}

/** What is left of a pull that was under way, and the cursor. */
export async function readPull(reader: LocalReader, schemaVersion: number): Promise<PullStart> {
  const rows = await reader.all("SELECT key, value FROM _meta WHERE key IN ('cursor', 'sync.pull')")
  const textOf = (key: string): string | null => {
    const value = rows.find((row) => row.key === key)?.value
    return typeof value === 'string' ? value : null
  }
  const cursor = textOf('cursor')
  const text = textOf('sync.pull')
  if (text === null) return { cursor, left: false, fit: undefined }
  // Written by keepProgress and by nobody else.
  const progress = JSON.parse(text) as PullProgress
  const isFit = progress.base === (progress.replaces ? null : cursor) && progress.schema === schemaVersion
  return { cursor, left: true, fit: isFit ? progress : undefined }
}

/** Where the device is in the feed; null before the first flip. */
export async function readCursor(tx: LocalReader): Promise<string | null> {
  const cursor = await readMeta(tx, 'cursor')
  return typeof cursor === 'string' ? cursor : null
}

/** Whether the server has lost a history that this device knows: everything is to be replaced, and what it took returned. */
export async function hasLostHistory(tx: LocalReader): Promise<boolean> {
  return (await readMeta(tx, 'sync.lost')) !== undefined
}

/** The server said so. Rules: SY-25. */
export async function noteLostHistory(tx: LocalTransaction): Promise<void> {
  await writeMeta(tx, 'sync.lost', 1)
}

/** Forgets the pull under way and its pages. What was visible stays. */
export async function dropStaging(tx: LocalTransaction): Promise<void> {
  await tx.run('DELETE FROM _staging')
  await writeMeta(tx, 'sync.pull', null)
}

/** Notes of the staged pages, in the order the pages came. */
export async function stagedNotes(tx: LocalReader): Promise<PageNote[]> {
  const rows = await tx.all("SELECT body FROM _staging WHERE kind = 'note' ORDER BY n")
  // Written by stagePage and by nobody else.
  return rows.map((row) => JSON.parse(String(row['body'])) as PageNote)
}

/** What the newest page says of this device's mutations. */
export function newestVerdicts(notes: readonly PageNote[]): PageVerdicts {
  return notes.findLast(({ verdicts }) => verdicts !== undefined)?.verdicts ?? { outcomes: [], isAll: false }
}

/** Reads a page. Errors: RESPONSE_INVALID. */
export function readPage(body: unknown): PullResponse {
  if (!isObject(body)) throw new SyncError('RESPONSE_INVALID', 'a page is an object')
  return parsePullResponse(body)
}
