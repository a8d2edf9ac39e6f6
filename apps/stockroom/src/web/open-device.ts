import type { Client } from '@holdfast/client'
import { eraseSealedBatches, openBrowserClient } from '@holdfast/client/browser'
import { createNetworkConditions, type NetworkConditions } from '@holdfast/react/inspector'

import type { PersonId } from '../warehouse/people.ts'
import { schema } from '../warehouse/schema.ts'
import { noteAirplane } from './airplane-note.ts'
import { networkChannel } from './worker-network.ts'

/** The warehouse's database on this device, typed by the schema. */
export type Warehouse = Client<typeof schema>

/** A person's device: their database, and a network that can be switched off. */
export interface Device {
  readonly db: Promise<Warehouse>
  readonly conditions: NetworkConditions
  /** Closes the database. What is unsent stays in it, and nobody sends it before somebody signs in again. */
  signOut(): Promise<void>
}

/** Opens a person's database in this browser and begins to sync it. This is all there is to opening. */
export function openDevice(person: PersonId): Device {
  const network = openNetwork(person)
  const db = openBrowserClient({
    schema,
    name: person,
    account: person,
    server: `${location.origin}/api`,
    auth: () => signIn(person),
    // The service worker signs in by itself.
    background: {},
    worker: () =>
      new Worker(new URL('./holdfast-worker.ts', import.meta.url), { type: 'module', name: person }),
  })
  const { conditions } = network
  const follow = (): void =>
    void db.then(({ sync }) => sync.setOnline(!conditions.settings().isOffline)).catch(() => undefined)
  const stop = conditions.subscribe(follow)
  follow()
  return {
    db,
    conditions,
    signOut: async () => {
      stop()
      network.close()
      await (await db).close()
      await eraseSealedBatches(person)
    },
  }
}

/** A token; null when the server wants somebody to sign in again. */
async function signIn(person: PersonId): Promise<string | null> {
  const response = await fetch(`/sign-in?person=${person}`, { method: 'POST' })
  if (response.status === 401) return null
  if (!response.ok) throw new Error(`the sign-in answered ${response.status}`)
  const { token } = (await response.json()) as { token: string }
  return token
}

/** How bad the network is to be, as this device remembers it; its worker is told. */
function openNetwork(person: PersonId): { readonly conditions: NetworkConditions; close(): void } {
  const key = `stockroom:network:${person}`
  const conditions = createNetworkConditions()
  const kept = localStorage.getItem(key)
  // What this page wrote there.
  if (kept !== null) conditions.set(JSON.parse(kept) as ReturnType<NetworkConditions['settings']>)
  const channel = networkChannel(person)
  const tell = (): void => {
    channel.postMessage(conditions.settings())
    void noteAirplane(person, conditions.settings().isOffline).catch(() => undefined)
  }
  channel.addEventListener('message', ({ data }) => {
    if (data === 'ask') tell()
  })
  const stop = conditions.subscribe(() => {
    localStorage.setItem(key, JSON.stringify(conditions.settings()))
    tell()
  })
  tell()
  return {
    conditions,
    close: () => {
      stop()
      channel.close()
    },
  }
}
