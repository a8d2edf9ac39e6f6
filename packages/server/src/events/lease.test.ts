import { limits } from '@holdfast/core'
import { expect, test } from 'vitest'

import { newDatabase } from '../given-database.ts'
import { stockSchema } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'
import { Lease } from './lease.ts'

test.each(['now', 'monotonicMs'] as const)(
  '[EV-4] a lease ends by either clock of its owner: %s goes on, the other stood still with the machine',
  async (going) => {
    const database = await newDatabase(stockSchema)
    const store = database.store()
    const clocks = { now: 1_000_000, monotonicMs: 1_000 }
    const env = { ...systemEnvironment(), now: () => clocks.now, monotonicMs: () => clocks.monotonicMs }
    await store.open({ schema: stockSchema, env })
    await store.write((tx) => tx.addConsumer('erp', { position: 0, n: 0 }))
    const lease = new Lease({ store, env, limits, logger: undefined }, 'erp')
    const stored = await store.read((tx) => tx.consumer('erp'))
    expect(stored && (await lease.take(stored))).toBe(true)
    clocks[going] += limits.eventLeaseMs - 1
    expect(lease.isValid()).toBe(true)
    clocks[going] += 1
    expect(lease.isValid()).toBe(false)
    await store.close()
    await database.remove()
  },
)
