import type { SyncStatus } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { createShopWorld, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

describe('the status', () => {
  test('[ST-1] says what is pending, how old it is, and when the device last synced', async () => {
    const db = await world.open()
    expect(await db.status.get()).toEqual({
      phase: 'stopped',
      online: true,
      pausedBy: null,
      savingFor: null,
      reason: null,
      retryAt: null,
      pendingCount: 0,
      oldestPendingAgeMs: null,
      lastSyncAt: null,
      progress: null,
      attachments: { uploads: 0, uploadBytes: 0 },
      conflictCount: 0,
      deadLetterCount: 0,
      escrowCount: 0,
      foretoldCount: 0,
      repairCount: 0,
      quarantined: [],
    })
    await db.items.insert({ name: 'Rope' })
    await world.env.advance(90_000)
    await db.items.insert({ name: 'Chain' })
    expect(await db.status.get()).toMatchObject({ pendingCount: 2, oldestPendingAgeMs: 90_000 })
    await world.sync(db)
    expect(await db.status.get()).toMatchObject({
      phase: 'idle',
      pendingCount: 0,
      lastSyncAt: '2026-11-20T10:01:30.000Z',
    })
  })

  test('[ST-1] says why the device waits and until when', async () => {
    const db = await world.open({ auto: true })
    world.server.script({ fault: { kind: 'cut', when: 'before' } })
    await db.items.insert({ name: 'Rope' })
    await world.env.advance(60_000)
    const offline = await db.status.get()
    expect(offline).toMatchObject({ phase: 'offline', online: false, reason: 'OFFLINE', pendingCount: 1 })
    expect(Date.parse(offline.retryAt ?? '') - world.env.now()).toBeLessThanOrEqual(15_000)
    world.server.heal()
    db.sync.setOnline(true)
    await world.env.settle()
    expect(await db.status.get()).toMatchObject({ phase: 'idle', online: true, reason: null, retryAt: null })
  })

  test('[ST-2] is told at once and after every change, and never twice the same', async () => {
    const db = await world.open()
    const told: SyncStatus[] = []
    const stop = db.status.subscribe((status) => told.push(status))
    await world.env.settle()
    await db.items.insert({ name: 'Rope' })
    await world.env.settle()
    await world.sync(db)
    await world.env.settle()
    stop()
    await db.items.insert({ name: 'Chain' })
    await world.env.settle()
    const texts = told.map((status) => JSON.stringify(status))
    expect(new Set(texts).size).toBe(texts.length)
    expect(told[0]).toMatchObject({ phase: 'stopped', pendingCount: 0 })
    expect(told.map(({ phase }) => phase)).toContain('pushing')
    expect(told.at(-1)).toMatchObject({ phase: 'idle', pendingCount: 0 })
  })

  test('[ST-3] shows how far a first sync is, and nothing when it is over', async () => {
    for (let n = 0; n < 12_000; n++) {
      const id = `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`
      world.server.write('items', id, {
        name: 'x',
        stock: 0,
        price: null,
        note: null,
        tags: [],
        shelf: null,
        wh: 'w1',
      })
    }
    const db = await world.open()
    const seen = new Set<string>()
    db.status.subscribe(
      ({ progress }) => void (progress && seen.add(`${progress.phase} ${progress.pages} ${progress.rows}`)),
    )
    await world.sync(db)
    expect([...seen]).toEqual(expect.arrayContaining(['snapshot 1 5000', 'snapshot 2 10000']))
    expect(await db.status.get()).toMatchObject({ progress: null })
  })
})

describe('metrics', () => {
  test('[ST-4] are counted with what they count, and survive a restart', async () => {
    const path = world.path('metrics.sqlite')
    const db = await world.open({ storage: sqliteStorage(path) })
    const id = await db.items.insert({ name: 'Rope', price: '1.00' })
    await world.sync(db)
    world.server.write('items', id, { price: '2.00' })
    await db.items.update(id, { price: '3.00' })
    world.server.script({ on: 'pull', times: 1, fault: { kind: 'delay', ms: 700 } })
    await world.sync(db)
    world.server.script({ fault: { kind: 'answer', status: 500 } })
    await db.items.insert({ name: 'Chain' })
    await world.env.advance(2_000)
    await world.sync(db)
    await db.close()
    const again = await world.open({ storage: sqliteStorage(path) })
    expect(await again.status.metrics()).toMatchObject({
      queue_depth: 1,
      oldest_pending_age: 2,
      sync_success_rate: 2 / 3,
      sync_latency: { p50: 0, p95: 700, p99: 700 },
      conflict_rate: { items: 0.5 },
      retry_exhausted_count: 0,
      counts: { runs: 3, successes: 2, failures: 1, verdicts: { items: { applied: 1, conflict: 1 } } },
    })
  })
})

describe('the log', () => {
  test('[ST-5] ties every line to cycle, account, device, mutation and request, and holds no value of a row', async () => {
    const lines: { event: string; details: Readonly<Record<string, unknown>> }[] = []
    const logger = {
      log: (_level: string, event: string, details: Readonly<Record<string, unknown>> = {}) =>
        void lines.push({ event, details }),
    }
    const db = await world.open({ logger })
    const id = await db.items.insert({ name: 'canary-name', price: '1.00' })
    await world.sync(db)
    world.server.write('items', id, { price: '2.00' })
    await db.items.update(id, { price: '3.00' })
    await world.sync(db)
    world.server.script({ fault: { kind: 'answer', status: 401 } })
    await world.sync(db)
    const [conflict] = await db.conflicts.list()
    const mutation = lines.find(({ event }) => event === 'mutation')
    const { device } = db.identity()
    expect(mutation?.details).toMatchObject({
      accountId: 'ann',
      deviceId: device,
      result: 'conflict',
      mutationId: expect.any(String),
    })
    expect(conflict?.parts).toHaveLength(1)
    expect(lines.find(({ event }) => event === 'push')?.details).toMatchObject({
      syncRunId: expect.any(String),
      requestId: expect.any(String),
      results: { applied: 1 },
    })
    expect(lines.at(-1)).toMatchObject({
      event: 'sync-failed',
      details: { result: 'auth-failed', code: 'AUTH_REQUIRED' },
    })
    expect(JSON.stringify(lines)).not.toContain('canary')
  })

  test('[ST-5] every request carries a trace, one for each cycle', async () => {
    const traces = new Set<string>()
    const db = await world.open()
    world.env.connect((request) => {
      traces.add(request.headers.get('traceparent') ?? '')
      return world.server.fetch(request)
    })
    await db.items.insert({ name: 'Rope' })
    await world.sync(db)
    await world.sync(db)
    expect(traces.size).toBe(2)
    for (const trace of traces) expect(trace).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  })
})
