import { newUuid } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { exampleSchema } from '../http/given-server.ts'
import { systemEnvironment } from '../system-environment.ts'
import type { NewReceipt, Store, StoredReceipt } from './store.ts'
import type { StoreUnderTest } from './store-contract.ts'

const env = systemEnvironment()
const at = (second: number): string => `2026-11-20T10:00:${String(second).padStart(2, '0')}.000Z`

/** What every store must do with pushes that are decided later. Run it from the store's own test file. */
export function describeReceipts(name: string, { create, destroy }: StoreUnderTest): void {
  describe(`${name} keeps the contract of receipts`, () => {
    let store: Store

    beforeEach(async () => {
      store = await create(exampleSchema)
      await store.open({ schema: exampleSchema, env })
    })

    afterEach(() => destroy(store))

    const receipt = (device: string, second: number, priority = 0): NewReceipt => ({
      id: newUuid(env),
      user: 'ann',
      device,
      caller: '{"user":{"id":"ann"}}',
      body: `{"mutations":[${second}]}`,
      priority,
      at: at(second),
    })
    const save = async (...receipts: readonly NewReceipt[]): Promise<void> =>
      store.write((tx) => tx.saveReceipts(receipts))
    const take = (device: string, now = at(30), until = at(40)): Promise<StoredReceipt | null> =>
      store.write((tx) => tx.takeReceipt('ann', device, { now, until, latest: at(59) }))
    const strays = async (before = at(59), now = at(30)): Promise<readonly string[]> =>
      (await store.read((tx) => tx.strayReceipts({ before, now, latest: at(59), limit: 10 }))).map(
        ({ id }) => id,
      )

    test('[QU-3] of a device the first that waits is taken, by one at a time, and nothing before it is answered', async () => {
      const [first, second, other] = [receipt('phone', 2), receipt('phone', 1), receipt('tablet', 3)]
      await save(first, second, other)
      expect(await take('phone')).toEqual({ ...first, attempts: 1, answer: null })
      expect([await take('phone'), await take('watch')]).toEqual([null, null])
      expect((await take('tablet'))?.id).toBe(other.id)
      expect(await take('phone', at(40), at(50))).toEqual({ ...first, attempts: 2, answer: null })
      await store.write((tx) => tx.answerReceipt(first.id, '{"a":1}', at(41)))
      expect((await take('phone', at(40)))?.id).toBe(second.id)
    })

    test('[QU-7] what was taken, or came, by a clock that was ahead is taken once the clock is right', async () => {
      const year = '2027-11-20T10:00:00.000Z'
      const [held, stray] = [receipt('phone', 1), { ...receipt('tablet', 2), at: year }]
      await save(held, stray)
      expect((await take('phone', year, year.replace('10:00', '10:01')))?.id).toBe(held.id)
      expect(await strays()).toEqual([held.id, stray.id])
      expect([(await take('phone'))?.id, (await take('tablet'))?.id]).toEqual([held.id, stray.id])
      expect([await take('phone'), await take('tablet'), await strays()]).toEqual([null, null, []])
    })

    test('[QU-1] the first answer stands, what was sent is dropped with it, and both go after a while', async () => {
      const sent = receipt('phone', 1)
      await save(sent)
      for (const answer of ['{"a":1}', '{"a":2}'])
        await store.write((tx) => tx.answerReceipt(sent.id, answer, at(5)))
      const read = (): Promise<StoredReceipt | null> => store.read((tx) => tx.receipt(sent.id))
      expect(await read()).toEqual({ ...sent, caller: '', body: '', attempts: 0, answer: '{"a":1}' })
      await store.write((tx) => tx.forgetReceipts(at(5)))
      expect(await read()).not.toBeNull()
      await store.write((tx) => tx.forgetReceipts(at(6)))
      expect(await read()).toBeNull()
    })

    test('[QU-6, QU-9] a look finds the first of each device that nobody has, the urgent ones first', async () => {
      const [first, second, urgent, late] = [
        receipt('a', 1),
        receipt('a', 2),
        receipt('b', 3, 5),
        receipt('c', 9),
      ]
      await save(first, second, urgent, late)
      expect(await strays()).toEqual([urgent.id, first.id, late.id])
      expect(await strays(at(4))).toEqual([urgent.id, first.id])
      await take('a')
      await store.write((tx) => tx.postponeReceipt(urgent.id, at(50)))
      expect(await strays()).toEqual([late.id])
      expect(await strays(at(59), at(50))).toEqual([urgent.id, first.id, late.id])
      const counts = await store.read((tx) => tx.receiptCounts())
      expect(counts).toEqual({ waiting: 4, oldestAt: at(1) })
      for (const each of [first, second]) await store.write((tx) => tx.answerReceipt(each.id, '{}', at(10)))
      const isWaiting = (device: string): Promise<boolean> =>
        store.read((tx) => tx.hasWaitingReceipts('ann', device))
      expect([await isWaiting('a'), await isWaiting('b')]).toEqual([false, true])
    })
  })
}
