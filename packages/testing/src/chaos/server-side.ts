import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { type PostgresServer, startPostgres } from '../services/postgres.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { auditFile } from './audit.ts'
import { Child } from './child.ts'
import { copyDatabase } from './copy-database.ts'

/** Where the servers of a run keep everything: one process on a file, or nodes over one PostgreSQL. */
export type ServerKind = 'sqlite' | 'postgres'

/** What a server side is made from. */
export interface ServerSideOptions {
  readonly kind: ServerKind
  readonly folder: string
  readonly cacheFolder: string
  readonly random: SeededRandom
  readonly onViolation: (what: string) => void
}

/** A process that is to be killed lives at most this much longer, ms. */
export const longestLifeMs = 1_500

const nodesOf: Readonly<Record<ServerKind, number>> = { sqlite: 1, postgres: 2 }

/** The processes behind the proxies, and what may befall them. */
export class ServerSide {
  /** Of the nodes; they stay. */
  readonly ports: number[] = []
  kills = 0
  databaseKills = 0
  readonly #options: ServerSideOptions
  readonly #nodes: Child[] = []
  readonly #path: string
  readonly #busy = new Set<number>()
  #database: PostgresServer | undefined
  #isDatabaseBusy = false

  constructor(options: ServerSideOptions) {
    this.#options = options
    this.#path = join(options.folder, 'server.db')
  }

  async start(): Promise<void> {
    // A kill is no power cut, but what is written then is recovered as after one.
    if (this.#options.kind === 'postgres') this.#database = await startPostgres({ flavour: 'embedded' })
    for (let n = 0; n < nodesOf[this.#options.kind]; n++) {
      this.#startNode(n)
      this.ports[n] = Number(await this.#nodes[n]?.opened)
    }
  }

  /** Every node answers. */
  async opened(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.opened))
  }

  async freeze(ms: number): Promise<boolean> {
    return this.#trouble(async (node) => {
      node.freeze()
      await sleep(ms)
      node.thaw()
    })
  }

  async kill(): Promise<boolean> {
    const { random, kind, onViolation } = this.#options
    return this.#trouble(async (node, n) => {
      await node.opened
      await sleep(random.below(longestLifeMs))
      await node.kill()
      this.kills += 1
      if (kind === 'sqlite')
        for (const violation of auditFile(this.#path, 'server after a kill')) onViolation(violation)
      await sleep(random.below(300))
      this.#startNode(n)
    })
  }

  /** SIGKILL, a moment of nothing, and recovery from the log. */
  async killDatabase(): Promise<boolean> {
    const database = this.#database
    if (database === undefined || this.#isDatabaseBusy) return false
    this.#isDatabaseBusy = true
    await sleep(this.#options.random.below(longestLifeMs))
    await database.kill()
    this.databaseKills += 1
    await sleep(this.#options.random.below(600))
    await database.restart()
    this.#isDatabaseBusy = false
    return true
  }

  /** Ends the nodes in order; what they leave is a file to audit. */
  async close(): Promise<string> {
    await Promise.all(this.#nodes.map((node) => node.end()))
    if (this.#database === undefined) return this.#path
    await copyDatabase(this.#database.url, this.#path)
    return this.#path
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.kill()))
    await this.#database?.stop()
  }

  async #trouble(work: (node: Child, n: number) => Promise<void>): Promise<boolean> {
    const n = this.#options.random.below(this.#nodes.length)
    const node = this.#nodes[n]
    if (node === undefined || this.#busy.has(n)) return false
    this.#busy.add(n)
    await work(node, n)
    this.#busy.delete(n)
    return true
  }

  #startNode(n: number): void {
    const { cacheFolder, onViolation } = this.#options
    const node = new Child({
      program: './server-main.ts',
      order: { path: this.#path, port: this.ports[n] ?? 0, database: this.#database?.url ?? null },
      cacheFolder,
    })
    this.#nodes[n] = node
    void node.gone.then((how) => {
      if (!node.isAwaited) onViolation(`node ${n} died by itself (${how}): ${node.errors}`)
      else if (node.errors !== '') onViolation(`node ${n} failed: ${node.errors.slice(0, 2_000)}`)
    })
  }
}
