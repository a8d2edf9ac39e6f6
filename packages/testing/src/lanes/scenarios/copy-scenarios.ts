import type { Scenario } from '../run-scenario.ts'
import type { Stage } from '../stage.ts'
import { givenLamp, lamp, lampValues, one } from './given.ts'

/** The apps on these devices are started anew, and send of themselves what is there, or nothing. */
async function startAnew(
  stage: Stage,
  devices: readonly number[],
  { syncsAlone }: { readonly syncsAlone: boolean },
): Promise<void> {
  for (const index of devices) {
    const device = stage.world.devices[index] ?? stage.nobody()
    device.syncsAlone = syncsAlone
    await stage.restart(index)
  }
}

/** A lamp, and a device that sends nothing of what is done on it, nor tries to. */
async function givenQuietDevice(stage: Stage): Promise<void> {
  await givenLamp(stage)
  stage.offline(0)
  await startAnew(stage, [0], { syncsAlone: false })
}

/** Copies of a database whose owners go on before anything of it was sent: what each of them sends has the same key. */
export const copyScenarios: readonly Scenario[] = [
  {
    name: 'two copies that fold differently',
    devices: one,
    given: givenQuietDevice,
    act: async (stage) => {
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      const copy = await stage.clone(0)
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 10 }))
      await stage.on(copy, 'count', (db) => db.items.increment(lamp, { stock: 100 }))
      await startAnew(stage, [0, copy], { syncsAlone: true })
      await stage.online(0)
      await stage.online(copy)
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 121 } } },
  },
]
