import type { Entry, EntryQuery } from '@holdfast/client'
import { useMemo } from 'react'

import { keepIdentities } from '../store/keep-identities.ts'
import { emptyList, type LiveState, liveStateOf } from './live-list.ts'
import { useSource } from './use-source.ts'

/** Entries in the order written. */
export interface OutboxResult extends LiveState {
  readonly entries: readonly Entry[]
}

/** Entries shown unless said: a week offline may leave thousands, and `useSyncStatus().pendingCount` counts them all. */
const shownEntries = 100

/** What is in the outbox: the first 100 entries unless `limit` says otherwise. Rules: RE-6. */
export function useOutbox(query: EntryQuery = {}): OutboxResult {
  const { status, record, isDecision, afterSeq, limit = shownEntries } = query
  const wanted: EntryQuery = { status, record, isDecision, afterSeq, limit }
  const snapshot = useSource<readonly Entry[]>(
    `outbox ${JSON.stringify(wanted)}`,
    (client) => (tell) =>
      client.outbox.watch(
        keepIdentities(({ id }) => id, tell),
        wanted,
      ),
  )
  return useMemo(() => ({ entries: snapshot.value ?? emptyList, ...liveStateOf(snapshot) }), [snapshot])
}
