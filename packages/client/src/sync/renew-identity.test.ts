import { expect, test } from 'vitest'

import { type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { cutBatch } from '../outbox/cut-batch.ts'
import { markAnswered, markConflicted, markHeld, settle, updateEntries } from '../outbox/outbox.ts'
import { holdForIdentity, readyForIdentity } from './renew-identity.ts'

const cut = ({ database }: GivenDevice): Promise<unknown> =>
  database.write((tx) => cutBatch(tx, givenSchema, { nowMs: 0, maxMutations: 50, maxBytes: 1e6 }))
const ready = ({ database }: GivenDevice): Promise<readonly number[]> =>
  database.read((tx) => readyForIdentity(tx, givenSchema))

test('[SY-12] what waits for a new identity waits for offers that go by themselves, and for no person', async () => {
  const device = await givenDevice()
  const { database, items } = device
  const id = await items.insert({ name: 'a' })
  await cut(device)
  await database.write((tx) =>
    markAnswered(tx, [1], { status: 'applied', version: 1, serverUpdatedAt: null, exact: true }),
  )
  for (const name of ['b', 'c', 'd']) {
    await items.update(id, { name })
    await cut(device)
  }
  await items.insert({ name: 'refused' })
  await cut(device)
  await database.write((tx) => holdForIdentity(tx, [5]))
  expect(await ready(device)).toEqual([])
  await database.write((tx) => settle(tx, [1]))
  expect(await ready(device)).toEqual([])
  await database.write((tx) =>
    updateEntries(tx, [2], { set: "status = 'pending', next_attempt_at = ?", params: [1e15] }),
  )
  expect(await ready(device)).toEqual([])
  // The third stands on the second, which is held behind the first: none of them goes before somebody decides.
  await database.write(async (tx) => {
    await markConflicted(tx, [2], 'conflict-1')
    await markHeld(tx, [3], 'conflict-1')
  })
  expect(await ready(device)).toEqual([5])
})
