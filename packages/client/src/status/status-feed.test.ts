import { SyncError } from '@holdfast/core'
import { expect, test } from 'vitest'

import { Foretelling } from '../conflicts/foretold.ts'
import { givenDevice, givenSchema } from '../local/given-device.ts'
import type { LocalDatabase } from '../local/local-database.ts'
import { StatusFeed } from './status-feed.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('[ST-2] a status that could not be read is read again, until the client is closed', async () => {
  const device = await givenDevice()
  let failure: SyncError | undefined
  const database: LocalDatabase = Object.assign(Object.create(device.database) as LocalDatabase, {
    read: (...args: Parameters<LocalDatabase['read']>) =>
      failure === undefined ? device.database.read(...args) : Promise.reject(failure),
  })
  const timers: (() => void)[] = []
  const env = { setTimer: (callback: () => void) => (timers.push(callback), () => undefined) }
  const facts = { state: { kind: 'stopped' }, lastCode: null, progress: undefined, saving: null } as const
  const feed = new StatusFeed(database, new Foretelling(givenSchema), () => ({ ...facts, nowMs: 0 }), env)
  const told: number[] = []
  const stop = feed.subscribe(({ pendingCount }) => told.push(pendingCount))
  await turn()
  expect(told).toEqual([0])

  failure = new SyncError('STORE_FAILED', 'the disk')
  await device.items.insert({ name: 'Rope' })
  feed.refresh()
  await turn()
  failure = undefined
  for (const fire of timers.splice(0)) fire()
  await turn()
  expect(told).toEqual([0, 1])

  failure = new SyncError('CLIENT_CLOSED', 'the client was closed')
  feed.refresh()
  await turn()
  expect(timers).toEqual([])
  stop()
})
