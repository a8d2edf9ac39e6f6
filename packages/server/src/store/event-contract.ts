import { newUuid } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { exampleSchema } from '../http/given-server.ts'
import { systemEnvironment } from '../system-environment.ts'
import type { ParkedEvent } from './event-store.ts'
import type { StoreUnderTest } from './store-contract.ts'
import type { Store } from './store.ts'

const env = systemEnvironment()

/** What every store must do for those who are told of changes. Run it from the store's own test file. */
export function describeEventStore(name: string, { create, destroy }: StoreUnderTest): void {
  describe(`${name} keeps the contract of events`, () => {
    let store: Store
    let n: number

    beforeEach(async () => {
      n = 0
      store = await create(exampleSchema)
      await store.open({ schema: exampleSchema, env })
    })

    afterEach(() => destroy(store))

    const parked = (more: Partial<ParkedEvent> = {}): ParkedEvent => ({
      consumer: 'erp',
      n: ++n,
      collection: 'items',
      record: newUuid(env),
      event: '{"id":"1"}',
      attempts: 1,
      dueMs: 1_000,
      isDead: false,
      reason: '500',
      failedMs: 900,
      ...more,
    })
    const park = (...events: readonly ParkedEvent[]): Promise<void> =>
      store.write((tx) => tx.parkEvents(events))
    const due = (nowMs: number, limit = 10): Promise<readonly ParkedEvent[]> =>
      store.read((tx) => tx.dueEvents('erp', { nowMs, latestMs: nowMs + 10_000 }, limit))

    test('[EV-6] a consumer is there once, with the place it was first given, until it is removed', async () => {
      expect(await store.read((tx) => tx.consumer('erp'))).toBe(null)
      await store.write((tx) => tx.addConsumer('erp', { position: 7, n: 3 }))
      await store.write((tx) => tx.addConsumer('erp', { position: 9, n: 9 }))
      expect(await store.read((tx) => tx.consumer('erp'))).toEqual({
        name: 'erp',
        place: { position: 7, n: 3 },
        owner: '',
        beat: 0,
      })
      const other = parked({ consumer: 'crm' })
      await park(parked(), other)
      expect(await store.write((tx) => tx.removeConsumer('erp'))).toBe(true)
      expect(await store.write((tx) => tx.removeConsumer('erp'))).toBe(false)
      expect(await due(1_000)).toEqual([])
      expect(await store.read((tx) => tx.dueEvents('crm', { nowMs: 1_000, latestMs: 2_000 }, 10))).toEqual([
        other,
      ])
    })

    test('[EV-4] of those who saw the same beat one takes a consumer, and only who has it moves its place', async () => {
      await store.write((tx) => tx.addConsumer('erp', { position: 0, n: 0 }))
      const takes = ['a', 'b', 'c', 'd'].map((owner) =>
        store.write((tx) => tx.takeConsumer({ name: 'erp', beat: 0 }, owner)),
      )
      expect((await Promise.all(takes)).filter((isTaken) => isTaken)).toHaveLength(1)
      const taken = await store.read((tx) => tx.consumer('erp'))
      const owner = taken?.owner ?? ''
      const keep = (who: string, place?: { position: number; n: number }): Promise<boolean> =>
        store.write((tx) => tx.keepConsumer('erp', who, place))
      expect(await keep(owner)).toBe(true)
      expect(await keep(owner, { position: 5, n: 6 })).toBe(true)
      expect(await keep('somebody else', { position: 1, n: 1 })).toBe(false)
      expect(await store.read((tx) => tx.consumer('erp'))).toMatchObject({
        place: { position: 5, n: 6 },
        owner,
        beat: 3,
      })
      await store.write((tx) => tx.freeConsumer('erp', 'somebody else'))
      expect(await store.read((tx) => tx.consumer('erp'))).toMatchObject({ owner })
      await store.write((tx) => tx.freeConsumer('erp', owner))
      expect(await store.read((tx) => tx.consumer('erp'))).toMatchObject({ owner: '', beat: 4 })
    })

    test('[EV-8] of each record the first that waits is due at its time, and no other', async () => {
      const first = parked({ dueMs: 2_000 })
      const second = parked({ record: first.record, dueMs: 0 })
      const other = parked({ dueMs: 1_000 })
      await park(parked({ consumer: 'crm' }), second, other)
      await park({ ...first, attempts: 9 })
      await park(first)
      expect(await due(999)).toEqual([])
      expect(await due(1_999)).toEqual([other])
      expect(await due(2_000)).toEqual([other, first])
      expect(await due(2_000, 1)).toEqual([other])
      await store.write((tx) => tx.unparkEvents('erp', [first.n]))
      expect(await due(2_000)).toEqual([second, other])
      const keys = [second, other, { collection: 'items', record: newUuid(env) }]
      expect(await store.read((tx) => tx.waitingRecords('crm', keys))).toEqual([])
      expect(
        (await store.read((tx) => tx.waitingRecords('erp', keys))).map(({ record }) => record).sort(),
      ).toEqual([second.record, other.record].sort())
    })

    test('[EV-10] a dead event holds up nothing, is listed in pages, and waits again or goes', async () => {
      const crm = parked({ consumer: 'crm', isDead: true })
      const erp = parked({ isDead: true, attempts: 40 })
      const behind = parked({ record: erp.record })
      await park(erp, crm, behind)
      const dead = (after = { consumer: '', n: 0 }, limit = 10): Promise<readonly ParkedEvent[]> =>
        store.read((tx) => tx.deadEvents(after, limit))
      expect(await dead()).toEqual([crm, erp])
      expect(await dead(undefined, 1)).toEqual([crm])
      expect(await dead(crm)).toEqual([erp])
      expect(await due(1_000)).toEqual([behind])
      expect(await store.read((tx) => tx.parkedCounts('erp'))).toEqual({ waiting: 1, dead: 1 })
      expect(await store.read((tx) => tx.parkedCounts('none'))).toEqual({ waiting: 0, dead: 0 })
      expect(await store.write((tx) => tx.discardEvent('erp', behind.n))).toBe(false)
      expect(await store.write((tx) => tx.reviveEvent('erp', erp.n))).toBe(true)
      expect(await store.write((tx) => tx.reviveEvent('erp', erp.n))).toBe(false)
      expect(await due(1_000)).toEqual([{ ...erp, isDead: false, attempts: 0, dueMs: 0 }])
      expect(await store.write((tx) => tx.discardEvent('crm', crm.n))).toBe(true)
      expect(await dead()).toEqual([])
    })

    test('[OP-42] the time by which rounds erase is known once it was noted, and goes a step at most', async () => {
      const move = (nowMs: number): Promise<number | null> => store.write((tx) => tx.moveErasing(nowMs, 100))
      expect(await move(1_000)).toBe(null)
      expect(await move(1_050)).toBe(1_050)
      expect(await move(9_000)).toBe(1_150)
      expect(await move(9_000)).toBe(1_250)
      expect(await move(1_100)).toBe(1_100)
      expect(await move(-9_000)).toBe(-9_000)
    })
  })
}
