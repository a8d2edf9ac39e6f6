import { join } from 'node:path'

import { type Client, openClient, systemEnvironment } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'

import type { Tone } from './telling/narrator.ts'
import { NetworkLink } from './network-link.ts'
import { schema } from './schema.ts'
import type { TokenOffice } from './tokens.ts'

/** The library's database on a device: typed by the schema. */
export type LibraryClient = Client<typeof schema>

/** A person with a device in the hand: a database file of its own, and a way to the network. */
export interface Device {
  readonly person: { readonly id: string; readonly name: string }
  readonly place: string
  readonly tone: Tone
  readonly db: LibraryClient
  readonly link: NetworkLink
  /** How often the app fetched a token. */
  readonly signIns: { count: number }
}

/** Who uses the library in this tour. */
export const people = {
  ana: { person: { id: 'ana', name: 'Ana' }, place: 'warehouse', tone: 'ana' },
  ben: { person: { id: 'ben', name: 'Ben' }, place: 'office', tone: 'ben' },
  cleo: { person: { id: 'cleo', name: 'Cleo' }, place: 'delivery van', tone: 'cleo' },
} as const satisfies Record<string, Pick<Device, 'person' | 'place' | 'tone'>>

/** Opens a device: the whole client side of the library. It syncs when it is told to, so that the tour can tell it. */
export async function openDevice(
  who: keyof typeof people,
  { folder, url, office, auto = false }: { folder: string; url: string; office: TokenOffice; auto?: boolean },
): Promise<Device> {
  const { person, place, tone } = people[who]
  const link = new NetworkLink()
  const signIns = { count: 0 }
  const db = await openClient({
    schema,
    storage: sqliteStorage(join(folder, `${who}.sqlite`)),
    server: url,
    auth: () => {
      signIns.count += 1
      return office.issue(person)
    },
    env: { ...systemEnvironment, fetch: link.fetch },
    sync: { auto },
  })
  return { person, place, tone, db, link, signIns }
}
