import type { Client } from '@holdfast/client'
import { type Environment, type Schema, SyncError } from '@holdfast/core'
import { type Context, createContext, useContext } from 'react'

import type { Labels } from './labels.ts'
import { suspend } from './store/suspend.ts'

/** Whether there is a client, and if not whether there will be one. */
export type Opening =
  | { readonly status: 'open'; readonly client: Client<Schema> }
  | { readonly status: 'opening'; readonly client: null; readonly promise: Promise<Client<Schema>> }
  | { readonly status: 'none'; readonly client: null }

/** What the provider gives to everything below it. */
export interface HoldfastContext {
  readonly schema: Schema
  readonly opening: Opening
  readonly env: Pick<Environment, 'now' | 'setTimer'>
  readonly labels: Labels
  /** BCP 47 tag; undefined for that of the browser. */
  readonly locale: string | undefined
}

/** What `HoldfastProvider` fills. */
export const holdfastContext: Context<HoldfastContext | null> = createContext<HoldfastContext | null>(null)

/** What the provider gives. Errors: CLIENT_MISSING outside of a provider. */
export function useHoldfast(): HoldfastContext {
  const context = useContext(holdfastContext)
  if (context === null) throw new SyncError('CLIENT_MISSING', 'there is no HoldfastProvider above this')
  return context
}

/**
 * The client, with any schema. Suspends while it is being opened. Errors: CLIENT_MISSING outside of a provider and when
 * the provider was given no client, as on a server.
 */
export function useAnyClient(): Client<Schema> {
  const { opening } = useHoldfast()
  switch (opening.status) {
    case 'open':
      return opening.client
    case 'opening':
      return suspend(opening.promise)
    case 'none':
      throw new SyncError('CLIENT_MISSING', 'HoldfastProvider was given no client')
  }
}
