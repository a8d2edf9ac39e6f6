import { openClient } from '@holdfast/client'
import { createServer, type HoldfastServer } from '@holdfast/server'

import type { Observation } from '../check/observation.ts'
import { type ShopClient, shopSchema } from '../scenarios/shop-world.ts'
import { createVirtualEnvironment, type VirtualEnvironment } from '../virtual-environment.ts'
import { DeviceDisk } from './device-disk.ts'
import type { DiskPorts, Fate } from './disk-ports.ts'
import { ServerDisk } from './server-disk.ts'

/** Disks and the shipped client and server on them, for tests of the disks. */
export interface DiskScene {
  readonly env: VirtualEnvironment
  readonly seen: Observation[]
  readonly serverDisk: ServerDisk
  /** Decides over statements of devices and of the server until it is changed. */
  judgeDevice: (sql: string) => Fate
  judgeServer: (sql: string) => Fate
  disk(name: string, durability?: 'full' | 'fast'): DeviceDisk
  /** A new life of the device; it syncs when told to. */
  open(
    disk: DeviceDisk,
    options?: { readonly durability?: 'full' | 'fast'; readonly user?: string },
  ): Promise<ShopClient>
  /** A new life of the server. */
  startServer(): Promise<HoldfastServer>
  /** One cycle, as long as it takes. */
  sync(db: ShopClient): Promise<unknown>
  /** Observations of these kinds, in order. */
  told<Kind extends Observation['kind']>(...kinds: Kind[]): readonly Extract<Observation, { kind: Kind }>[]
}

/** Makes a scene in which everything starts at 2026-11-20 10:00 UTC. */
export function createDiskScene(seed = 1): DiskScene {
  const env = createVirtualEnvironment({ seed })
  const seen: Observation[] = []
  const portsOf = (judge: (sql: string) => Fate): DiskPorts => ({
    observe: (observation) => void seen.push(observation),
    nowMs: () => env.monotonicMs(),
    judge,
    sleep: (ms) => new Promise((resolve) => void env.setTimer(resolve, ms)),
  })
  const scene: DiskScene = {
    env,
    seen,
    judgeDevice: () => 'run',
    judgeServer: () => 'run',
    serverDisk: new ServerDisk({
      schema: shopSchema,
      ports: portsOf((sql) => scene.judgeServer(sql)),
      nowIso: () => new Date(env.now()).toISOString(),
    }),
    disk: (name, durability = 'full') =>
      new DeviceDisk({
        name,
        user: 'ann',
        durability,
        ports: portsOf((sql) => scene.judgeDevice(sql)),
        schema: shopSchema,
      }),
    open: (disk, { durability = 'full', user = 'ann' } = {}) =>
      openClient({
        schema: shopSchema,
        storage: disk.driver(() => true),
        server: 'https://shop.example',
        auth: user,
        env,
        durability,
        sync: { auto: false },
      }),
    startServer: async () => {
      const server = await createServer({
        schema: shopSchema,
        store: scene.serverDisk.store(),
        env,
        authenticate: (request) => ({
          id: request.headers.get('Authorization')?.slice('Bearer '.length) ?? '',
        }),
        scopes: () => ['w:w1'],
      })
      env.connect((request) => server.fetch(request))
      return server
    },
    sync: (db) => env.complete(db.sync.now()),
    told: (...kinds) =>
      // The kinds of what is kept are those that were asked for.
      seen.filter(({ kind }) => (kinds as readonly string[]).includes(kind)) as never,
  }
  return scene
}
