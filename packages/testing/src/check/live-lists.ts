import type { Checker } from './checker.ts'
import type { ListRead } from './observation.ts'
import { sameValue, show } from './same-value.ts'

/** Rows of one list that are spelled out. */
const shownMax = 3

/** What an open list shows of a device at rest is what the device holds. Rules: SIM-90. */
export const liveLists: Checker = {
  name: 'live-lists',
  promise: 'An open list shows what its device holds.',
  start: (fail) => (o) => {
    if (o.kind === 'list-read') for (const message of problemsOf(o).slice(0, shownMax)) fail(message)
  },
}

function problemsOf({ disk, list, shown, held }: ListRead): readonly string[] {
  const name = `the list of ${list} on ${disk}`
  if (shown === null) return [`${name} never showed anything`]
  if (shown.length !== held.length)
    return [`${name} shows ${shown.length} rows, and the device holds ${held.length}`]
  return held.flatMap((row, index) =>
    sameValue(shown[index] ?? null, row) ? [] : [`${name} shows ${show(shown[index])} for ${show(row)}`],
  )
}
