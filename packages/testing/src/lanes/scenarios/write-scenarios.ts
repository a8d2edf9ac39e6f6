import type { Scenario } from '../run-scenario.ts'
import { isFull } from '../stage.ts'
import { desk, givenLamp, givenLampAndDesk, lamp, lampValues, line, one, sofa, two } from './given.ts'

/** What one person does on one device, and what others see of it. */
export const writeScenarios: readonly Scenario[] = [
  {
    name: 'first opening of an app, first start of a server',
    isFromNothing: true,
    devices: one,
    act: async (stage) => {
      await stage.on(0, 'insert', (db) => db.items.insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 3 }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { name: 'Lamp', stock: 3 } } },
  },
  {
    name: 'offline create then restart',
    devices: one,
    act: async (stage) => {
      stage.offline(0)
      await stage.on(0, 'insert', (db) => db.items.insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 3 }))
      await stage.restart(0)
      await stage.online(0)
    },
    expected: { items: { [lamp]: { name: 'Lamp', stock: 3 } } },
  },
  {
    name: 'create seen by another device',
    devices: two,
    act: async (stage) => {
      await stage.on(0, 'insert', (db) => db.items.insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 3 }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { name: 'Lamp', stock: 3 } } },
  },
  {
    name: 'five updates coalesced',
    devices: one,
    given: givenLamp,
    act: async (stage) => {
      stage.offline(0)
      for (const name of ['a', 'b', 'c', 'd', 'e'])
        await stage.on(0, `update to ${name}`, (db) => db.items.update(lamp, { name }))
      await stage.online(0)
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'e' } } },
  },
  {
    name: 'writes that are asked for at once',
    devices: two,
    given: givenLampAndDesk,
    act: async (stage) => {
      await stage.on(0, 'update two at once', async ({ items }) => {
        let open = [
          () => items.update(lamp, { name: 'Lamp 2' }),
          () => items.update(desk, { name: 'Desk 2' }),
        ]
        while (open.length > 0) {
          // What is asked for while the database is busy shares a commit; one that finds the disk full is asked for again.
          const [, ...done] = await Promise.allSettled([items.get(lamp), ...open.map((write) => write())])
          open = open.filter((_, at) => {
            const each = done[at]
            if (each?.status !== 'rejected') return false
            if (!isFull(each.reason)) throw each.reason
            return true
          })
        }
      })
      await stage.rest()
    },
    expected: {
      items: { [lamp]: { ...lampValues, name: 'Lamp 2' }, [desk]: { name: 'Desk 2' } },
    },
  },
  {
    name: 'edits while a push is under way',
    devices: one,
    given: givenLamp,
    act: async (stage) => {
      for (const [index, waitMs] of [0, 15, 15, 15, 15, 15].entries()) {
        await stage.pass(waitMs)
        await stage.on(0, 'update', (db) => db.items.update(lamp, { name: `edit ${index}` }))
        await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      }
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'edit 5', stock: 16 } } },
  },
  {
    name: 'delete then recreate',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      stage.offline(0)
      await stage.on(0, 'delete', (db) => db.items.delete(lamp))
      await stage.on(0, 'recreate', (db) =>
        db.items.insert({ id: lamp, site: 't0a', name: 'Again', stock: 1 }),
      )
      await stage.online(0)
    },
    expected: { items: { [lamp]: { name: 'Again', stock: 1, notes: '' } } },
  },
  {
    name: 'create and delete before anybody heard of it',
    devices: two,
    act: async (stage) => {
      stage.offline(0)
      await stage.on(0, 'insert', (db) => db.items.insert({ id: lamp, site: 't0a', name: 'Lamp' }))
      await stage.on(0, 'update', (db) => db.items.update(lamp, { name: 'Lamp 2' }))
      await stage.on(0, 'delete', (db) => db.items.delete(lamp))
      await stage.online(0)
    },
    expected: {},
  },
  {
    name: 'delete while the create is on its way',
    devices: two,
    act: async (stage) => {
      await stage.on(0, 'insert', (db) => db.items.insert({ id: lamp, site: 't0a', name: 'Lamp' }))
      await stage.pass(15)
      await stage.on(0, 'delete', (db) => db.items.delete(lamp))
      await stage.rest()
    },
    expected: {},
  },
  {
    name: 'group over three records',
    devices: two,
    act: async (stage) => {
      await stage.on(0, 'make a group', (db) =>
        db.transaction(async (tx) => {
          await tx.items.insert({ id: lamp, site: 't0a', name: 'one', stock: 1 })
          await tx.items.insert({ id: desk, site: 't0a', name: 'two', stock: 2 })
          await tx.items.insert({ id: sofa, site: 't0a', name: 'three', stock: 3 })
        }),
      )
      await stage.rest()
    },
    expected: {
      items: {
        [lamp]: { name: 'one', stock: 1 },
        [desk]: { name: 'two', stock: 2 },
        [sofa]: { name: 'three', stock: 3 },
      },
    },
  },
  {
    name: 'group of create, update and delete',
    devices: two,
    given: givenLampAndDesk,
    act: async (stage) => {
      await stage.on(0, 'make a group', (db) =>
        db.transaction(async (tx) => {
          await tx.items.update(lamp, { name: 'Lamp 2' })
          await tx.items.delete(desk)
          await tx.items.insert({ id: sofa, site: 't0a', name: 'Sofa' })
        }),
      )
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: -1 }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { name: 'Lamp 2', stock: 9 }, [sofa]: { name: 'Sofa' } } },
  },
  {
    name: 'child and parent made offline',
    devices: two,
    act: async (stage) => {
      stage.offline(0)
      await stage.on(0, 'insert', (db) => db.items.insert({ id: lamp, site: 't0a', name: 'Lamp' }))
      await stage.on(0, 'insert line', (db) =>
        db.lines.insert({ id: line, site: 't0a', item: lamp, amount: 2 }),
      )
      await stage.on(0, 'update', (db) => db.items.update(lamp, { name: 'Lamp 2' }))
      await stage.online(0)
    },
    expected: { items: { [lamp]: { name: 'Lamp 2' } }, lines: { [line]: { item: lamp, amount: 2 } } },
  },
  {
    name: 'child before parent, in small pages',
    devices: two,
    world: { serverLimits: { pageBytes: 200 } },
    act: async (stage) => {
      stage.offline(1)
      await stage.on(0, 'insert', (db) => db.items.insert({ id: lamp, site: 't0a', name: 'Lamp' }))
      await stage.rest()
      await stage.on(0, 'insert line', (db) =>
        db.lines.insert({ id: line, site: 't0a', item: lamp, amount: 2 }),
      )
      await stage.rest()
      // The parent moves to the end of the feed, behind its child.
      await stage.on(0, 'update', (db) => db.items.update(lamp, { name: 'Lamp 2' }))
      await stage.rest()
      await stage.online(1)
    },
    expected: { items: { [lamp]: { name: 'Lamp 2' } }, lines: { [line]: { item: lamp, amount: 2 } } },
  },
  {
    name: 'child then parent deleted',
    devices: two,
    given: async (stage) => {
      await givenLamp(stage)
      await stage.on(0, 'insert line', (db) => db.lines.insert({ id: line, site: 't0a', item: lamp }))
      await stage.rest()
    },
    act: async (stage) => {
      stage.offline(0)
      await stage.on(0, 'delete line', (db) => db.lines.delete(line))
      await stage.on(0, 'delete', (db) => db.items.delete(lamp))
      await stage.online(0)
    },
    expected: {},
  },
  {
    name: 'first snapshot of thirty rows in pages',
    devices: two,
    world: { serverLimits: { pageBytes: 2_000 } },
    given: async (stage) => {
      await stage.on(0, 'import', (db) =>
        db.items.insertMany(
          thirty.map((id, index) => ({ id, site: 't0a', name: `item ${index}`, stock: index })),
        ),
      )
      await stage.rest()
    },
    act: async (stage) => {
      await stage.reinstall(1)
      await stage.on(0, 'update', (db) => db.items.update(thirty[29] ?? '', { name: 'changed meanwhile' }))
      await stage.on(0, 'delete', (db) => db.items.delete(thirty[0] ?? ''))
      await stage.rest()
    },
    expected: {
      items: Object.fromEntries(
        thirtyIds().flatMap((id, index) =>
          index === 0
            ? []
            : [[id, { name: index === 29 ? 'changed meanwhile' : `item ${index}`, stock: index }]],
        ),
      ),
    },
  },
  {
    name: 'swap of unique codes in a group',
    devices: two,
    given: async (stage) => {
      await stage.on(0, 'insert code', (db) => db.codes.insert({ id: lamp, site: 't0a', code: 'A' }))
      await stage.on(0, 'insert code', (db) => db.codes.insert({ id: desk, site: 't0a', code: 'B' }))
      await stage.rest()
    },
    act: async (stage) => {
      await stage.on(0, 'swap', (db) =>
        db.transaction(async (tx) => {
          await tx.codes.update(lamp, { code: 'B' })
          await tx.codes.update(desk, { code: 'A' })
        }),
      )
      await stage.rest()
    },
    expected: { codes: { [lamp]: { code: 'B' }, [desk]: { code: 'A' } } },
  },
]

function thirtyIds(): readonly string[] {
  return Array.from(
    { length: 30 },
    (_, index) => `00000000-0000-7000-8000-0000000001${String(index).padStart(2, '0')}`,
  )
}

const thirty = thirtyIds()
