import { type Client, systemEnvironment } from '@holdfast/client'
import type { Environment, Schema } from '@holdfast/core'
import { type ReactElement, type ReactNode, useCallback, useMemo, useSyncExternalStore } from 'react'

import { holdfastContext, type HoldfastContext, type Opening } from './holdfast-context.ts'
import { englishLabels, type LabelOverrides, withLabels } from './labels.ts'
import { promiseState, type PromiseState } from './store/promise-state.ts'

/** What `HoldfastProvider` takes. */
export interface HoldfastProviderProps<S extends Schema> {
  /**
   * The open client, or the promise `openClient` gave, made once outside of components; null where there is none, as on a
   * server. Whoever opened it closes it.
   */
  readonly client: Client<S> | Promise<Client<S>> | null
  /** Texts to replace, for another language or another voice. */
  readonly labels?: LabelOverrides
  /** BCP 47 tag that dates and numbers are written by; the browser's unless said. */
  readonly locale?: string
  /** Where time comes from; the real world unless said. */
  readonly env?: Pick<Environment, 'now' | 'setTimer'>
  readonly children?: ReactNode
}

const pending: PromiseState<never> = { status: 'pending' }
const nothing = (): (() => void) => () => undefined

/** The provider of one schema, untyped; `createHooks` gives it its types. Rules: RE-1, RE-12. */
export function Provider({
  schema,
  client,
  labels,
  locale,
  env = systemEnvironment,
  children,
}: HoldfastProviderProps<Schema> & { readonly schema: Schema }): ReactElement {
  const opening = useOpening(client)
  const value = useMemo<HoldfastContext>(
    () => ({ schema, opening, env, labels: withLabels(englishLabels, labels), locale }),
    [schema, opening, env, labels, locale],
  )
  return <holdfastContext.Provider value={value}>{children}</holdfastContext.Provider>
}

/** Whether the client is there yet. A failure to open is thrown to the error boundary above. */
function useOpening(given: HoldfastProviderProps<Schema>['client']): Opening {
  const promise = isPromise(given) ? given : null
  const subscribe = useCallback(
    (listener: () => void) => {
      if (promise === null) return nothing()
      // Known first, then told.
      promiseState(promise)
      promise.then(listener, listener)
      return () => undefined
    },
    [promise],
  )
  const state = useSyncExternalStore<PromiseState<Client<Schema>>>(
    subscribe,
    () => (promise === null ? pending : promiseState(promise)),
    () => pending,
  )
  if (promise !== null && state.status === 'failed') throw state.error
  const client = isPromise(given) ? (state.status === 'done' ? state.value : null) : given
  return useMemo<Opening>(() => {
    if (client !== null) return { status: 'open', client }
    return promise === null ? { status: 'none', client } : { status: 'opening', client, promise }
  }, [client, promise])
}

function isPromise(given: HoldfastProviderProps<Schema>['client']): given is Promise<Client<Schema>> {
  return given !== null && 'then' in given
}
