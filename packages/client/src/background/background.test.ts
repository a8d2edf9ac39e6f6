import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { collection, counter, defineSchema, type Field, limits, newUuid, text } from '@holdfast/core'
import { createFakeServer, createVirtualEnvironment } from '@holdfast/testing'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { type ClientParts, closeParts, openParts } from '../client-parts.ts'
import { sqliteStorage } from '../drivers/node.ts'
import { listEntries } from '../outbox/outbox.ts'
import { type CollectionApi, collectionApi } from '../write/writer.ts'
import { GivenSealedStore } from './given-sealed-store.ts'
import type { SealedBatch, SealedToken } from './sealed-batch.ts'
import { Sealer } from './sealer.ts'
import { type SendReport, sendSealedBatches } from './send-sealed-batches.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: { name: text(), stock: counter(), wh: text({ default: 'w1' }) },
      scope: 'w:{wh}',
    }),
    visits: collection({
      fields: { page: text(), wh: text({ default: 'w1' }) },
      scope: 'w:{wh}',
      priority: -1,
    }),
  },
})
type Api = CollectionApi<Readonly<Record<string, Field>>>

/** A tab that has the database open. */
interface Tab {
  readonly parts: ClientParts<typeof schema>
  readonly sealer: Sealer
}

/** A server, a device whose tabs come and go, and its service worker, all on one virtual clock. */
class World {
  readonly env = createVirtualEnvironment({ seed: 7 })
  readonly server = createFakeServer({ schema, env: this.env, scopes: { ann: ['w:w1'] } })
  readonly store = new GivenSealedStore()
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-background-'))
  /** What the tab gives when it is asked for a token to seal. */
  token: SealedToken | null = null
  tokensAsked = 0
  wakes = 0
  readonly errors: unknown[] = []
  #tab: Tab | undefined

  constructor() {
    this.env.connect(this.server.fetch)
  }

  async openTab(): Promise<void> {
    const { env, store } = this
    const parts = await openParts({
      schema,
      storage: sqliteStorage(join(this.folder, 'device.db')),
      server: 'https://shop.example',
      auth: 'ann',
      env,
      durability: 'fast',
    })
    const { database, syncParts } = parts
    const sealer = new Sealer({
      env,
      store,
      database,
      schema: parts.schema,
      limits,
      name: 'shop',
      server: 'https://shop.example',
      sync: syncParts,
      leastPriority: () => syncParts.saving().leastPriority,
      token: async () => {
        this.tokensAsked += 1
        return Promise.resolve(this.token)
      },
      onSealed: () => {
        this.wakes += 1
      },
      onError: (error) => this.errors.push(error),
    })
    this.#tab = { parts, sealer }
    syncParts.start()
    await env.advance(1_000)
  }

  get tab(): Tab {
    if (this.#tab === undefined) throw new Error('no tab is open')
    return this.#tab
  }

  async closeTab(): Promise<void> {
    const { parts, sealer } = this.tab
    this.#tab = undefined
    await this.env.complete(sealer.close())
    await this.env.complete(closeParts(parts))
  }

  get isOpen(): boolean {
    return this.#tab !== undefined
  }

  items(): Api {
    return this.#api('items')
  }

  visits(): Api {
    return this.#api('visits')
  }

  #api(name: string): Api {
    const declared = schema.collections.get(name)
    if (declared === undefined) throw new Error(`no collection ${name}`)
    return collectionApi<Readonly<Record<string, Field>>>(declared, this.tab.parts.writer)
  }

  entries(): ReturnType<typeof listEntries> {
    return this.tab.parts.database.read((tx) => listEntries(tx))
  }

  /** No request gets to the server. */
  cut(): void {
    this.server.script({ fault: { kind: 'cut', when: 'before' } })
  }

  /** The network is back, and the browser says so. */
  async heal(): Promise<void> {
    this.server.heal()
    this.tab.parts.syncParts.sync.setOnline(true)
    await this.env.settle()
  }

  /** The service worker wakes. */
  send(token: string | null = 'ann'): Promise<SendReport> {
    const { env, store } = this
    return env.complete(
      sendSealedBatches({ env, store, token: () => token, isLed: () => Promise.resolve(false) }),
    )
  }

