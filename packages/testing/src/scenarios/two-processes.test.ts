import { sqliteStorage } from '@holdfast/client/node'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { createShopWorld, type ShopClient, type ShopWorld } from './shop-world.ts'

let world: ShopWorld
let one: ShopClient
let other: ShopClient

beforeEach(async () => {
  world = createShopWorld()
  const storage = sqliteStorage(world.path('shared.sqlite'))
  one = await world.open({ storage })
  other = await world.open({ storage })
})

afterEach(() => world.close())

test('[LO-16] a live query and a live list show what another process has written to the file', async () => {
  const told: { names: unknown[]; pending: number }[] = []
  let names: unknown[] = []
  let pending = 0
  const note = (): void => void told.push({ names, pending })
  const stops = [
    one.watch(
      (q) => q.selectFrom('items').select('name').orderBy('name'),
      (rows) => {
        names = rows.map(({ name }) => name)
        note()
      },
    ),
    one.outbox.watch((entries) => {
      pending = entries.length
      note()
    }),
  ]
  await world.env.advance(1_500)
  const id = await other.items.insert({ name: 'Rope' })
  await other.items.insert({ name: 'Chain' })
  await world.env.advance(1_500)
  expect(told.at(-1)).toEqual({ names: ['Chain', 'Rope'], pending: 2 })
  await other.items.update(id, { name: 'Line' })
  await world.env.advance(1_500)
  expect(told.at(-1)).toEqual({ names: ['Chain', 'Line'], pending: 3 })

  // Who has nothing to show does not look.
  const count = told.length
  const { timerCount } = world.env
  for (const stop of stops) stop()
  expect(world.env.timerCount).toBe(timerCount - 1)
  await other.items.insert({ name: 'unseen' })
  await world.env.advance(5_000)
  expect(told).toHaveLength(count)
})

test('[LO-16] what is watched again is told from where it is by then, and closing ends it', async () => {
  const told: number[] = []
  const watch = (): (() => void) => one.outbox.watch((entries) => void told.push(entries.length))
  watch()()
  const stop = watch()
  await world.env.advance(1_500)
  await other.items.insert({ name: 'Rope' })
  await world.env.advance(1_500)
  expect(told.at(-1)).toBe(1)
  stop()
  await other.items.insert({ name: 'Chain' })
  watch()
  await world.env.advance(500)
  expect(told.at(-1)).toBe(2)
  await one.close()
  await other.items.insert({ name: 'Hook' })
  await world.env.advance(5_000)
  expect(told.at(-1)).toBe(2)
})

test('[LO-16] whoever watches what is closed sets nobody looking', async () => {
  await one.close()
  await world.env.advance(1_500)
  const { timerCount } = world.env
  one.outbox.watch(() => undefined)
  one.watch(
    (q) => q.selectFrom('items').select('name'),
    () => undefined,
  )
  await world.env.advance(5_000)
  expect(world.env.timerCount).toBe(timerCount)
})
