import { afterEach, expect, test } from 'vitest'

import type { AnyCollection } from '../gen/turn.ts'
import { planOf } from './given-plan.ts'
import { isCalm } from './play.ts'
import { operatorId } from './sim-server.ts'
import type { SimDevice } from './sim-device.ts'
import { World } from './world.ts'

let world: World
afterEach(() => world.close())

async function givenWorld(): Promise<readonly [SimDevice, SimDevice]> {
  world = new World(planOf([]), { observe: () => undefined })
  await world.server.start()
  const [ann, bob] = world.devices
  if (!ann || !bob) throw new Error('the plan has two devices')
  for (const each of [ann, bob]) void each.open()
  await pass(1_000)
  return [ann, bob]
}

async function pass(ms: number): Promise<void> {
  await world.scheduler.run(world.scheduler.nowMs + ms)
}

/** Calls take no real time, but virtual time must pass for them. */
async function done<Result>(call: Promise<Result>): Promise<Result> {
  const [result] = await Promise.all([call, pass(100)])
  return result
}

function badgesOf({ client }: SimDevice): AnyCollection {
  if (!client) throw new Error('the app is not open')
  return client.collection('badges')
}

function setOnline({ client, link }: SimDevice, isOnline: boolean): void {
  link.offlineUntilMs = isOnline ? 0 : Number.POSITIVE_INFINITY
  client?.sync.setOnline(isOnline)
}

function writeBeside(owner: string): void {
  world.serverDisk.write('UPDATE badges SET owner = ?', owner)
}

const conflictsOf = ({ client }: SimDevice): Promise<readonly { readonly id: string }[]> =>
  client ? done(client.conflicts.list()) : Promise.resolve([])

test('[SIM-6] what waits behind a dispute that its author cannot see any more is up to the operator', async () => {
  const [ann, bob] = await givenWorld()
  const id = await done(badgesOf(ann).insert({ site: 't0b', code: '§t0§1', owner: '§t0§a' }))
  await pass(5_000)
  setOnline(bob, false)
  writeBeside('§t0§b')
  await done(badgesOf(bob).update(id, { owner: '§t0§c' }))
  expect(isCalm(world, bob)).toBe(false)
  setOnline(bob, true)
  await pass(5_000)
  const [first] = await conflictsOf(ann)
  for (const each of [ann, bob]) setOnline(each, false)
  await done(badgesOf(bob).update(id, { owner: '§t0§d' }))
  await done(ann.client?.conflicts.keepMine(first?.id ?? '') ?? Promise.reject(new Error('not open')))
  writeBeside('§t0§e')
  world.grant('u1', ['site:t0a'])
  setOnline(ann, true)
  await pass(5_000)
  const [second, ...others] = await conflictsOf(ann)
  expect([second?.id === first?.id, others]).toEqual([false, []])
  setOnline(bob, true)
  await pass(5_000)
  expect(await conflictsOf(bob)).toEqual([])
  // It went to escrow with the right to see its record.
  expect(bob.disk.read('SELECT status FROM _outbox')).toEqual([])
  expect(bob.disk.read('SELECT status FROM _escrow')).toEqual([{ status: 'waiting' }])
  expect(world.storage.openFor(operatorId)).toBe(1)
  expect(isCalm(world, bob)).toBe(true)
})

test('[SIM-6] who read what a server has lost since is not up to date, wherever the new history stands', async () => {
  const [ann, bob] = await givenWorld()
  const image = world.serverDisk.image()
  await done(badgesOf(ann).insert({ site: 't0b', code: '§t0§1', owner: '§t0§a' }))
  await pass(5_000)
  expect([isCalm(world, ann), isCalm(world, bob)]).toEqual([true, true])
  for (const each of [ann, bob]) setOnline(each, false)
  world.server.kill()
  world.serverDisk.putBack(image)
  await world.server.start()
  expect([isCalm(world, ann), isCalm(world, bob)]).toEqual([false, false])
  setOnline(ann, true)
  await pass(60_000)
  await done(badgesOf(ann).insert({ site: 't0b', code: '§t0§2', owner: '§t0§b' }))
  await pass(5_000)
  expect([isCalm(world, ann), isCalm(world, bob)]).toEqual([true, false])
  setOnline(bob, true)
  await pass(60_000)
  expect([isCalm(world, ann), isCalm(world, bob)]).toEqual([true, true])
})
