import { type FieldsByCollection, isObject, type Schema, SyncError } from '@holdfast/core'

import type { Client } from '../client.ts'
import type { ClientOptions } from '../client-parts.ts'
import { LeaderLink } from './leader-link.ts'
import { proxyClient } from './proxy-client.ts'
import type { KnownStore } from './tab-messages.ts'

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
}

/**
 * Opens the database of this origin in one tab of any number: all of them are live, one of them has the database in its
 * worker and syncs it, and another takes over when that one goes. The function given to `transaction` runs again from the
 * start when the leading tab goes in the middle of it. Errors: as `openClient`, and STORE_FAILED when the worker cannot
 * be loaded. Rules: BR-4 to BR-12.
 */
export async function openBrowserClient<S extends Schema<FieldsByCollection>>(
  options: BrowserClientOptions<S>,
): Promise<Client<S>> {
  const { schema, auth, trace, name = 'holdfast' } = options
  if (!globalThis.isSecureContext)
    throw new SyncError(
      'STORE_FAILED',
      'a browser stores nothing for an origin that is not secure: use https or localhost',
    )
  // Not waited for: some browsers ask the person, who may take their time.
  if (options.persist !== false) navigator.storage.persist().catch(() => false)
  const marker = storeMarker(name)
  const link = new LeaderLink({
    host: {
      name,
      server: options.server?.replace(/\/+$/, '') ?? null,
      account: options.account ?? null,
      durability: options.durability ?? 'full',
      sync: options.sync ?? {},
      hasAuth: auth !== undefined,
    },
    schemaVersion: schema.version,
    makeWorker: options.worker,
    known: () => marker.read(),
    onKnown: (known) => marker.write(known),
    token: async (reason) => (typeof auth === 'function' ? auth({ reason }) : (auth ?? null)),
  })
  const stopFollowing = followPage(link)
  const close = async (): Promise<void> => {
    stopFollowing()
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

/**
 * The life of the page. A frozen page must not lead: nobody else could. Source:
 * https://developer.chrome.com/docs/web-platform/page-lifecycle-api
 */
function followPage(link: LeaderLink): () => void {
  const listening = new AbortController()
  const { signal } = listening
  const onHide = (event: PageTransitionEvent): void => {
    if (event.persisted) link.suspend()
  }
  const onShow = (event: PageTransitionEvent): void => {
    if (event.persisted) link.resume()
  }
  document.addEventListener('freeze', () => link.suspend(), { signal })
  document.addEventListener('resume', () => link.resume(), { signal })
  globalThis.addEventListener('pagehide', onHide, { signal })
  globalThis.addEventListener('pageshow', onShow, { signal })
  const onVisible = (): void => {
    if (document.visibilityState === 'visible') link.call(['sync', 'trigger'], []).catch(() => undefined)
  }
  document.addEventListener('visibilitychange', onVisible, { signal })
  return () => listening.abort()
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
