import type { Client, Explanation, Inspection, SyncMetrics } from '@holdfast/client'
import type { Schema } from '@holdfast/core'

import { type StartOnClient, useSource } from '../hooks/use-source.ts'

/** What stands beside the rows, and what was counted. */
export interface Inspected {
  readonly inspection: Inspection
  readonly metrics: SyncMetrics
}

/** Reads again whenever the status or the outbox changes: everything that is looked at here changes with one of them. */
function startReading<T>(read: (client: Client<Schema>) => Promise<T>): StartOnClient<T> {
  return (client) => (tell, fail) => {
    let isStopped = false
    let latest = 0
    const again = (): void => {
      const turn = ++latest
      read(client).then(
        // An answer that was overtaken by a newer question has nothing to say.
        (value) => isStopped || turn < latest || tell(value),
        (error: unknown) => isStopped || turn < latest || fail(error),
      )
    }
    const stops = [client.status.subscribe(again), client.outbox.watch(again, { limit: 1 })]
    return () => {
      isStopped = true
      for (const stop of stops) stop()
    }
  }
}

const startInspecting = startReading<Inspected>(async (client) => ({
  inspection: await client.inspect(),
  metrics: await client.status.metrics(),
}))

/** Cursor, scopes, shadows and counts of this device, live. */
export function useInspection(): Inspected | undefined {
  return useSource('inspection', startInspecting).value
}

/** Why a record is as it is, live; null asks for nothing. */
export function useExplanation(
  place: { readonly collection: string; readonly record: string } | null,
): Explanation | undefined {
  const key = place === null ? null : `explanation ${place.collection} ${place.record}`
  return useSource<Explanation>(
    key,
    startReading((client) => client.explain(place?.collection ?? '', place?.record ?? '')),
  ).value
}
