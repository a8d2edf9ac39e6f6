import { type FieldsByCollection, isObject, type Schema, SyncError } from '@holdfast/core'

import type { Client } from '../client.ts'
import type { ClientOptions } from '../client-parts.ts'
import { backgroundTag, type SealedToken } from '../background/sealed-batch.ts'
import { followPage } from './follow-page.ts'
import { LeaderLink } from './leader-link.ts'
import { proxyClient } from './proxy-client.ts'
import { watchRemoval } from './watch-removal.ts'
import type { GivenToken, KnownStore, TokenReason } from './tab-messages.ts'

/** What `openBrowserClient` takes. */
export interface BrowserClientOptions<S extends Schema>
  extends Pick<
    ClientOptions<S>,
    'schema' | 'server' | 'auth' | 'account' | 'durability' | 'sync' | 'logger' | 'trace'
  > {
  /**
   * Makes the worker that the database may live in, whose module calls `serveClient`:
   * `() => new Worker(new URL('./holdfast.worker.ts', import.meta.url), { type: 'module' })`.
   */
  readonly worker: () => Worker
  /** Which database of this origin; `holdfast` unless said. Give each account its own. */
  readonly name?: string
  /** Asks the browser to keep what is stored; true unless said. Some browsers ask the person. */
  readonly persist?: boolean
  /** Seals what waits, so that the app's service worker can send it while no tab is open. Nothing is sealed unless said. */
  readonly background?: BackgroundOptions
}

/** How the service worker of the app is to send what waits; `{}` is enough where it gets tokens by itself. */
export interface BackgroundOptions {
  /**
   * A short-lived token to lie beside what is sealed. Asked for when there is something sealed and often without a network:
   * answer from memory, and null when there is none. Without the function no token is stored.
   */
  readonly token?: () => SealedToken | null | Promise<SealedToken | null>
  /** The service worker to wake; the one of the page unless said. */
  readonly registration?: () => Promise<ServiceWorkerRegistration | undefined>
}

/**
 * Opens the database of this origin in one tab of any number: all of them are live, one of them has the database in its
 * worker and syncs it, and another takes over when that one goes. The function given to `transaction` runs again from the
 * start when the leading tab goes in the middle of it. Errors: as `openClient`, and STORE_FAILED when the worker cannot
 * be loaded. Rules: BR-4 to BR-12, BR-18.
 */
export async function openBrowserClient<S extends Schema<FieldsByCollection>>(
  options: BrowserClientOptions<S>,
): Promise<Client<S>> {
  const { schema, auth, trace, background, name = 'holdfast' } = options
  if (!globalThis.isSecureContext)
    throw new SyncError(
      'STORE_FAILED',
      'a browser stores nothing for an origin that is not secure: use https or localhost',
    )
  // Not waited for: some browsers ask the person, who may take their time.
  if (options.persist !== false) navigator.storage.persist().catch(() => false)
  const marker = storeMarker(name)
  let latest: KnownStore | undefined
  const link = new LeaderLink({
    host: {
      name,
      server: options.server?.replace(/\/+$/, '') ?? null,
      account: options.account ?? null,
      durability: options.durability ?? 'full',
      sync: options.sync ?? {},
      hasAuth: auth !== undefined,
      hasSealedTokens: background?.token !== undefined,
      seals: background !== undefined,
    },
    schemaVersion: schema.version,
    makeWorker: options.worker,
    known: () => marker.read(),
    onKnown: (known) => {
      latest = known
      marker.write(known)
    },
    token: (reason) => giveToken(options, reason),
    onSealed: () => void wake(background).catch(() => undefined),
  })
  const stopFollowing = followPage(link)
  const stopWatching = watchRemoval(() => {
    // The note may have been removed as well.
    if (latest !== undefined && latest.unsentCount > 0) marker.write(latest)
    link.abandon(new SyncError('STORE_FAILED', 'what was stored here was removed: load the page anew'))
  })
  const close = async (): Promise<void> => {
    stopFollowing()
    stopWatching()
    await link.close()
  }
  try {
    await link.open()
  } catch (error) {
    await close()
    throw error
  }
  const logger = options.logger ?? { log: () => undefined }
  return proxyClient({ schema, link, logger, trace: () => trace?.() ?? null }, close)
}

async function giveToken(
  { auth, background }: Pick<BrowserClientOptions<Schema>, 'auth' | 'background'>,
  reason: TokenReason,
): Promise<GivenToken> {
  if (reason === 'sealing') return (await background?.token?.()) ?? { token: null }
  return { token: typeof auth === 'function' ? await auth({ reason }) : (auth ?? null) }
}

/** What some browsers have. Source: https://wicg.github.io/background-sync/spec/ */
interface SyncingRegistration {
  readonly sync?: { register(tag: string): Promise<void> }
}

/** Asks the browser to fire a `sync` event in the service worker once there is a network, tab or no tab. */
async function wake(background: BackgroundOptions | undefined): Promise<void> {
  const find = background?.registration ?? (() => navigator.serviceWorker.getRegistration())
  // What is not there is undefined, as the type says.
  const registration = (await find()) as SyncingRegistration | undefined
  await registration?.sync?.register(backgroundTag)
}

/** A note of the database that outlives it where a browser makes room: local storage is not counted among what it evicts. */
function storeMarker(name: string): { read(): KnownStore | null; write(known: KnownStore): void } {
  const key = `holdfast:${name}`
  return {
    read: () => readKnown(key),
    write: (known) => {
      // Without it nothing is lost but the note.
      try {
        localStorage.setItem(key, JSON.stringify(known))
      } catch {
        return
      }
    },
  }
}

/** null when there is none, when it cannot be read, and where the page may not have local storage. */
function readKnown(key: string): KnownStore | null {
  try {
    const known: unknown = JSON.parse(localStorage.getItem(key) ?? 'null')
    if (!isObject(known) || typeof known['store'] !== 'string') return null
    return { store: known['store'], unsentCount: Number(known['unsentCount']) || 0 }
  } catch {
    return null
  }
}
