import type { QueryBuilder } from '@holdfast/client'
import { useMemo, useState } from 'react'

import { useAnyClient, useHoldfast } from '../holdfast-context.ts'
import { pendingSnapshot, type Snapshot } from '../store/shared-source.ts'
import { sourceCacheOf } from '../store/source-cache.ts'
import { suspend } from '../store/suspend.ts'
import { emptyList, type LiveState, liveStateOf } from './live-list.ts'
import { buildQuery } from './query-key.ts'
import { type StartOnClient, useSource } from './use-source.ts'

/** Rows that follow every write, and how far they are. */
export interface LiveQueryResult<Row> extends LiveState {
  /** Rows that did not change are the same objects; while no row changed, the array is the same as well. Empty while pending. */
  readonly rows: readonly Row[]
}

/** How a live query behaves. */
export interface LiveQueryOptions {
  /**
   * While another query is pending, such as after a keystroke in a search field, show the rows of the one before it.
   * `status` is `pending` meanwhile.
   */
  readonly keepPrevious?: boolean
}

/** Untyped: see `Hooks.useLiveQuery`. */
export function useLiveQuery<Tables, Row>(
  build: QueryBuilder<Tables, Row> | null,
  { keepPrevious = false }: LiveQueryOptions = {},
): LiveQueryResult<Row> {
  const { key, error } = buildQuery(build)
  const snapshot = useSource(key, startOf<Tables, Row>(build))
  const previous = usePrevious(snapshot, keepPrevious)
  return useMemo(() => {
    const rows = snapshot.value ?? previous ?? emptyList
    return error === null ? { rows, ...liveStateOf(snapshot) } : { rows, status: 'error', error }
    // Another error object with the same text is the same error.
  }, [snapshot, previous, error?.message])
}

/** Untyped: see `Hooks.useSuspenseLiveQuery`. */
export function useSuspenseLiveQuery<Tables, Row>(build: QueryBuilder<Tables, Row>): readonly Row[] {
  const client = useAnyClient()
  const { env } = useHoldfast()
  const { key, error } = buildQuery(build)
  if (key === null) throw error?.cause
  const start = startOf<Tables, Row>(build)
  const snapshot = useSource(key, start)
  // `useSource` says pending while it hydrates; what is known is known all the same.
  const source = sourceCacheOf(client).get(key, start(client), env)
  const known = snapshot === pendingSnapshot ? source.snapshot : snapshot
  switch (known.status) {
    case 'ready':
      return known.value
    case 'pending':
      return suspend(source.first())
    case 'error':
      source.noteFailureSeen()
      throw known.error
  }
}

function startOf<Tables, Row>(build: QueryBuilder<Tables, Row> | null): StartOnClient<readonly Row[]> {
  return (client) => (tell, fail) => {
    // The tables are those of the schema the hooks were made for, and so of its client.
    const known = client as unknown as { readonly watch: WatchOf<Tables> }
    return build === null ? () => undefined : known.watch(build, tell, fail)
  }
}

type WatchOf<Tables> = <Row>(
  build: QueryBuilder<Tables, Row>,
  onRows: (rows: readonly Row[]) => void,
  onError: (error: unknown) => void,
) => () => void

/** The last value this client gave, for as long as there is none of the query that is asked for now. */
function usePrevious<T>(snapshot: Snapshot<T>, isWanted: boolean): T | undefined {
  const { client } = useHoldfast().opening
  const [previous, setPrevious] = useState<{ readonly value: T; readonly client: unknown }>()
  const { value } = snapshot
  const isNews = value !== previous?.value || client !== previous?.client
  if (isWanted && value !== undefined && isNews) setPrevious({ value, client })
  // What another account saw is nothing to show meanwhile.
  return isWanted && previous?.client === client ? previous.value : undefined
}
