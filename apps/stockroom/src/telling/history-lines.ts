import type { RecordHistory } from '@holdfast/client'
import { isObject } from '@holdfast/core'

import { shorten } from './layout.ts'
import type { Narrator, Tone } from './narrator.ts'
import { textOf } from './text-of.ts'

/** One event in the life of a record. */
export type HistoryEntry = RecordHistory['history'][number]

/** Entries shown at most, the newest ones. */
const shownEntries = 4

/** A record's timeline as rows, the oldest of those shown first: when, who, what changed, and which rule decided. */
export function historyLines(
  tell: Narrator,
  newestFirst: readonly HistoryEntry[],
): readonly (readonly string[])[] {
  return newestFirst
    .slice(0, shownEntries)
    .toReversed()
    .flatMap((entry) => rowsOf(tell, entry))
}

function rowsOf(tell: Narrator, entry: HistoryEntry): readonly (readonly string[])[] {
  const columns = tell.width - 40
  const who = entry.user === null ? 'import' : nameOfUser(entry.user)
  const head = [
    tell.dim(timeOfDay(entry.at)),
    tell.tint(toneOf(entry.user), who),
    shorten(describeChange(entry), columns),
    tell.dim(entry.status),
  ]
  const explanations = entry.decisions.flatMap((decision) =>
    isObject(decision) ? decision['explanation'] : [],
  )
  const reasons = [...new Set(explanations.map(String))]
  return [head, ...reasons.map((reason) => ['', '', tell.dim(`└ ${shorten(reason, columns + 12)}`)])]
}

/** What an entry did, in a few words: `stock 10 → 8`. */
function describeChange({ op, before, after }: HistoryEntry): string {
  if (op === 'delete') return 'deleted'
  if (op === 'create' && before === null) return 'created'
  const [old, now] = [before, after].map((values) => (isObject(values) ? values : {}))
  const fields = Object.keys(now ?? {}).filter((field) => !isTime(field))
  const changes = fields.map(
    (field) => `${field} ${shorten(textOf(old?.[field]), 24)} → ${textOf(now?.[field])}`,
  )
  if (changes.length === 0) return op === 'none' ? 'nothing changed' : op
  return (op === 'create' || op === 'restore' ? `${op}d: ` : '') + changes.join(', ')
}

function isTime(field: string): boolean {
  return field.endsWith('_at') || field === 'version'
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
