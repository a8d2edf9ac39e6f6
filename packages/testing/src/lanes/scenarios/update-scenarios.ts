import type { Schema } from '@holdfast/core'

import { earlierSchema, laneSchema, laterSchema, plainerSchema } from '../lane-schema.ts'
import type { Scenario } from '../run-scenario.ts'
import type { Stage } from '../stage.ts'
import { desk, givenLamp, lamp, lampValues, sofa, two } from './given.ts'

/** The second device begins anew, with an app of before. */
function givenOlderApp(stage: Stage, schema: Schema): Promise<void> {
  const device = stage.world.devices[1] ?? stage.nobody()
  device.schema = schema
  return stage.reinstall(1)
}

/** New versions of the app. */
export const updateScenarios: readonly Scenario[] = [
  {
    name: 'schema upgrade with pending entries',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      const { server } = stage.world
      stage.offline(1)
      await stage.on(1, 'update', (db) => db.items.update(lamp, { name: 'from before' }))
      await stage.on(1, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      server.kill()
      server.schema = laterSchema
      await stage.untilServed()
      await stage.upgrade(1, laterSchema)
      await stage.on(1, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.online(1)
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'from before', stock: 12 } } },
  },
  {
    name: 'rows of a collection that the app does not know yet',
    devices: two,
    given: async (stage) => {
      await givenOlderApp(stage, earlierSchema)
      await stage.rest()
    },
    act: async (stage) => {
      await stage.on(0, 'insert', (db) => db.gone.insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 1 }))
      await stage.rest()
      await stage.on(0, 'insert', (db) => db.gone.insert({ id: desk, site: 't0a', name: 'Desk' }))
      await stage.on(0, 'count', (db) => db.gone.increment(lamp, { stock: 1 }))
      await stage.rest()
      await stage.upgrade(1, laneSchema)
      await stage.rest()
    },
    expected: { gone: { [lamp]: { name: 'Lamp', stock: 2 }, [desk]: { name: 'Desk' } } },
  },
  {
    name: 'fields of which the app before kept nothing',
    devices: two,
    given: async (stage) => {
      await givenOlderApp(stage, plainerSchema)
      await givenLamp(stage)
      await stage.on(0, 'insert', (db) =>
        db.items.insert({ id: desk, site: 't0b', name: 'Desk', notes: 'in the hall', best: 3 }),
      )
      await stage.on(0, 'insert', (db) =>
        db.kept.insert({ id: sofa, site: 't0a', name: 'Sofa', place: 'hall' }),
      )
      await stage.rest()
    },
    act: async (stage) => {
      stage.offline(1)
      await stage.on(1, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.on(0, 'move', (db) => db.items.update(desk, { site: 't0a', notes: 'in the attic' }))
      await stage.upgrade(1, laneSchema)
      await stage.on(1, 'update', (db) => db.items.update(lamp, { name: 'of the new app' }))
      await stage.online(1)
      await stage.rest()
    },
    expected: {
      items: {
        [lamp]: { ...lampValues, name: 'of the new app', stock: 11 },
        [desk]: { site: 't0a', name: 'Desk', notes: 'in the attic', best: 3 },
      },
      kept: { [sofa]: { name: 'Sofa', place: 'hall' } },
    },
  },
]
