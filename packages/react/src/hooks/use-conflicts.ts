import type { Conflict, ConflictQuery, ForetoldConflict } from '@holdfast/client'
import { useMemo } from 'react'

import { keepIdentities } from '../store/keep-identities.ts'
import { emptyList, type LiveState, liveStateOf } from './live-list.ts'
import { type StartOnClient, useSource } from './use-source.ts'

/** Conflicts, the oldest first. */
export interface ConflictsResult extends LiveState {
  readonly conflicts: readonly Conflict[]
}

/** Mutations that will meet a conflict or be refused, as far as the device can tell. */
export interface ForetoldResult extends LiveState {
  readonly foretold: readonly ForetoldConflict[]
}

/** The conflicts this device sees; open ones unless said. Settle them with `client.conflicts`. Rules: RE-6. */
export function useConflicts(query: ConflictQuery = {}): ConflictsResult {
  const { status = 'open', collection, record } = query
  const wanted = { status, collection, record }
  const snapshot = useSource<readonly Conflict[]>(
    `conflicts ${JSON.stringify(wanted)}`,
    (client) => (tell) =>
      client.conflicts.watch(
        keepIdentities(({ id }) => id, tell),
        wanted,
      ),
  )
  return useMemo(() => ({ conflicts: snapshot.value ?? emptyList, ...liveStateOf(snapshot) }), [snapshot])
}

const startForetold: StartOnClient<readonly ForetoldConflict[]> = (client) => (tell, fail) => {
  let isStopped = false
  const fresh = (): ReturnType<typeof keepIdentities<ForetoldConflict>> =>
    keepIdentities<ForetoldConflict>(({ mutation }) => mutation, tell)
  let told = fresh()
  // What is foretold changes with a pull or with the outbox, and both are in the status.
  const stop = client.status.subscribe(() => {
    client.conflicts.foretold().then(
      (foretold) => isStopped || told(foretold),
      (error: unknown) => {
        if (isStopped) return
        // Whoever was told of the failure wants to know when it is over, although nothing else is foretold than before.
        told = fresh()
        fail(error)
      },
    )
  })
  return () => {
    isStopped = true
    stop()
  }
}

/** What is foretold after a pull and before the push: a hint, never an outcome. Rules: RE-6. */
export function useForetold(): ForetoldResult {
  const snapshot = useSource('foretold', startForetold)
  return useMemo(() => ({ foretold: snapshot.value ?? emptyList, ...liveStateOf(snapshot) }), [snapshot])
}
