import type { Entry } from '../outbox/entry.ts'

/**
 * The own mutations that lead from a shadow's version to `version`, when the server took each exactly as it was, so
 * that replaying them gives what the server has. Empty when that is not known; then the record must be fetched.
 * Rules: AP-9.
 */
export function chainOfHave(
  entries: readonly Entry[],
  shadowVersion: number,
  version: number,
): readonly Entry[] {
  const chain = entries.filter(
    (entry) => entry.version !== null && entry.version > shadowVersion && entry.version <= version,
  )
  const isWhole = chain.at(-1)?.version === version && chain[0]?.baseVersion === shadowVersion
  const isExact = chain.every((entry) => entry.status === 'answered' && entry.exact)
  return isWhole && isExact ? chain : []
}
