import type { TimelineEntry } from '../server-view.ts'
import { shorten } from './layout.ts'
import type { Narrator, Tone } from './narrator.ts'
import { textOf } from './text-of.ts'

/** Entries shown at most, the newest ones. */
const shownEntries = 4

/** A record's timeline as rows, the oldest of those shown first: when, who, what changed, and which rule decided. */
export function historyLines(
  tell: Narrator,
  newestFirst: readonly TimelineEntry[],
): readonly (readonly string[])[] {
  return newestFirst
    .slice(0, shownEntries)
    .toReversed()
    .flatMap((entry) => rowsOf(tell, entry))
}

function rowsOf(tell: Narrator, entry: TimelineEntry): readonly (readonly string[])[] {
  const columns = tell.width - 40
  const who = entry.user === null ? 'import' : entry.user.charAt(0).toUpperCase() + entry.user.slice(1)
  const status = entry.code === null ? entry.status : `${entry.status}, ${entry.code}`
  const head = [
    tell.dim(timeOfDay(entry.at)),
    tell.tint(toneOf(entry.user), who),
    shorten(describeChange(entry), columns),
    tell.dim(status),
  ]
  const reasons = [...new Set(entry.decisions.map((decision) => decision.explanation))]
  return [head, ...reasons.map((reason) => ['', '', tell.dim(`└ ${shorten(reason, columns + 12)}`)])]
}

/** What an entry did, in a few words: `stock 10 → 8`. */
export function describeChange({ op, before, after }: TimelineEntry): string {
  if (op === 'delete') return 'deleted'
  if (op === 'create' && before === null) return 'created'
  const fields = Object.keys(after ?? {}).filter((field) => !isTime(field))
  const changes = fields.map(
    (field) => `${field} ${shorten(textOf(before?.[field]), 24)} → ${textOf(after?.[field])}`,
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

/** The colour of a person's name. */
export function toneOf(user: string | null): Tone {
  return user === 'ana' || user === 'ben' || user === 'cleo' ? user : 'plain'
}
