import type { Checker } from './checker.ts'
import type { ScopesLeft } from './observation.ts'

/** Rows that are named of one device; there may be thousands. */
const namedMost = 3

/**
 * What a device may not see any more is gone with the commit that says so from its tables, and from the bytes of its file
 * once that was rewritten. Own mutations are left out: what somebody wrote stays his. Rules: SIM-88.
 */
export const revocation: Checker = {
  name: 'revocation',
  promise: 'A scope that is taken away takes its rows with it, at once.',
  start: (fail) => (o) => {
    if (o.kind === 'scopes-left') check(o, fail)
  },
}

function check({ disk, scopes, kept, ghosts }: ScopesLeft, fail: (message: string) => void): void {
  const left = [...kept, ...ghosts.map((id) => `bytes of ${id}`)]
  if (left.length === 0) return
  const named = left.slice(0, namedMost).join(', ')
  fail(
    `${disk} gave up ${scopes.join(', ') || 'edits to escrow'} and still holds ${left.length} of their rows: ${named}`,
  )
}
