import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openClient, type SqliteConnection, type SqliteDriver } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'

import { sharedStorage } from '../scenarios/shared-storage.ts'
import { ActorClock } from '../sim/actor-clock.ts'
import { cursorOf } from '../sim/device-state.ts'
import { actorEnvironment } from '../sim/environment.ts'
import { Life } from '../sim/life.ts'
import { Link } from '../sim/link.ts'
import type { World } from '../sim/world.ts'
import { type LaneClient, laneSchema } from './lane-schema.ts'
import { lamp } from './scenarios/given.ts'
import { BrokenPromise } from './stage.ts'

/** One of several windows of an app that share a database file and are each a process of their own. */
export interface Tab {
  readonly life: Life
  readonly link: Link
  readonly db: LaneClient
}

/** How long both may take to come to rest, virtual ms. */
const restMs = 120_000

/** Under this name checkers are told of the file. */
const disk = 'windows'

/** Two windows `w0` and `w1` on one real file, both of the user `u0`, in a world's time and network. */
export class TwoTabs {
  readonly tabs: readonly Tab[]
  readonly #world: World
  readonly #folder: string

  private constructor(world: World, folder: string, tabs: readonly Tab[]) {
    this.#world = world
    this.#folder = folder
    this.tabs = tabs
  }

  static async open(
    world: World,
    { isOnline = true }: { readonly isOnline?: boolean } = {},
  ): Promise<TwoTabs> {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-tabs-'))
    // Neither can tell whether the other one's process still lives, so a lease that is not given back is waited for.
    const storage = sharedStorage(sqliteStorage(join(folder, 'shared.db')))
    world.grant('u0', ['site:t0a'])
    const link = (): Link => {
      const made = new Link()
      if (!isOnline) made.offlineUntilMs = Number.POSITIVE_INFINITY
      return made
    }
    const tabs: Tab[] = []
    for (const name of ['w0', 'w1'])
      tabs.push(await openTab(world, { name, link: link(), storage: watched(world, storage) }))
    return new TwoTabs(world, folder, tabs)
  }

  /** A window has a network from now on. */
  goOnline(index: number): void {
    const { link, db } = this.tabs[index] ?? {}
    link?.heal()
    db?.sync.setOnline(true)
  }

  /** Both go on, come to rest, and show what the server has: then gives what is wrong with the lamp's stock there. */
  async finish(stock: number): Promise<readonly string[]> {
    for (const [index, { life }] of this.tabs.entries()) {
      if (life.isSuspended) life.resume()
      this.goOnline(index)
    }
    const { scheduler, serverDisk } = this.#world
    const endMs = scheduler.nowMs + restMs
    let left = await this.#waiting()
    while (left > 0 && scheduler.nowMs < endMs) {
      await scheduler.run(scheduler.nowMs + 1_000)
      left = await this.#waiting()
    }
    if (left > 0) throw new BrokenPromise('liveness', `${left} mutations are still in the outbox`)
    const there = serverDisk.read('SELECT stock FROM items WHERE id = ?', lamp)[0]?.['stock']
    for (const [index, { db }] of this.tabs.entries()) {
      const shown = (await db.items.get(lamp))?.stock
      if (shown === there) continue
      throw new BrokenPromise('convergence', `window ${index} shows a stock of ${shown}, the server ${there}`)
    }
    return there === stock ? [] : [`the server has a stock of ${there}, not ${stock}`]
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

/** Tells of every commit that moves the cursor of the file, whichever window it is of. */
function watched(world: World, storage: SqliteDriver): SqliteDriver {
  let known: string | null = null
  return {
    ...storage,
    open: async () => {
      const connection = await storage.open()
      const run: SqliteConnection['run'] = async (sql, params) => {
        if (sql !== 'COMMIT') return connection.run(sql, params)
        const cursor = await cursorIn(connection)
        const result = await connection.run(sql, params)
        if (cursor !== known) {
          known = cursor
          world.observe(cursorOf(cursor, { atMs: world.scheduler.nowMs, disk }))
        }
        return result
      }
      return { ...connection, run }
    },
  }
}

/** How far the file has read the feed; null before its first pull. */
async function cursorIn(connection: SqliteConnection): Promise<string | null> {
  const tables = await connection.all("SELECT 1 FROM sqlite_schema WHERE name = '_meta'")
  const [row] = tables.length > 0 ? await connection.all("SELECT value FROM _meta WHERE key = 'cursor'") : []
  return typeof row?.['value'] === 'string' ? row['value'] : null
}

async function openTab(
  world: World,
  { name, link, storage }: { readonly name: string; readonly link: Link; readonly storage: SqliteDriver },
): Promise<Tab> {
  const { scheduler, network } = world
  const life = new Life(scheduler)
  const sender = { name, user: 'u0', life, link }
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
  if (link.isOffline(scheduler.nowMs)) db.sync.setOnline(false)
  return { life, link, db }
}
