import { type Environment, type FieldsByCollection, type Schema, SyncError } from '@holdfast/core'

import { closeParts, openParts } from '../client-parts.ts'
import { browserStorage } from '../drivers/browser-storage.ts'
import { loadWasm } from '../drivers/load-wasm.ts'
import type { SqliteDriver } from '../drivers/sqlite-driver.ts'
import type { Logger } from '../sync-context.ts'
import { systemEnvironment } from '../system-environment.ts'
import { RecordedCalls } from './recorded-calls.ts'
import type {
  Announcement,
  Envelope,
  HostOptions,
  KnownStore,
  LeaderMessage,
  PageMessage,
  TabMessage,
  WorkerMessage,
} from './tab-messages.ts'
import { reportStore } from './store-report.ts'
import { TabHost } from './tab-host.ts'
import { leaderLock, tabLock } from './tab-names.ts'
import { errorToWire } from './wire-error.ts'

/** What a worker serves. */
export interface ServeClientOptions<S extends Schema> {
  readonly schema: S
  /** Where the database of a name lives; the browser's private file system unless said, or IndexedDB where there is none. */
  readonly storage?: (name: string) => SqliteDriver | Promise<SqliteDriver>
  readonly logger?: Logger
  /** The world of the client; the real one unless said. Opening, locks and tabs live in the real one. */
  readonly env?: Environment
}

/** How long a worker that made way for a newer app, or could not open the database, leaves the lead to others, ms. */
const standBackMs = 5_000

/**
 * Makes a dedicated worker the place where the database may live: call it once, at the top of the worker's module, and
 * give the worker to `openBrowserClient`. Of all workers of a database one leads at a time; the others wait to take its
 * place. Rules: BR-4, BR-9.
 */
export function serveClient<S extends Schema<FieldsByCollection>>(options: ServeClientOptions<S>): void {
  new ClientWorker(options)
}

type FromPage = WorkerMessage | Announcement | Envelope<TabMessage>
type ToPage = PageMessage | Announcement | Envelope<LeaderMessage>

class ClientWorker {
  readonly #options: ServeClientOptions<Schema<FieldsByCollection>>
  #host: TabHost | undefined
  #isContending = false
  /** Ends the lead under way, and whether to stand for it again. */
  #yield: ((again: boolean) => void) | undefined

  constructor(options: ServeClientOptions<Schema<FieldsByCollection>>) {
    this.#options = options
    globalThis.addEventListener('message', ({ data }: MessageEvent<FromPage>) => this.#take(data))
    globalThis.addEventListener('online', () => this.#host?.setOnline(true))
    globalThis.addEventListener('offline', () => this.#host?.setOnline(false))
    // Whoever takes over may be offline by then, and in a hurry.
    if (options.storage === undefined) loadWasm().catch(() => undefined)
  }

  #take(message: FromPage): void {
    if ('messages' in message || (message.kind !== 'contend' && message.kind !== 'resign'))
      return this.#host?.takeOwn(message)
    if (message.kind === 'contend') void this.#contend(message)
    else if (this.#yield) this.#yield(false)
    else post({ kind: 'resigned' })
  }

  async #contend({ options, known }: { options: HostOptions; known: KnownStore | null }): Promise<void> {
    if (this.#isContending) return
    this.#isContending = true
    let again = true
    while (again) {
      again = await navigator.locks.request(leaderLock(options.name), () => this.#lead(options, known))
      if (again) await new Promise<void>((resolve) => systemEnvironment.setTimer(resolve, standBackMs))
    }
    this.#isContending = false
  }

  /** Leads until it is told to end; true when it is to stand again later. */
  async #lead(options: HostOptions, known: KnownStore | null): Promise<boolean> {
    const over = Promise.withResolvers<void>()
    let again = true
    this.#yield = (isLater) => {
      again = isLater
      over.resolve()
    }
    try {
      const host = await this.#open(options, known)
      this.#host = host
      await over.promise
      this.#host = undefined
      await host.close().catch(() => undefined)
    } catch (error) {
      post({ kind: 'failed', error: errorToWire(error) })
    }
    this.#yield = undefined
    // Also where it was told to end while it opened, and that failed.
    if (!again) post({ kind: 'resigned' })
    return again
  }

  async #open(options: HostOptions, known: KnownStore | null): Promise<TabHost> {
    const { name, tab, server, account, durability, sync, hasAuth, seals } = options
    const storage = await (this.#options.storage ?? browserStorage)(name)
    let host: TabHost | undefined
    const parts = await openParts({
      schema: this.#options.schema,
      // Whoever has the files is alone with them: every other owner of a lease is gone.
      storage: { processes: { self: 'worker', isGone: () => true }, ...storage },
      ...(server !== null && { server }),
      ...(account !== null && { account }),
      ...(hasAuth && { auth: (request) => host?.token(request) ?? noTab() }),
      durability,
      sync,
      onIdentity: () => host?.onIdentity(),
      ...(this.#options.env && { env: this.#options.env }),
      ...(this.#options.logger && { logger: this.#options.logger }),
    })
    try {
      const calls = await RecordedCalls.open(parts.database, await livingTabs(name))
      const report = await reportStore(parts.database, known)
      const onNewer = (): void => this.#yield?.(true)
      const { env = systemEnvironment, logger } = this.#options
      const isSealing = seals && server !== null && sync.auto !== false
      const sealing = isSealing ? { env, server, onError: sealingFailed(logger) } : undefined
      host = new TabHost({ name, tab, parts, calls, storage: report, sealing, postToPage: post, onNewer })
      return host
    } catch (error) {
      await closeParts(parts)
      throw error
    }
  }
}

function post(message: ToPage): void {
  globalThis.postMessage(message)
}

function sealingFailed(logger: Logger | undefined): (error: unknown) => void {
  return (error) => logger?.log('warn', 'sealing-failed', { message: String(error) })
}

function noTab(): never {
  throw new SyncError('OFFLINE', 'no tab is there yet')
}

/** Tabs that hold their lock now. */
async function livingTabs(name: string): Promise<string[]> {
  const prefix = tabLock(name, '')
  const { held = [] } = await navigator.locks.query()
  return held.flatMap(({ name: lock = '' }) => (lock.startsWith(prefix) ? [lock.slice(prefix.length)] : []))
}
