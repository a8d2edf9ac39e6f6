import type { RecordHistory } from '@holdfast/client'
import { isObject, type Json } from '@holdfast/core'

import { changeText } from './change-text.ts'
import { shorten, table } from './layout.ts'
import type { Narrator, Tone } from './narrator.ts'

/** One event in the life of a record. */
export type HistoryEntry = RecordHistory['history'][number]

/** Entries shown at most, the newest ones. */
const shownEntries = 3

/** Columns of a row that are not for what happened: time, name, status and the blanks between. */
const otherColumns = 28

/** A record's timeline, the oldest of the shown entries first: when, who, what changed, and which rule decided. */
export function historyLines(tell: Narrator, newestFirst: readonly HistoryEntry[]): readonly string[] {
  const entries = newestFirst.slice(0, shownEntries).toReversed()
  const heads = table(
    entries.map((entry) => [
      tell.dim(timeOfDay(entry.at)),
      entry.user === null ? 'import' : tell.tint(toneOf(entry.user), nameOfUser(entry.user)),
      whatHappened(entry, tell.bodyWidth - otherColumns),
      tell.dim(entry.status),
    ]),
  )
  return entries.flatMap((entry, row) => [heads[row] ?? '', ...reasonLines(tell, entry)])
}

function reasonLines(tell: Narrator, entry: HistoryEntry): readonly string[] {
  const explanations = entry.decisions.flatMap((decision) =>
    isObject(decision) ? decision['explanation'] : [],
  )
  const reasons = [...new Set(explanations.map(String))]
  return reasons.map((reason) => tell.dim(`          └ ${shorten(reason, tell.bodyWidth - 12)}`))
}

/** What an entry did, in a few words: `stock 10 → 8`. */
function whatHappened({ op, before, after }: HistoryEntry, columns: number): string {
  if (op === 'delete') return 'deleted'
  if (op === 'restore') return 'brought back'
  const old = valuesOf(before)
  const now = valuesOf(after)
  if (op === 'create' && before === null) return 'created'
  const fields = Object.keys(now).filter((field) => !field.endsWith('_at') && field !== 'version')
  const [only, ...others] = fields
  if (only === undefined) return 'nothing changed'
  if (others.length > 0) return shorten(fields.join(', '), columns)
  return `${only} ${changeText(old[only], now[only], columns - only.length - 1)}`
}

function valuesOf(values: Json): Readonly<Record<string, Json>> {
  return isObject(values) ? values : {}
}

/** Hours, minutes and seconds in the time zone of whoever looks. */
export function timeOfDay(iso: string): string {
  return new Date(iso).toTimeString().slice(0, 8)
}

/** The name of a user of the tour: their ids are their names in small letters. */
export function nameOfUser(user: string): string {
  return user.charAt(0).toUpperCase() + user.slice(1)
}

/** The colour of a person's name. */
export function toneOf(user: string | null): Tone {
  return user === 'ana' || user === 'ben' || user === 'cleo' ? user : 'plain'
}
