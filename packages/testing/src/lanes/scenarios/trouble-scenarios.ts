import type { Scenario } from '../run-scenario.ts'
import type { Stage } from '../stage.ts'
import { desk, givenLamp, givenLampAndDesk, lamp, lampValues, line, one, sofa, two } from './given.ts'

const site = (letter: 'a' | 'b'): string => `site:t0${letter}`

/** What a proxy lets through of a push, bytes: a few edits. */
const gatewayBytes = 1_000

const several = [0, 1, 2, 3, 4, 5].map((index) => `00000000-0000-7000-8000-00000000030${index}`)

/** Rights that change, tokens that end, clocks that are wrong, copies and backups. */
export const troubleScenarios: readonly Scenario[] = [
  {
    name: 'move out of scope by its author',
    devices: [[site('a')], [site('a'), site('b')]],
    given: givenLamp,
    act: async (stage) => {
      await stage.on(0, 'move', (db) => db.items.update(lamp, { site: 't0b' }))
      await stage.rest()
      await stage.on(1, 'update', (db) => db.items.update(lamp, { place: 'there' }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, site: 't0b', place: 'there' } } },
  },
  {
    name: 'move into the sight of another device, and back',
    devices: [[site('a'), site('b')], [site('b')]],
    given: givenLamp,
    act: async (stage) => {
      await stage.on(0, 'move', (db) => db.items.update(lamp, { site: 't0b' }))
      await stage.rest()
      await stage.on(1, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.rest()
      await stage.on(0, 'move back', (db) => db.items.update(lamp, { site: 't0a' }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 11 } } },
  },
  {
    name: 'grant arrives',
    devices: [[site('a'), site('b')], [site('a')]],
    given: async (stage) => {
      await givenLamp(stage)
      await stage.on(0, 'insert', (db) => db.items.insert({ id: desk, site: 't0b', name: 'Desk' }))
      await stage.rest()
    },
    act: async (stage) => {
      stage.world.grant('u1', [site('a'), site('b')])
      await stage.untilSeen(1, desk)
      await stage.on(1, 'update', (db) => db.items.update(desk, { name: 'Desk 2' }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { name: 'Lamp' }, [desk]: { name: 'Desk 2' } } },
  },
  {
    name: 'revoke with unsent edits',
    devices: [
      [site('a'), site('b')],
      [site('a'), site('b')],
    ],
    given: async (stage) => {
      await givenLamp(stage)
      await stage.on(0, 'insert', (db) => db.items.insert({ id: desk, site: 't0b', name: 'Desk' }))
      await stage.rest()
    },
    act: async (stage) => {
      stage.offline(1)
      await stage.on(1, 'update', (db) => db.items.update(lamp, { name: 'Lamp 2' }))
      await stage.on(1, 'update', (db) => db.items.update(desk, { name: 'too late' }))
      await stage.on(1, 'insert', (db) => db.items.insert({ id: sofa, site: 't0b', name: 'too late' }))
      stage.world.grant('u1', [site('a')])
      await stage.online(1)
      await stage.discard(1)
      await stage.rest()
    },
    expected: { items: { [lamp]: { name: 'Lamp 2' }, [desk]: { name: 'Desk' } } },
  },
  {
    name: 'revoke, with an edit that refers to what goes to escrow',
    devices: [
      [site('a'), site('b')],
      [site('a'), site('b')],
    ],
    given: async (stage) => {
      await givenLamp(stage)
      await stage.on(0, 'insert', (db) => db.lines.insert({ id: line, site: 't0a', item: lamp }))
      await stage.rest()
    },
    act: async (stage) => {
      stage.offline(1)
      await stage.on(1, 'insert', (db) => db.items.insert({ id: sofa, site: 't0b', name: 'too late' }))
      await stage.on(1, 'update', (db) => db.lines.update(line, { amount: 2 }))
      await stage.on(1, 'update', (db) => db.lines.update(line, { item: sofa }))
      stage.world.grant('u1', [site('a')])
      // The pull that tells of the right's end overtakes the push.
      let busy = 1
      stage.inFront(({ route }) =>
        route === 'push' && busy-- > 0 ? new Response('', { status: 503 }) : undefined,
      )
      await stage.online(1)
      await stage.discard(1)
      await stage.rest()
    },
    expected: { items: { [lamp]: lampValues }, lines: { [line]: { item: lamp, amount: 2 } } },
  },
  {
    name: 'revoke, then grant again',
    devices: [
      [site('a'), site('b')],
      [site('a'), site('b')],
    ],
    given: async (stage) => {
      await givenLamp(stage)
      await stage.on(0, 'insert', (db) => db.items.insert({ id: desk, site: 't0b', name: 'Desk' }))
      await stage.rest()
    },
    act: async (stage) => {
      stage.world.grant('u1', [site('a')])
      await stage.untilGone(1, desk)
      await stage.on(0, 'update', (db) => db.items.update(desk, { name: 'Desk 2' }))
      await stage.rest()
      stage.world.grant('u1', [site('a'), site('b')])
      await stage.untilSeen(1, desk)
      await stage.rest()
    },
    expected: { items: { [lamp]: { name: 'Lamp' }, [desk]: { name: 'Desk 2' } } },
  },
  {
    name: 'token expires',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      stage.world.expireToken('u0')
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.on(1, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 12 } } },
  },
  {
    name: 'reset after the horizon',
    devices: two,
    given: givenLampAndDesk,
    act: async (stage) => {
      stage.offline(1)
      await stage.on(1, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.on(0, 'delete', (db) => db.items.delete(desk))
      await stage.rest()
      await stage.pass(1_000)
      void stage.world.server.collect(0)
      await stage.online(1)
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 11 } } },
  },
  {
    name: 'server restored',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      const { server, serverDisk } = stage.world
      await stage.untilServed()
      const image = serverDisk.image()
      await stage.on(0, 'update', (db) => db.items.update(lamp, { name: 'settled before' }))
      await stage.rest()
      // Kept by its author's device, which returns it.
      stage.writtenOut(0)
      stage.offline(1)
      await stage.on(1, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      server.kill()
      serverDisk.putBack(image)
      await stage.pass(2_000)
      await stage.untilServed()
      await stage.online(1)
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'settled before', stock: 11 } } },
  },
  {
    name: 'server restored to before somebody beside it deleted a record',
    devices: two,
    given: givenLampAndDesk,
    act: async (stage) => {
      const { server, serverDisk } = stage.world
      await stage.untilServed()
      const image = serverDisk.image()
      serverDisk.write('DELETE FROM items WHERE id = ?', desk)
      for (const index of [0, 1]) await stage.untilGone(index, desk)
      await stage.rest()
      server.kill()
      serverDisk.putBack(image)
      await stage.untilServed()
      await stage.rest()
    },
    expected: { items: { [lamp]: lampValues, [desk]: { name: 'Desk', stock: 1 } } },
  },
  {
    name: 'clone',
    devices: one,
    given: givenLamp,
    act: async (stage) => {
      stage.offline(0)
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      const copy = await stage.clone(0)
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 10 }))
      await stage.on(copy, 'count', (db) => db.items.increment(lamp, { stock: 100 }))
      await stage.online(0)
      await stage.online(copy)
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 121 } } },
  },
  {
    name: 'device put back to an older image',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      const image = await stage.imageOf(0)
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.rest()
      await stage.putBack(0, image)
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 10 }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 21 } } },
  },
  {
    name: 'a proxy that gives up on large requests',
    devices: two,
    given: givenSeveral,
    act: async (stage) => {
      stage.inFront(({ route, bytes }) =>
        route === 'push' && bytes > gatewayBytes ? new Response('', { status: 504 }) : undefined,
      )
      stage.offline(0)
      for (const id of several) await stage.on(0, 'count', (db) => db.items.increment(id, { stock: 1 }))
      await stage.online(0)
    },
    expected: { items: Object.fromEntries(several.map((id) => [id, { name: 'one of several', stock: 1 }])) },
  },
  {
    name: 'clock a year ahead, then right again',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      const { clock } = stage.world.devices[1] ?? stage.nobody()
      clock.jump(365 * 86_400_000)
      await stage.on(1, 'update', (db) => db.items.update(lamp, { place: 'next year' }))
      await stage.rest()
      clock.jump(-365 * 86_400_000)
      await stage.pass(600_000)
      await stage.on(0, 'update', (db) => db.items.update(lamp, { place: 'today' }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, place: 'today' } } },
  },
  {
    name: 'asleep in the middle of a sync',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      const device = stage.world.devices[0] ?? stage.nobody()
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.pass(25)
      device.suspend()
      await stage.on(1, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      // Longer than any wait of the engines.
      await stage.pass(1_200_000)
      device.resume()
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 12 } } },
  },
  {
    name: 'somebody writes beside the server',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      stage.offline(0)
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.untilServed()
      stage.world.serverDisk.write("UPDATE items SET place = 'by a job', stock = stock + 5")
      await stage.online(0)
    },
    expected: { items: { [lamp]: { ...lampValues, place: 'by a job', stock: 16 } } },
  },
  {
    name: 'a key that somebody gives beside the server',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      stage.offline(0)
      await stage.on(0, 'insert code', (db) => db.codes.insert({ id: desk, site: 't0a', code: 'A' }))
      await stage.untilServed()
      stage.world.serverDisk.write("INSERT INTO codes (id, site, code) VALUES (?, 't0a', 'A')", lamp)
      await stage.online(0)
      await stage.discard(0)
      await stage.rest()
    },
    expected: { items: { [lamp]: lampValues }, codes: { [lamp]: { code: 'A' } } },
  },
  {
    name: 'app closed and opened again with work under way',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.pass(15)
      await stage.close(0)
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 12 } } },
  },
  {
    name: 'a month offline',
    devices: two,
    given: givenLampAndDesk,
    act: async (stage) => {
      const device = stage.world.devices[1] ?? stage.nobody()
      stage.offline(1)
      await stage.on(1, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.pass(1_000)
      device.suspend()
      stage.world.devices[0]?.suspend()
      await stage.pass(30 * 86_400_000)
      stage.world.devices[0]?.resume()
      await stage.on(0, 'delete', (db) => db.items.delete(desk))
      await stage.rest()
      device.resume()
      await stage.online(1)
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 11 } } },
  },
]

async function givenSeveral(stage: Stage): Promise<void> {
  await stage.on(0, 'insert', (db) =>
    db.items.insertMany(several.map((id) => ({ id, site: 't0a', name: 'one of several' }))),
  )
  await stage.rest()
}
