import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

import { systemEnvironment } from '@holdfast/client'
import type { Environment } from '@holdfast/core'

import { ProxiedConnection } from './proxied-connection.ts'
import type { FaultPlan, ProxyExchange, ProxyFault, StruckFaults } from './proxy-fault.ts'

/** Where a proxy stands. */
export interface FaultProxyOptions {
  /** Port of the server on 127.0.0.1. Nobody needs to listen there yet. */
  readonly target: number
  /** Everything passes unless said. */
  readonly plan?: FaultPlan
  /** The port to listen on; a free one unless said. */
  readonly port?: number
  /** For timers; the real ones unless said. */
  readonly env?: Pick<Environment, 'setTimer'>
}

/** A TCP proxy on 127.0.0.1 that does wrong on command. */
export interface FaultProxy {
  readonly port: number
  /** `http://127.0.0.1:<port>`, for clients. */
  readonly url: string
  readonly struck: StruckFaults
  /** From the next request on this plan decides. */
  use(plan: FaultPlan): void
  /** Ends every fault: what is held back passes, what was swallowed is reset, what was to be replayed is forgotten. */
  heal(): void
  /** Nobody listens any more, and open connections are reset: clients meet ECONNREFUSED. */
  down(): Promise<void>
  /** Listens again, on the same port. */
  up(): Promise<void>
  /** Resets what is open and lets the port go. */
  close(): Promise<void>
}

const pass: FaultPlan = () => ({ kind: 'pass' })

/**
 * Opens a proxy between clients and a server: real sockets, so that what a client meets is what a bad network does to
 * it. Requests are told apart on kept-alive connections too (HTTP/1.1); whatever else passes counts as one request.
 *
 * @example
 * const proxy = await openFaultProxy({ target: 8787 })
 * proxy.use(({ path }) => (path === '/sync/push' ? { kind: 'cut', afterBytes: 0 } : { kind: 'pass' }))
 */
export async function openFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new Proxy(options)
  await proxy.listen(options.port ?? 0)
  return proxy
}

class Proxy implements FaultProxy {
  readonly #target: number
  readonly #env: Pick<Environment, 'setTimer'>
  readonly #open = new Set<ProxiedConnection>()
  readonly #struck: Record<ProxyFault['kind'], number> = {
    pass: 0,
    refuse: 0,
    reset: 0,
    cut: 0,
    'half-open': 0,
    stall: 0,
    throttle: 0,
    duplicate: 0,
    replay: 0,
  }
  #server: Server | undefined
  #port = 0
  #plan: FaultPlan
  #connections = 0
  #exchanges = 0

  constructor({ target, plan, env }: FaultProxyOptions) {
    this.#target = target
    this.#plan = plan ?? pass
    this.#env = env ?? systemEnvironment
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get struck(): StruckFaults {
    return this.#struck
  }

  use(plan: FaultPlan): void {
    this.#plan = plan
  }

  heal(): void {
    this.#plan = pass
    for (const connection of this.#open) connection.heal()
  }

  async down(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    const closed = once(server, 'close')
    server.close()
    for (const connection of this.#open) connection.reset()
    await closed
  }

  async up(): Promise<void> {
    if (this.#server === undefined) await this.listen(this.#port)
  }

  close(): Promise<void> {
    return this.down()
  }

  async listen(port: number): Promise<void> {
    const server = createServer({ noDelay: true }, (client) => this.#accept(client))
    this.#server = server
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    // A TCP server that listens has an address of this kind; only pipes have a text.
    this.#port = (server.address() as AddressInfo).port
  }

  #accept(client: Socket): void {
    const number = this.#connections++
    const connection = new ProxiedConnection({
      client,
      target: this.#target,
      setTimer: (callback, ms) => this.#env.setTimer(callback, ms),
      judge: (head) => this.#judge({ ...head, connection: number, index: this.#exchanges++ }),
      onClose: () => void this.#open.delete(connection),
    })
    this.#open.add(connection)
  }

  #judge(exchange: ProxyExchange): ProxyFault {
    const fault = this.#plan(exchange)
    this.#struck[fault.kind] += 1
    return fault
  }
}
