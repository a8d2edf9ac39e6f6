import { useCallback, useSyncExternalStore } from 'react'

import { useHoldfast } from '../holdfast-context.ts'
import { pendingSnapshot, type Snapshot, type StartSource } from '../store/shared-source.ts'
import { sourceCacheOf } from '../store/source-cache.ts'
import type { Client } from '@holdfast/client'
import type { Schema } from '@holdfast/core'

/** Begins to watch something of a client. */
export type StartOnClient<T> = (client: Client<Schema>) => StartSource<T>

const nothing = (): (() => void) => () => undefined

/**
 * What the source of that key has told, shared by all who ask for the key; `start` may be another function in every
 * render, since the key says all that it depends on. Null asks for nothing. Pending on a server and while hydrating.
 */
export function useSource<T>(key: string | null, start: StartOnClient<T>): Snapshot<T> {
  const { opening, env } = useHoldfast()
  const { client } = opening
  const subscribe = useCallback(
    (listener: () => void) =>
      client === null || key === null
        ? nothing()
        : sourceCacheOf(client).get(key, start(client), env).subscribe(listener),
    // The key stands for `start`.
    [client, key, env],
  )
  const read = (): Snapshot<T> =>
    client === null || key === null
      ? pendingSnapshot
      : (sourceCacheOf(client).peek<T>(key)?.snapshot ?? pendingSnapshot)
  return useSyncExternalStore(subscribe, read, () => pendingSnapshot)
}
