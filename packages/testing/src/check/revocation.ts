import type { Checker } from './checker.ts'

/** Rows that are named of one device; there may be thousands. */
const namedMost = 3

/** What a device may not see any more is gone with the commit that says so. Rules: SIM-88. */
export const revocation: Checker = {
  name: 'revocation',
  promise: 'A scope that is taken away takes its rows with it, at once.',
  start: (fail) => (o) => {
    if (o.kind !== 'scopes-left' || o.kept.length === 0) return
    const named = o.kept.slice(0, namedMost).join(', ')
    fail(`${o.disk} gave up ${o.scopes.join(', ')} and still holds ${o.kept.length} of their rows: ${named}`)
  },
}
