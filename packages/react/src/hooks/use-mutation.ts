import type { Client, Entry } from '@holdfast/client'
import { type Schema, SyncError } from '@holdfast/core'
import { useCallback, useEffect, useInsertionEffect, useReducer, useRef } from 'react'

import { toErrorInfo } from '../error-info.ts'
import { type Opening, useHoldfast } from '../holdfast-context.ts'
import {
  idleState,
  isWaiting,
  type MutationEvent,
  type MutationState,
  nextMutationState,
  type NumberedState,
} from './mutation-state.ts'
import { trackedClient, type TrackedWrite } from './tracked-client.ts'

/** A way to write, and what came of the newest call. */
export interface MutationHandle<Args extends readonly unknown[], Result> extends MutationState<Result> {
  /**
   * Calls the function. What it throws ends in `error`, or is reported by the platform when the component is gone by then or
   * has called again. The same function in every render.
   */
  readonly mutate: (...args: Args) => void
  /** Calls the function and resolves when its writes are stored on this device, never waiting for the network; rejects with what it throws. */
  readonly mutateAsync: (...args: Args) => Promise<Result>
  /** Forgets the newest call; its writes stay written. */
  readonly reset: () => void
}

/** Records that one call is followed in while it waits; of more, the verdict is still told. */
const followedRecords = 20

/** Untyped: see `Hooks.useMutation`. */
export function useMutation<Args extends readonly unknown[], Result>(
  fn: (db: Client<Schema>, ...args: Args) => Promise<Result>,
): MutationHandle<Args, Result> {
  const { opening } = useHoldfast()
  const latest = useRef({ fn, opening })
  useInsertionEffect(() => {
    latest.current = { fn, opening }
  })
  const [state, dispatch] = useReducer(reducer<Result>, idleState)
  const [waiting, follow] = useReducer(
    (_: Waiting | null, next: Waiting | null): Waiting | null => next,
    null,
  )
  const runs = useRef(0)
  useFollowed(isWaiting(state) && waiting?.run === state.run ? waiting : null, dispatch)
  const mutateAsync = useCallback(async (...args: Args): Promise<Result> => {
    // Of the render that was on the page when it was called: the next one may speak of another record, or of another client.
    const { fn: called, opening: given } = latest.current
    const run = ++runs.current
    dispatch({ kind: 'called', run })
    try {
      const client = await clientOf(given)
      const { data, writes } = await performed(client, (db) => called(db, ...args))
      dispatch({ kind: 'stored', run, data })
      follow({ run, client, writes })
      Promise.all(writes.map((write) => write.verdict())).then(
        (verdicts) => dispatch({ kind: 'ruled', run, verdicts }),
        // The client was closed before the server ruled: the next one to open goes on.
        () => undefined,
      )
      return data
    } catch (error) {
      dispatch({ kind: 'threw', run, error })
      throw error
    }
  }, [])
  const isShown = useRef(false)
  useEffect(() => {
    isShown.current = true
    return () => void (isShown.current = false)
  }, [])
  const mutate = useCallback(
    (...args: Args): void => {
      const stored = mutateAsync(...args)
      const run = runs.current
      stored.catch((error: unknown) => {
        // Where the component does not show it, nobody but the platform can be told: as a rejection that nobody handles.
        if (!isShown.current || run !== runs.current) throw error
      })
    },
    [mutateAsync],
  )
  const reset = useCallback(() => dispatch({ kind: 'reset', run: ++runs.current }), [])
  const { status, data, error, verdicts } = state
  return { mutate, mutateAsync, reset, status, data, error, verdicts }
}

function reducer<Result>(state: NumberedState<Result>, event: MutationEvent<Result>): NumberedState<Result> {
  return nextMutationState(state, event)
}

async function clientOf(opening: Opening): Promise<Client<Schema>> {
  if (opening.status === 'open') return opening.client
  if (opening.status === 'opening') return opening.promise
  throw new SyncError('CLIENT_MISSING', 'HoldfastProvider was given no client')
}

/** Runs a function up to the end of all that it writes, and says what that was. */
async function performed<Result>(
  client: Client<Schema>,
  fn: (db: Client<Schema>) => Promise<Result>,
): Promise<{ readonly data: Result; readonly writes: readonly TrackedWrite[] }> {
  const writes: TrackedWrite[] = []
  const begun = new Set<Promise<unknown>>()
  const db = trackedClient(client, {
    begun: (call) => {
      begun.add(call)
      const end = (): void => void begun.delete(call)
      call.then(end, end)
    },
    written: (write) => writes.push(write),
  })
  const data = await fn(db)
  // What the function did not wait for is its work all the same, and nobody else would hear that it failed.
  while (begun.size > 0) await Promise.all(begun)
  return { data, writes }
}

interface Waiting {
  readonly run: number
  readonly client: Client<Schema>
  readonly writes: readonly TrackedWrite[]
}

/** Tells what the writes of a call wait for, as long as the component is there and the server has not ruled. */
function useFollowed(waiting: Waiting | null, dispatch: (event: MutationEvent<never>) => void): void {
  useEffect(() => {
    if (waiting === null) return undefined
    const { run, client, writes } = waiting
    const records = [...new Set(writes.flatMap(({ record }) => record ?? []))].slice(0, followedRecords)
    const mutations = new Set(writes.flatMap(({ mutation }) => mutation ?? []))
    const entriesByRecord = new Map<string, readonly Entry[]>()
    const tell = (): void => {
      const own = [...entriesByRecord.values()]
        .flat()
        .filter(({ id, op }) => mutations.has(id) || op === 'create')
      dispatch({ kind: 'waits', run, ...waitOf(own) })
    }
    const stops = records.map((record) =>
      client.outbox.watch(
        (entries) => {
          entriesByRecord.set(record, entries)
          tell()
        },
        { record },
      ),
    )
    return () => {
      for (const stop of stops) stop()
    }
  }, [waiting, dispatch])
}

function waitOf(
  entries: readonly Entry[],
): Pick<Extract<MutationEvent<never>, { readonly kind: 'waits' }>, 'status' | 'error'> {
  if (entries.some(({ status }) => status === 'held')) return { status: 'held', error: null }
  const retried = entries.find(({ status, attempts }) => status === 'pending' && attempts > 0)
  if (retried === undefined) return { status: 'pending', error: null }
  return { status: 'retry', error: retried.error === null ? null : toErrorInfo(retried.error) }
}
