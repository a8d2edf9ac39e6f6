import type { Entry } from '@holdfast/client'
import { useMemo } from 'react'

import { useOutbox } from './use-outbox.ts'

/** Decisions shown as made: far more than a person makes before they travel. */
const decisions = 1_000

/** Conflicts a decision on which is on its way, by id. What the server refused counts no more. Rules: RE-9. */
export function useDecided(): ReadonlyMap<string, Entry> {
  const { entries } = useOutbox({ isDecision: true, limit: decisions })
  return useMemo(
    () =>
      new Map(
        entries.flatMap((entry) =>
          entry.resolves === null || entry.status === 'dead' ? [] : [[entry.resolves, entry] as const],
        ),
      ),
    [entries],
  )
}
