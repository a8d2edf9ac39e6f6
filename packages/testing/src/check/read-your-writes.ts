import type { Checker } from './checker.ts'
import type { OwnRead } from './observation.ts'
import { sameValue, show } from './same-value.ts'

/** What an app wrote is what it reads right after. Rules: SIM-81. */
export const readYourWrites: Checker = {
  name: 'read-your-writes',
  promise: 'Whoever wrote a record reads what they wrote.',
  start: (fail) => (o) => {
    if (o.kind === 'own-read') for (const message of problemsOf(o)) fail(message)
  },
}

function problemsOf({ disk, collection, record, wrote, read }: OwnRead): readonly string[] {
  const name = `${collection}/${record} on ${disk}`
  if (wrote === null) return read === null ? [] : [`${name} was deleted and is still read`]
  if (read === null) return [`${name} was written and is not there`]
  return Object.entries(wrote)
    .filter(([field, value]) => !sameValue(read[field] ?? null, value))
    .map(([field, value]) => `${name} was given ${field} ${show(value)} and reads ${show(read[field])}`)
}
