import { type Client, openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { attachment, collection, counter, decimal, defineSchema, json, set, text } from '@holdfast/core'
import {
  createFakeServer,
  createVirtualEnvironment,
  type FakeServer,
  type VirtualEnvironment,
} from '@holdfast/testing'
import { act, cleanup, render, type RenderResult } from '@testing-library/react'
import type { ReactNode } from 'react'
import { vi } from 'vitest'

import { createHooks } from './create-hooks.ts'
import type { LabelOverrides } from './labels.ts'

const items = collection({
  fields: {
    name: text(),
    price: decimal({ optional: true }),
    stock: counter(),
    note: text({ optional: true, merge: 'latest' }),
    tags: set(text()),
    about: json({ optional: true }),
    photo: attachment(),
  },
})

/** Things in a shop, and the shelves they lie on. */
export const schema = defineSchema({
  version: 1,
  collections: { items, shelves: collection({ fields: { label: text() } }) },
})

/** The hooks of that schema. */
export const hooks = createHooks(schema)

/** A database of that schema. */
export type ShopClient = Client<typeof schema>

/** A server and devices on one virtual clock, and pages that show them. */
export interface GivenApp {
  readonly env: VirtualEnvironment
  readonly server: FakeServer
  open(options?: { readonly user?: string; readonly auto?: boolean }): Promise<ShopClient>
  /** Shows something below a provider. */
  show(
    client: ShopClient | Promise<ShopClient> | null,
    children: ReactNode,
    labels?: LabelOverrides,
  ): Promise<RenderResult>
  /** The same page with something else on it. */
  element(
    client: ShopClient | Promise<ShopClient> | null,
    children: ReactNode,
    labels?: LabelOverrides,
  ): ReactNode
  /** Lets everything finish that needs no time, or that time. */
  pass(ms?: number): Promise<void>
  /** One whole cycle. */
  sync(db: ShopClient): Promise<void>
  close(): Promise<void>
}

/** Makes an app in which ann and bob see everything. */
export function givenApp(): GivenApp {
  const env = createVirtualEnvironment({ seed: 1 })
  const server = createFakeServer({ schema, env, scopes: { ann: ['global'], bob: ['global'] } })
  env.connect(server.fetch)
  const clients: ShopClient[] = []
  const element: GivenApp['element'] = (client, children, labels) => (
    <hooks.HoldfastProvider client={client} env={env} locale="en-GB" labels={labels}>
      {children}
    </hooks.HoldfastProvider>
  )
  return {
    env,
    server,
    element,
    open: async ({ user = 'ann', auto = false } = {}) => {
      const db = await openClient({
        schema,
        storage: sqliteStorage(':memory:'),
        server: 'https://shop.example',
        auth: user,
        env,
        durability: 'fast',
        sync: { auto },
      })
      clients.push(db)
      return db
    },
    show: async (client, children, labels) => {
      let result: RenderResult | undefined
      await act(async () => {
        result = render(element(client, children, labels))
        await env.settle()
      })
      if (result === undefined) throw new Error('nothing was rendered')
      return result
    },
    pass: (ms = 0) => act(() => env.advance(ms)),
    sync: (db) =>
      act(async () => {
        await env.complete(db.sync.now())
        await env.settle()
      }),
    close: async () => {
      cleanup()
      for (const db of clients) await db.close()
    },
  }
}

/** Keeps errors that a test means to happen out of its output. Returns the way back. */
export function silence(): () => void {
  const spy = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const prevent = (event: Event): void => event.preventDefault()
  window.addEventListener('error', prevent)
  return () => {
    spy.mockRestore()
    window.removeEventListener('error', prevent)
  }
}
