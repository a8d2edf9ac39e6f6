import {
  coveredIds,
  type ErrorCode,
  errorTable,
  formatRanges,
  parseRanges,
  type PushResult,
  rangesOf,
} from '@holdfast/core'

import type { FakeStore } from './fake-store.ts'

/** Whose numbers are used again. */
export interface Reuser {
  readonly store: FakeStore
  readonly user: string
  readonly device: string
}

/** A refusal that uses nothing up, with what is known of each number. */
export function refuseReuse(
  { store, user, device }: Reuser,
  raw: Readonly<Record<string, unknown>>,
  code: ErrorCode,
): PushResult {
  const idsOf = (members: Readonly<Record<string, unknown>>): ReadonlyMap<number, string> =>
    coveredIds({
      id: String(members['id']),
      covers: parseRanges(String(members['covers'] ?? members['seq'])),
      folded: Array.isArray(members['folded']) ? members['folded'].map(String) : [],
    })
  const offered = idsOf(raw)
  const { outcomes } = store.device(user, device)
  const known = outcomes.flatMap(({ outcome }) => {
    const same = [...idsOf({ ...outcome })].filter(([number, id]) => offered.get(number) === id)
    return same.length === 0 || outcome === undefined
      ? []
      : [{ ...outcome, covers: formatRanges(rangesOf(same.map(([number]) => number))) }]
  })
  const used = new Set(outcomes.flatMap(({ covers }) => spelled(covers)))
  const free = formatRanges(
    rangesOf(spelled(String(raw['covers'] ?? raw['seq'])).filter((number) => !used.has(number))),
  )
  return { ...refusal(String(raw['id']), code), known, free }
}

function spelled(covers: string): readonly number[] {
  return parseRanges(covers).flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, at) => first + at),
  )
}

/** A verdict that nothing was done, and why. */
export function refusal(id: string, code: ErrorCode, message: string = errorTable[code].meaning): PushResult {
  return {
    id,
    status: 'rejected',
    version: null,
    serverUpdatedAt: null,
    error: { code, message, retry: 'never' },
  }
}
