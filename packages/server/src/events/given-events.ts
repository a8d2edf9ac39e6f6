import { type Environment, type Limits, newUuid, type Values } from '@holdfast/core'
import { expect } from 'vitest'

import type { Caller, PlainWrite } from '../engine.ts'
import { type GivenDatabase, newDatabase } from '../given-database.ts'
import { stockSchema } from '../given-engine.ts'
import { createServer, type HoldfastServer, type HttpServerOptions } from '../http/create-server.ts'
import type { LogLine } from '../http/given-server.ts'
import type { Store } from '../store/store.ts'
import { systemEnvironment } from '../system-environment.ts'

/** A node that a test can take the time or the life from. */
export interface EventNode {
  readonly sync: HoldfastServer
  readonly logs: readonly LogLine[]
  /** Creates or changes a record; returns its id. */
  readonly put: (collection: string, values?: Values, record?: string) => Promise<string>
  readonly remove: (collection: string, record: string) => Promise<void>
  /** As a process that was killed: it does nothing and hears nothing any more. */
  readonly kill: () => void
  /** As a process that was suspended: its timers do not fire, all else goes on. */
  readonly suspend: () => void
  readonly close: () => Promise<void>
}

/** What a node is made with. */
export interface EventNodeOptions extends Partial<Omit<HttpServerOptions, 'store' | 'limits'>> {
  readonly limits?: Partial<Limits>
  readonly fetch?: Environment['fetch']
  /** Of the clock, ms. */
  readonly aheadMs?: number | (() => number)
}

/** Short waits, so that a test sees them. */
const quickLimits: Partial<Limits> = {
  eventIntervalMs: 5,
  eventPollMs: 30,
  eventLeaseMs: 600,
  retryBaseMs: 5,
  retryCapMs: 40,
  eventAttempts: 3,
  eventTimeoutMs: 5_000,
}

/** Nodes over one database. */
export class EventNodes {
  readonly database: GivenDatabase
  readonly #nodes: EventNode[] = []

  private constructor(database: GivenDatabase) {
    this.database = database
  }

  static async open(): Promise<EventNodes> {
    return new EventNodes(await newDatabase(stockSchema))
  }

  async start(options: EventNodeOptions = {}): Promise<EventNode> {
    const node = await startNode(this.database.store({ pollMs: 20, durability: 'normal' }), options)
    this.#nodes.push(node)
    return node
  }

  async close(): Promise<void> {
    for (const node of this.#nodes) await node.close()
    await this.database.remove()
  }
}

async function startNode(store: Store, options: EventNodeOptions): Promise<EventNode> {
  const { fetch, aheadMs = 0, limits, ...rest } = options
  const real = systemEnvironment()
  let [isDead, isSuspended] = [false, false]
  const logs: LogLine[] = []
  const log = (level: LogLine['level']) => (fields: object, message: string) =>
    void logs.push({ level, fields: { ...fields }, message })
  const env: Environment = {
    ...real,
    now: () => real.now() + (typeof aheadMs === 'number' ? aheadMs : aheadMs()),
    setTimer: (callback, delayMs) =>
      real.setTimer(() => {
        if (!isSuspended) callback()
      }, delayMs),
    ...(fetch && { fetch }),
  }
  const never = new Promise<never>(() => undefined)
  const mortal: Store = {
    kind: store.kind,
    open: (setup) => store.open(setup),
    write: (work, how) => (isDead ? never : store.write(work, how)),
    hostWrite: (work) => (isDead ? never : store.hostWrite(work)),
    read: (work) => (isDead ? never : store.read(work)),
    onForeignCommit: (listener) => store.onForeignCommit(listener),
    close: () => store.close(),
  }
  const sync = await createServer({
    schema: stockSchema,
    store: mortal,
    authenticate: () => ({ id: 'ann' }),
    scopes: () => '*',
    env,
    logger: { info: log('info'), warn: log('warn'), error: log('error') },
    ...rest,
    limits: { ...quickLimits, ...limits },
  })
  const apply = async (write: Omit<PlainWrite, 'precondition'>): Promise<void> => {
    const { results } = await sync.engine.apply(caller, [{ ...write, precondition: { kind: 'none' } }])
    expect(results.map(({ status }) => status)).toEqual(['applied'])
  }
  let closing: Promise<void> | undefined
  return {
    sync,
    logs,
    put: async (collection, values = {}, record = newUuid(real)) => {
      await apply({ collection, record, op: 'upsert', values })
      return record
    },
    remove: (collection, record) => apply({ collection, record, op: 'delete', values: {} }),
    kill: () => {
      isDead = true
      isSuspended = true
    },
    suspend: () => {
      isSuspended = true
    },
    close: () => (closing ??= isDead ? store.close() : sync.close()),
  }
}

const caller: Caller = {
  user: { id: 'ann' },
  device: null,
  grants: '*',
  schemaVersion: stockSchema.version,
  requestId: 'test',
}

/** Waits for something to become true, for at most half a minute unless said. */
export function eventually(check: () => void | Promise<void>, timeout = 30_000): Promise<void> {
  const isSo = async (): Promise<true> => {
    await check()
    return true
  }
  return expect.poll(isSo, { timeout, interval: 10 }).toBe(true)
}

/** Lets so many ms pass. */
export function pass(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

/** Something that waits until it is let go. */
export function givenGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}
