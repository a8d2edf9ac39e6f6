import { perform } from '../gen/person.ts'
import { SeededRandom } from '../seeded-random.ts'
import { writeForeign } from './foreign-write.ts'
import type { Action, Step } from './plan.ts'
import { operate } from './operate.ts'
import { planPockets } from './pocket-times.ts'
import type { SimDevice } from './sim-device.ts'
import { spy } from './spy.ts'
import type { Looked } from './server-storage.ts'
import type { World } from './world.ts'

/** Does what a step says, at its moment. What is not there is skipped: plans stay plans when steps are taken out. */
export function takeStep(world: World, step: Step): void {
  const device = world.devices[step.device]
  if (device) onDevice(world, device, step)
  else onServer(world, step)
}

function onDevice(world: World, device: SimDevice, { action, draw }: Step): void {
  const { scheduler, faults } = world
  const nowMs = scheduler.nowMs
  const until = (forMs: number): number => nowMs + forMs
  switch (action.kind) {
    case 'offline':
      faults.add('offline-window')
      return goOffline(world, device, action.forMs, action.told)
    case 'one-way':
      faults.add('one-way')
      if (action.direction === 'up') device.link.upLostUntilMs = until(action.forMs)
      else device.link.downLostUntilMs = until(action.forMs)
      return
    case 'clog':
      faults.add('clog')
      device.link.cloggedUntilMs = until(action.forMs)
      return
    case 'crash':
      faults.add('crash')
      device.crash({ ...action, powerRoll: null })
      return restartLater(world, device, action.downMs)
    case 'power-cut':
      faults.add('power-cut')
      device.crash({ ...action, powerRoll: new SeededRandom(draw).next() })
      return restartLater(world, device, action.downMs)
    case 'suspend':
      faults.add('suspend')
      device.suspend()
      return void scheduler.after(action.forMs, () => device.resume())
    case 'close':
      faults.add('close')
      void device.close(action.downMs)
      return restartLater(world, device, action.downMs)
    case 'app-update':
      if (device.schema === world.schema) return
      faults.add('app-update')
      device.schema = world.schema
      void device.close(action.downMs)
      return restartLater(world, device, action.downMs)
    case 'clock-jump':
      faults.add('clock-jump')
      return device.clock.jump(action.byMs)
    case 'disk-full':
      faults.add('disk-full')
      device.fullUntilMs = until(action.forMs)
      device.isFullLate = action.late ?? false
      device.isNearlyFull = action.tight ?? false
      return
    case 'backup':
      return void (device.life.isAlive || world.backups.set(device.name, device.disk.image()))
    case 'put-back':
      return putBack(world, device)
    case 'clone':
      return clone(world, device)
    case 'spy':
      return void spy(world, device, new SeededRandom(draw)).catch(world.onDefect)
    default:
      return act(world, device, action, draw)
  }
}

function onServer(world: World, { action, draw }: Step): void {
  const { server, scheduler, faults } = world
  switch (action.kind) {
    case 'server-kill':
      faults.add('server-kill')
      return server.crash(action.afterCalls, action.downMs)
    case 'server-update':
      return updateServer(world, action.downMs)
    case 'server-full':
      faults.add('server-full-window')
      server.fullUntilMs = scheduler.nowMs + action.forMs
      server.isFullLate = action.late ?? false
      return
    case 'server-backup':
      return followUp(world, world.storage.backUp())
    case 'server-restore':
      if (!world.storage.hasBackup) return
      faults.add('server-restore')
      server.kill()
      followUp(world, world.storage.restore())
      return void scheduler.after(2_000, () => void server.start())
    case 'collect':
      faults.add('collect')
      return void server.collect(action.olderThanMs)
    case 'foreign':
      if (!server.isUp) return
      faults.add('foreign')
      return void writeForeign(world, action.collection, new SeededRandom(draw)).catch(world.onDefect)
    case 'grant':
      return changeGrants(world, action.revoke, draw)
    case 'operate':
      return void operate(world, new SeededRandom(draw), false).catch(world.onDefect)
    default:
  }
}

/** The next version of the host: the database is migrated when it starts. */
export function updateServer(world: World, downMs: number): void {
  const { server, schema, scheduler, faults, plan } = world
  if (plan.isServerEarlier !== true || server.schema === schema) return
  faults.add('server-update')
  server.kill()
  server.schema = schema
  scheduler.after(downMs, () => void server.start())
}

/** A database elsewhere takes its time, in which none passes; what goes wrong with it is told. */
function followUp(world: World, looked: Looked<void>): void {
  if (looked instanceof Promise) looked.catch(world.onDefect)
}

/** A person does something, if the app is there to do it with. */
function act(world: World, device: SimDevice, action: Action, draw: number): void {
  const person = world.personOf(device)
  if (!person) return
  const life = device.life
  perform(person, action, draw).then(
    (count) => {
      world.operations += count
    },
    (error: unknown) => {
      if (life.isAlive) world.onDefect(error)
    },
  )
}

function goOffline(world: World, device: SimDevice, forMs: number, told: boolean): void {
  const { scheduler } = world
  device.link.offlineUntilMs = scheduler.nowMs + forMs
  if (!told) return
  device.client?.sync.setOnline(false)
  scheduler.after(forMs, () => {
    if (!device.link.isOffline(scheduler.nowMs)) device.client?.sync.setOnline(true)
  })
}

function restartLater(world: World, device: SimDevice, downMs: number): void {
  // The crash itself comes after some more calls; opening an app that runs, or too early, does nothing.
  for (const waitMs of [downMs + 1, downMs + 30_000]) world.scheduler.after(waitMs, () => void device.open())
}

function putBack(world: World, device: SimDevice): void {
  const image = world.backups.get(device.name)
  if (!image) return
  world.faults.add('put-back')
  device.stop(5_000)
  device.disk.putBack(image)
  restartLater(world, device, 5_000)
}

function clone(world: World, device: SimDevice): void {
  world.faults.add('clone')
  // The copy is taken of a phone that is switched off; both are started afterwards.
  device.stop(1_000)
  const copy = world.clone(device)
  planPockets(world, copy, world.devices.indexOf(copy))
  restartLater(world, device, 1_000)
  restartLater(world, copy, 1_000)
}

function changeGrants(world: World, revoke: boolean, draw: number): void {
  const random = new SeededRandom(draw)
  const allOf = ({ tenant, plan }: SimDevice): readonly string[] => world.scopesOf(tenant, plan.user)
  const nowOf = ({ user }: SimDevice): readonly string[] => world.grants.get(user) ?? []
  // Who has everything can be given nothing.
  const some = world.devices.filter((each) =>
    revoke ? nowOf(each).length > 1 : nowOf(each).length < allOf(each).length,
  )
  const device = some[random.below(Math.max(1, some.length))]
  if (!device) return
  if (!revoke) return world.grant(device.user, allOf(device))
  const now = nowOf(device)
  world.faults.add('revoke')
  const lost = now[random.below(now.length)]
  world.grant(
    device.user,
    now.filter((scope) => scope !== lost),
  )
}
