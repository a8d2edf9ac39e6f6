import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openClient, type SqliteConnection, type SqliteDriver } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'

import { sharedStorage } from '../scenarios/shared-storage.ts'
import { ActorClock } from '../sim/actor-clock.ts'
import { actorEnvironment } from '../sim/environment.ts'
import { Life } from '../sim/life.ts'
import { Link } from '../sim/link.ts'
import type { World } from '../sim/world.ts'
import { type LaneClient, laneSchema } from './lane-schema.ts'
import { lamp } from './scenarios/given.ts'

/** One of several windows of an app that share a database file and are each a process of their own. */
export interface Tab {
  readonly life: Life
  readonly db: LaneClient
}

/** How long both may take to come to rest, virtual ms. */
const restMs = 120_000

/** Two windows on one real file, both of the user `u0`, in a world's time and network. */
export class TwoTabs {
  readonly tabs: readonly Tab[]
  readonly #world: World
  readonly #folder: string
  readonly #cursor: CursorWatch

  private constructor(world: World, folder: string, made: Pick<TwoTabs, 'tabs'> & { cursor: CursorWatch }) {
    this.#world = world
    this.#folder = folder
    this.#cursor = made.cursor
    this.tabs = made.tabs
  }

  static async open(world: World): Promise<TwoTabs> {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-tabs-'))
    // Neither can tell whether the other one's process still lives, so a lease that is not given back is waited for.
    const storage = sharedStorage(sqliteStorage(join(folder, 'shared.db')))
    world.grant('u0', ['site:t0a'])
    const tabs: Tab[] = []
    const cursor = new CursorWatch()
    for (const name of ['d0', 'd1']) tabs.push(await openTab(world, name, cursor.watching(storage, name)))
    return new TwoTabs(world, folder, { tabs, cursor })
  }

  /** Both go on, and come to rest. Gives what is not as it should be: the lamp's stock, here and on the server. */
  async finish(stock: number): Promise<readonly string[]> {
    for (const { life } of this.tabs) if (life.isSuspended) life.resume()
    const { scheduler, serverDisk } = this.#world
    const endMs = scheduler.nowMs + restMs
    let left = await this.#waiting()
    while (left > 0 && scheduler.nowMs < endMs) {
      await scheduler.run(scheduler.nowMs + 1_000)
      left = await this.#waiting()
    }
    const problems = [...this.#cursor.problems]
    if (left > 0) problems.push(`${left} mutations are still in the outbox`)
    const [row] = serverDisk.read('SELECT stock FROM items WHERE id = ?', lamp)
    if (row?.['stock'] !== stock) problems.push(`the server has a stock of ${row?.['stock']}, not ${stock}`)
    for (const [index, { db }] of this.tabs.entries()) {
      const shown = (await db.items.get(lamp))?.stock
      if (shown !== stock) problems.push(`tab ${index} shows a stock of ${shown}, not ${stock}`)
    }
    return problems
  }

  /** Leaves nothing behind, whatever came of the run. */
  async dispose(): Promise<void> {
    for (const { life, db } of this.tabs) {
      if (life.isSuspended) life.resume()
      // A tab may wait for a message that is held for ever; its file goes all the same.
      void db.close().catch(() => undefined)
    }
    await this.#world.scheduler.run(this.#world.scheduler.nowMs + 60_000)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #waiting(): Promise<number> {
    const [first] = this.tabs
    return (await first?.db.outbox.list())?.length ?? 0
  }
}

/** Whichever window commits, the cursor of the file never goes back: who lost the lease must not write. */
class CursorWatch {
  readonly problems: string[] = []
  #position = 0

  watching(storage: SqliteDriver, name: string): SqliteDriver {
    return {
      ...storage,
      open: async () => {
        const connection = await storage.open()
        const run: SqliteConnection['run'] = async (sql, params) => {
          const position = sql === 'COMMIT' ? await positionIn(connection) : undefined
          const result = await connection.run(sql, params)
          if (position !== undefined) this.#move(position, name)
          return result
        }
        return { ...connection, run }
      },
    }
  }

  #move(position: number, name: string): void {
    if (position < this.#position) {
      this.problems.push(`monotone: ${name} put the cursor back from ${this.#position} to ${position}`)
    }
    this.#position = position
  }
}

/** How far the file has read the feed; undefined before its first pull. The cursor is text of our own server. */
async function positionIn(connection: SqliteConnection): Promise<number | undefined> {
  const tables = await connection.all("SELECT 1 FROM sqlite_schema WHERE name = '_meta'")
  const [row] = tables.length > 0 ? await connection.all("SELECT value FROM _meta WHERE key = 'cursor'") : []
  if (typeof row?.['value'] !== 'string') return undefined
  return (JSON.parse(Buffer.from(row['value'], 'base64url').toString('utf8')) as { readonly p: number }).p
}

async function openTab(
  world: World,
  name: string,
  storage: Parameters<typeof openClient>[0]['storage'],
): Promise<Tab> {
  const { scheduler, network } = world
  const life = new Life(scheduler)
  const sender = { name, user: 'u0', life, link: new Link() }
  const env = actorEnvironment({
    scheduler,
    life,
    clock: new ActorClock({
      startMs: world.server.nowMs() - scheduler.nowMs,
      virtualMs: () => scheduler.nowMs,
    }),
    random: world.split(),
    fetch: (request) => network.fetch(sender, request),
  })
  const opening = openClient({ schema: laneSchema, storage, server: 'http://sim.test', auth: 'u0#0', env })
  let db: LaneClient | undefined
  opening.then(
    (client) => (db = client),
    (error: unknown) => world.onDefect(error),
  )
  await scheduler.run(scheduler.nowMs + 1_000)
  if (!db) throw new Error(`${name} never opens`)
  return { life, db }
}