  async close(): Promise<void> {
    if (this.isOpen) await this.closeTab()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

let world: World
beforeEach(async () => {
  world = new World()
  await world.openTab()
})
afterEach(() => world.close())

/** Mutations of a push, as their text. */
function mutationsOf(body: string | undefined): readonly string[] {
  const { mutations } = JSON.parse(body ?? '{}') as { mutations: unknown[] }
  return mutations.map((mutation) => JSON.stringify(mutation))
}

function onlyBatch(): SealedBatch {
  const [batch, ...others] = world.store.batches
  if (batch === undefined || others.length > 0) throw new Error(`${world.store.batches.length} batches`)
  return batch
}

/** Something waits, and is sealed. */
async function givenSealed(): Promise<string> {
  world.cut()
  const id = await world.items().insert({ name: 'Lamp', stock: 5 })
  await world.env.advance(limits.sealQuietMs)
  return id
}

describe('sealing', () => {
  test('[BG-1] what waits is sealed once the outbox was quiet for a while, and a service worker is asked for', async () => {
    world.cut()
    await world.items().insert({ name: 'Lamp' })
    await world.env.advance(limits.sealQuietMs - 1)
    await world.items().insert({ name: 'Rope' })
    await world.env.advance(limits.sealQuietMs - 1)
    expect([world.store.batches, world.wakes]).toEqual([[], 0])
    await world.env.advance(1)
    expect(onlyBatch()).toMatchObject({ name: 'shop', account: 'ann', seqs: [1, 2] })
    expect(world.wakes).toBe(1)
  })

  test('[BG-1] at once when no page is in front, also what was written shortly before', async () => {
    world.cut()
    await world.items().insert({ name: 'Lamp' })
    world.tab.sealer.setAttended(false)
    await world.env.settle()
    expect(onlyBatch().seqs).toEqual([1])
    await world.items().insert({ name: 'Rope' })
    await world.env.advance(limits.sealHiddenMs)
    expect(onlyBatch().seqs).toEqual([1, 2])
  })

  test('[BG-1] nothing is sealed before it is certain whose work it is', async () => {
    await world.close()
    world = new World()
    world.cut()
    await world.openTab()
    await world.items().insert({ name: 'Lamp' })
    await world.env.advance(limits.sealQuietMs)
    expect(world.store.batches).toEqual([])
    const [entry] = await world.entries()
    expect(entry?.offer).toBeNull()
    await world.heal()
    expect(world.tab.parts.syncParts.identity().account).toBe('ann')
    world.cut()
    await world.items().insert({ name: 'Rope' })
    await world.env.advance(limits.sealQuietMs)
    expect(onlyBatch()).toMatchObject({ account: 'ann', seqs: [2] })
  })

  test('[BG-1] nothing is sealed of what the server has taken, nor of what is quickly taken', async () => {
    await world.items().insert({ name: 'Lamp' })
    world.tab.sealer.setAttended(false)
    await world.env.advance(60_000)
    expect(world.store.batches).toEqual([])
    expect(await world.entries()).toEqual([])
  })

  test('[BG-2] what is sealed was offered: nothing is folded into it, and a push sends the same bytes', async () => {
    const id = await givenSealed()
    await world.items().update(id, { name: 'Lantern' })
    const [first, second] = await world.entries()
    expect([first?.offer, first?.status, second?.offer]).toEqual([
      1,
      expect.stringMatching('pending|sending'),
      null,
    ])
    const sealed = mutationsOf(onlyBatch().request.body)
    const pushed: string[] = []
    world.env.connect(async (request) => {
      if (request.url.endsWith('/sync/push')) {
        const { mutations } = (await unpacked(request.clone())) as { mutations: unknown[] }
        pushed.push(...mutations.map((mutation) => JSON.stringify(mutation)))
      }
      return world.server.fetch(request)
    })
    await world.heal()
    expect(pushed[0]).toBe(sealed[0])
    expect(world.server.record('items', id)).toMatchObject({ name: 'Lantern', stock: 5 })
  })

  test('[BG-2] that it was offered is on the disk before anybody else can send it', async () => {
    const write = vi.spyOn(world.tab.parts.database, 'write')
    const putAfter: unknown[] = []
    const { store } = world
    const put = store.put.bind(store)
    store.put = (batch) => {
      // The one transaction of the sealer: those of the engine have a fence as well.
      const sealing = write.mock.calls.findIndex(
        ([, options]) => options?.durable === true && !('fence' in options),
      )
      putAfter.push(write.mock.settledResults[sealing]?.type)
      return put(batch)
    }
    await givenSealed()
    expect(putAfter).toEqual(['fulfilled'])
  })

  test('[BG-2] a batch is one request: no more than the server takes in one', async () => {
    world.cut()
    await world
      .items()
      .insertMany(Array.from({ length: limits.pushBatchMax + 10 }, (_, n) => ({ name: `${n}` })))
    await world.env.advance(limits.sealQuietMs)
    expect(onlyBatch().seqs.length).toBe(limits.pushBatchMax)
  })

  test('[BG-3] it is gone as soon as one of its mutations is settled, and what is left is sealed anew', async () => {
    world.cut()
    await world.items().insert({ name: 'Lamp' })
    await world.items().insert({ name: 'Rope' })
    await world.env.advance(limits.sealQuietMs)
    expect(onlyBatch().seqs).toEqual([1, 2])
    await world.tab.parts.database.write(async (tx) => {
      await tx.run(
        "UPDATE _outbox SET status = 'dead', verdict = 'rejected', error = 'DENIED no' WHERE seq = 1",
      )
      tx.touch('_outbox', 'all')
    })
    await world.env.settle()
    expect(world.store.batches).toEqual([])
    await world.env.advance(limits.sealQuietMs)
    expect(onlyBatch().seqs).toEqual([2])
  })

  test('[BG-3] everything was sent: nothing lies sealed', async () => {
    await givenSealed()
    await world.heal()
    expect(await world.entries()).toEqual([])
    expect(world.store.batches).toEqual([])
  })

  test('[BG-3] a pause takes it away, whoever pauses; going on brings it back', async () => {
    await givenSealed()
    const { sync } = world.tab.parts.syncParts
    sync.pause()
    await world.env.settle()
    expect(world.store.batches).toEqual([])
    sync.resume()
    await world.env.advance(limits.sealQuietMs)
    expect(onlyBatch().seqs).toEqual([1])
    world.server.heal()
    world.server.expire('ann')
    sync.trigger()
    await world.env.advance(1_000)
    expect(world.tab.parts.syncParts.state()).toMatchObject({ kind: 'paused', cause: 'auth' })
    expect(world.store.batches).toEqual([])
    world.server.accept('ann')
  })

  test('[BG-3] a tab that takes the lead knows what the one before it sealed', async () => {
    await givenSealed()
    await world.closeTab()
    world.server.heal()
    await world.openTab()
    await world.env.settle()
    expect(await world.entries()).toEqual([])
    expect(world.store.batches).toEqual([])
  })

  test('[BG-5] a token is asked for once as long as it lasts, and its absence keeps nothing', async () => {
    await givenSealed()
    expect([onlyBatch().token, world.tokensAsked]).toEqual([null, 1])
    world.token = { token: 'ann.short', expiresAtMs: world.env.now() + 60_000 }
    await world.items().insert({ name: 'Rope' })
    await world.env.advance(limits.sealQuietMs)
    expect([onlyBatch().token, onlyBatch().seqs, world.tokensAsked]).toEqual([world.token, [1, 2], 2])
    await world.items().insert({ name: 'Hook' })
    await world.env.advance(limits.sealQuietMs)
    expect([onlyBatch().token, onlyBatch().seqs, world.tokensAsked]).toEqual([world.token, [1, 2, 3], 2])
    await world.env.advance(60_000)
    world.token = { token: 'ann.next', expiresAtMs: world.env.now() + 60_000 }
    await world.items().insert({ name: 'Nail' })
    await world.env.advance(limits.sealQuietMs)
    expect([onlyBatch().token, world.tokensAsked]).toEqual([world.token, 3])
  })
})

describe('saving', () => {
  test('[SY-28] under a data saver what has a low priority is neither sent nor sealed, and goes when that ends', async () => {
    const { sync, status } = world.tab.parts.syncParts
    sync.setConditions({ savesData: true })
    const visit = await world.visits().insert({ page: 'home' })
    const id = await world.items().insert({ name: 'Lamp' })
    await world.env.advance(limits.sealQuietMs + limits.syncIntervalMs)
    expect(world.server.record('items', id)).toMatchObject({ name: 'Lamp' })
    expect(world.server.record('visits', visit)).toBeUndefined()
    expect(world.store.everything.flatMap(({ seqs }) => seqs)).not.toContain(1)
    expect(await status.get()).toMatchObject({ savingFor: 'dataSaver', pendingCount: 1 })
    sync.setConditions({ savesData: false })
    await world.env.settle()
    expect(world.server.record('visits', visit)).toMatchObject({ page: 'home' })
    expect(await status.get()).toMatchObject({ savingFor: null, pendingCount: 0 })
  })

  test('[SY-28] what waits goes when somebody asks for a sync, and after a day at the latest', async () => {
    const { sync } = world.tab.parts.syncParts
    sync.setConditions({ battery: { level: 0.1, isCharging: false } })
    const first = await world.visits().insert({ page: 'home' })
    await world.env.advance(limits.syncIntervalMs)
    expect(world.server.record('visits', first)).toBeUndefined()
    await world.env.complete(sync.now())
    expect(world.server.record('visits', first)).toMatchObject({ page: 'home' })
    const second = await world.visits().insert({ page: 'shelf' })
    world.env.jumpClock(limits.deferMs - 2 * limits.syncIntervalMs)
    await world.env.advance(limits.syncIntervalMs)
    expect(world.server.record('visits', second)).toBeUndefined()
    await world.env.advance(limits.deferMs / 12)
    expect(world.server.record('visits', second)).toMatchObject({ page: 'shelf' })
  })
})

describe('sending', () => {
  test('[BG-6] the next tab settles what a service worker has sent, by repeating it', async () => {
    const id = await givenSealed()
    await world.closeTab()
    world.server.heal()
    expect(await world.send()).toEqual({
      batches: [{ name: 'shop', outcome: 'sent' }],
      isWorthRepeating: false,
    })
    expect(world.server.record('items', id)).toMatchObject({ name: 'Lamp', stock: 5 })
    expect([world.store.batches, world.server.decided.length]).toEqual([[], 1])
    await world.openTab()
    expect(await world.entries()).toEqual([])
    expect(world.server.decided.length).toBe(1)
    expect(world.server.record('items', id)).toMatchObject({ stock: 5 })
  })

  test('[BG-6] whatever is sealed, sent, sent again much later, written and closed in whatever order: each write counts once', async () => {
    const step = fc.oneof(
      fc.constant('write' as const),
      fc.constant('rename' as const),
      fc.constant('wait' as const),
      fc.constant('quiet' as const),
      fc.constant('hide' as const),
      fc.constant('tab' as const),
      fc.constant('cut' as const),
      fc.constant('heal' as const),
      fc.constant('lose answers' as const),
      fc.constant('send' as const),
      fc.nat({ max: 1_000 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const own = new World()
        try {
          await own.openTab()
          const id = newUuid(own.env)
          await own.items().insert({ id, name: 'Lamp' })
          let stock = 0
          let name = 'Lamp'
          for (const what of steps) {
            if (typeof what === 'number') {
              // Somebody sends a batch of long ago.
              const old = own.store.everything[what % Math.max(1, own.store.everything.length)]
              const lone = new GivenSealedStore()
              if (old !== undefined) await lone.put(old)
              const { env } = own
              const isLed = (): Promise<boolean> => Promise.resolve(false)
              await env.complete(sendSealedBatches({ env, store: lone, token: () => 'ann', isLed }))
            } else if (what === 'cut') own.cut()
            else if (what === 'lose answers')
              own.server.script({ on: 'push', fault: { kind: 'cut', when: 'after' } })
            else if (what === 'heal') own.server.heal()
            else if (what === 'send') await own.send()
            else if (what === 'tab') await (own.isOpen ? own.closeTab() : own.openTab())
            else if (what === 'wait') await own.env.advance(20_000)
            else if (!own.isOpen) continue
            else if (what === 'quiet') await own.env.advance(limits.sealQuietMs)
            else if (what === 'hide') own.tab.sealer.setAttended(false)
            else if (what === 'rename') {
              name += '!'
              await own.items().update(id, { name })
            } else {
              stock += 1
              await own.items().increment(id, { stock: 1 })
            }
          }
          own.server.heal()
          if (!own.isOpen) await own.openTab()
          const { sync } = own.tab.parts.syncParts
          // A request that was cut while the network was gone may still be under way, and fails the first cycle.
          await own.env.complete(sync.now())
          expect(await own.env.complete(sync.now())).toEqual({ status: 'done', code: null })
          expect(await own.entries()).toEqual([])
          expect(own.server.record('items', id)).toMatchObject({ name, stock })
          expect(await own.items().get(id)).toMatchObject({ name, stock, _state: 'clean' })
          expect(own.errors).toEqual([])
        } finally {
          await own.close()
        }
      }),
      { numRuns: 40 },
    )
  }, 120_000)
})

/** The body of a request, which may be packed. */
async function unpacked(request: Request): Promise<unknown> {
  const { body, headers } = request
  if (headers.get('content-encoding') !== 'gzip' || body === null) return request.json()
  return new Response(body.pipeThrough(new DecompressionStream('gzip'))).json()
}
