import { limits } from '@holdfast/core'
import { expect, test } from 'vitest'

import { exampleSchema } from '../http/given-server.ts'
import type { Store, StoreWriter, WaitingReceipt } from '../store/store.ts'
import { systemEnvironment } from '../system-environment.ts'
import { Ingest } from './ingest.ts'
import { Load } from './load.ts'

/** A store in which the first look finds strays that are in other hands by the time that somebody wants them. */
function givenTaken(count: number): { store: Store; looks: number[]; asked: string[] } {
  const looks: number[] = []
  const asked: string[] = []
  const strays: readonly WaitingReceipt[] = Array.from({ length: count }, (_, at) => ({
    id: `00000000-0000-7000-8000-${String(at).padStart(12, '0')}`,
    user: 'ann',
    device: `device-${at}`,
    priority: at % 2,
  }))
  const tx: Partial<StoreWriter> = {
    receiptCounts: async () => ({ waiting: looks.length < 2 ? count : 0, oldestAt: null }),
    strayReceipts: async () => {
      looks.push(asked.length)
      return looks.length === 1 ? strays : []
    },
    takeReceipt: async (_, device) => {
      asked.push(device)
      return null
    },
    forgetReceipts: async () => undefined,
  }
  const whole = tx as StoreWriter
  const store: Pick<Store, 'kind' | 'read' | 'write'> = {
    kind: 'postgres',
    read: (work) => work(whole),
    write: (work) => work(whole),
  }
  return { store: store as Store, looks, asked }
}

test('[QU-6] a look whose strays are in other hands is given up for another one, the urgent ones having been first', async () => {
  const { store, looks, asked } = givenTaken(200)
  const { promise: swept, resolve } = Promise.withResolvers<void>()
  const env = systemEnvironment()
  let timers = 0
  const ingest = await Ingest.open({
    engine: { push: () => Promise.reject(new Error('nothing to push')), grantsOf: async () => [] },
    store,
    schema: exampleSchema,
    // The second timer is that of the next sweep: this one is over.
    env: {
      ...env,
      setTimer: (callback, ms) => (++timers > 1 ? (resolve(), () => undefined) : env.setTimer(callback, ms)),
    },
    limits,
    logger: undefined,
    load: new Load(env),
    options: { concurrency: 4 },
    onResult: () => undefined,
    onVerdicts: () => undefined,
  })
  await swept
  expect(looks).toHaveLength(2)
  expect(asked.length).toBeGreaterThanOrEqual(8)
  expect(asked.length).toBeLessThan(8 + 4)
  expect(new Set(asked.map((device) => Number(device.slice(7)) % 2))).toEqual(new Set([1]))
  expect(asked).not.toEqual(asked.toSorted((left, right) => Number(left.slice(7)) - Number(right.slice(7))))
  await ingest.close()
})

test('[QU-6] a look whose strays cannot be taken, as the database takes no writes, ends and is for the next one', async () => {
  const { store, asked } = givenTaken(20)
  const refusing: Store = {
    ...store,
    read: (work) =>
      store.read((tx) =>
        work({
          ...tx,
          strayReceipts: async () =>
            Array.from({ length: 20 }, (_, at) => ({
              id: `${at}`,
              user: 'ann',
              device: `${at}`,
              priority: 0,
            })),
        }),
      ),
    write: () => {
      asked.push('')
      return Promise.reject(new Error('read-only'))
    },
  }
  const { promise: swept, resolve } = Promise.withResolvers<void>()
  const env = systemEnvironment()
  let timers = 0
  const ingest = await Ingest.open({
    engine: { push: () => Promise.reject(new Error('nothing to push')), grantsOf: async () => [] },
    store: refusing,
    schema: exampleSchema,
    // The second timer is that of the next sweep; one that never comes to it is ended by the hundredth write.
    env: {
      ...env,
      setTimer: (callback, ms) => (++timers > 1 ? (resolve(), () => undefined) : env.setTimer(callback, ms)),
    },
    limits: { ...limits, receiptsSwept: 20 },
    logger: { info: () => undefined, error: () => undefined, warn: () => asked.length > 100 && resolve() },
    load: new Load(env),
    options: { concurrency: 4 },
    onResult: () => undefined,
    onVerdicts: () => undefined,
  })
  await swept
  await ingest.close()
  expect(asked.length).toBeLessThanOrEqual(4 + 1)
})
