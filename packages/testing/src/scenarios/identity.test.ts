import { sqliteStorage } from '@holdfast/client/node'
import { copyFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { sharedStorage } from './shared-storage.ts'
import { createShopWorld, itemsOf, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
beforeEach(() => {
  world = createShopWorld()
})
afterEach(() => world.close())

test('[SY-12] B21: of a copied database both sides keep every write, and the copy takes a new identity', async () => {
  const [path, copyPath] = [world.path('phone.sqlite'), world.path('copy.sqlite')]
  const phone = await world.open({ storage: sqliteStorage(path) })
  await world.sync(phone)
  const id = await phone.items.insert({ name: 'Rope', stock: 0 })
  for (let n = 0; n < 10; n++) await phone.items.insert({ name: `shared ${n}` })
  await phone.close()
  copyFileSync(path, copyPath)
  const first = await world.open({ storage: sqliteStorage(path) })
  const second = await world.open({ storage: sqliteStorage(copyPath) })
  await first.items.increment(id, { stock: 1 })
  await first.items.insert({ name: 'of the first' })
  await second.items.increment(id, { stock: 10 })
  await second.items.insert({ name: 'of the second' })
  for (let round = 0; round < 3; round++) {
    await world.sync(first)
    await world.sync(second)
  }
  const names = [...world.server.rows('items').values()]
    .map(({ name }) => (typeof name === 'string' ? name : ''))
    .toSorted()
  expect(names).toEqual([
    'Rope',
    'of the first',
    'of the second',
    ...Array.from({ length: 10 }, (_, n) => `shared ${n}`),
  ])
  expect(world.server.record('items', id)).toMatchObject({ stock: 11 })
  expect(second.identity().device).not.toBe(first.identity().device)
  expect((await second.status.metrics()).counts.identityRenewals).toBe(1)
  for (const db of [first, second]) {
    expect(await db.outbox.list()).toEqual([])
    expect(await itemsOf(db)).toHaveLength(13)
  }
})

test('[SY-12] B20: a number that power loss gave to another write costs neither of the two', async () => {
  const [path, backup] = [world.path('device.sqlite'), world.path('before.sqlite')]
  const device = await world.open({ storage: sqliteStorage(path) })
  await world.sync(device)
  await device.close()
  copyFileSync(path, backup)
  const sent = await world.open({ storage: sqliteStorage(path) })
  await sent.items.insert({ name: 'sent, then rolled back' })
  await world.sync(sent)
  await sent.close()
  const restored = await world.open({ storage: sqliteStorage(backup) })
  await restored.items.insert({ name: 'written after the loss' })
  await world.sync(restored)
  await world.sync(restored)
  expect((await itemsOf(restored)).map(({ name }) => name)).toEqual([
    'sent, then rolled back',
    'written after the loss',
  ])
  expect(await restored.outbox.list()).toEqual([])
})

test('[SY-14] a process whose token is of another account than the one another process has learnt sends nothing', async () => {
  const storage = sharedStorage(sqliteStorage(world.path('shared.sqlite')))
  const ann = await world.open({ storage, user: 'ann' })
  const bob = await world.open({ storage, user: 'bob' })
  await ann.items.insert({ name: 'of ann' })
  await world.sync(ann)
  await ann.items.insert({ name: 'of ann, too' })
  expect(await world.sync(bob)).toEqual({ status: 'paused', code: 'ACCOUNT_MISMATCH' })
  expect(world.server.rows('items').size).toBe(1)
  expect((await ann.inspect()).identity.account).toBe('ann')
  expect(bob.identity().account).toBe('ann')
})

test('[SY-12] a new identity that one process has taken is that of every process on the file', async () => {
  const [path, copyPath] = [world.path('phone.sqlite'), world.path('copy.sqlite')]
  const phone = await world.open({ storage: sqliteStorage(path) })
  await world.sync(phone)
  await phone.close()
  copyFileSync(path, copyPath)
  const original = await world.open({ storage: sqliteStorage(path) })
  const storage = sharedStorage(sqliteStorage(copyPath))
  const [first, second] = [await world.open({ storage }), await world.open({ storage })]
  for (const db of [original, first, first]) {
    await db.items.insert({ name: 'Rope' })
    await world.sync(db)
  }
  const { device } = first.identity()
  expect(device).not.toBe(original.identity().device)
  for (const db of [original, second, first]) {
    await db.items.insert({ name: 'Rope' })
    await world.sync(db)
  }
  expect([first.identity().device, second.identity().device]).toEqual([device, device])
  expect((await first.status.metrics()).counts.identityRenewals).toBe(1)
  expect(world.server.rows('items').size).toBe(6)
})
