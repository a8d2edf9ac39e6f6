import { SyncError } from '@holdfast/core'

import type { Leg } from '../../sim/strike.ts'
import type { Scenario } from '../run-scenario.ts'
import { BrokenPromise, type Stage } from '../stage.ts'
import { desk, givenLamp, lamp, lampValues, two } from './given.ts'

const [here, there] = ['site:t0a', 'site:t0b']

const several = Array.from({ length: 12 }, (_, index) => ({
  id: `00000000-0000-7000-8000-0000000004${String(index).padStart(2, '0')}`,
  site: 't0b',
  name: 'one of several',
}))

/** Before the nth message of a kind between the second device and a route of the server, something else happens. */
function beforeLeg(stage: Stage, asked: Leg['route'], about: Readonly<Record<string, () => void>>): void {
  const counts: Record<string, number> = {}
  stage.world.strike = {
    carry: ({ kind, route, sender }: Leg, go) => {
      if (route !== asked || sender.name !== 'd1') return false
      counts[kind] = (counts[kind] ?? 0) + 1
      stage.world.scheduler.after(10, () => {
        about[`${kind} ${counts[kind]}`]?.()
        go()
      })
      return true
    },
  }
}

/** What one is shown while rights and records move. No fault strikes. */
export const readingScenarios: readonly Scenario[] = [
  {
    name: 'a scope taken away in the middle of the first copy',
    devices: two,
    world: { serverLimits: { pageBytes: 1_000 } },
    given: async (stage) => {
      await givenLamp(stage)
      await stage.on(0, 'import', (db) => db.items.insertMany(several))
      await stage.rest()
    },
    act: async (stage) => {
      beforeLeg(stage, 'snapshot', { 'request 3': () => stage.world.grant('u1', [here]) })
      await stage.reinstall(1)
      await stage.rest()
    },
    expected: {
      items: {
        [lamp]: lampValues,
        ...Object.fromEntries(several.map(({ id, name }) => [id, { name }])),
      },
    },
  },
  {
    name: 'a scope taken away between two pages of a pull',
    devices: two,
    world: { serverLimits: { pageBytes: 1_000 } },
    given: givenLamp,
    act: async (stage) => {
      stage.offline(1)
      await stage.on(0, 'import', (db) => db.items.insertMany(several))
      await stage.rest()
      // The first page holds rows of what is taken away before the second one.
      beforeLeg(stage, 'pull', { 'request 2': () => stage.world.grant('u1', [here]) })
      await stage.online(1)
    },
    expected: {
      items: {
        [lamp]: lampValues,
        ...Object.fromEntries(several.map(({ id, name }) => [id, { name }])),
      },
    },
  },
  {
    name: 'changes while somebody who was let in takes a copy',
    devices: [[here, there], [here]],
    given: async (stage) => {
      await givenLamp(stage)
      await stage.on(0, 'insert', (db) => db.items.insert({ id: desk, site: 't0b', name: 'Desk' }))
      await stage.rest()
    },
    act: async (stage) => {
      const { serverDisk } = stage.world
      beforeLeg(stage, 'snapshot', {
        'request 1': () => serverDisk.write("UPDATE items SET place = 'before it' WHERE id = ?", lamp),
        'answer 1': () => serverDisk.write("UPDATE items SET place = 'after it' WHERE id = ?", desk),
      })
      stage.world.grant('u1', [here, there])
      await stage.untilSeen(1, desk)
      await stage.rest()
    },
    expected: {
      items: {
        [lamp]: { ...lampValues, place: 'before it' },
        [desk]: { name: 'Desk', place: 'after it' },
      },
    },
  },
  {
    name: 'a record that comes back in another scope',
    devices: [[here, there], [here]],
    given: givenLamp,
    act: async (stage) => {
      // Whoever takes the row out of the table leaves its tombstone only.
      stage.world.serverDisk.write('DELETE FROM items WHERE id = ?', lamp)
      await stage.rest()
      await stage.on(0, 'recreate', (db) => db.items.insert({ id: lamp, site: 't0b', name: 'Again' }))
      await stage.rest()
      const answer = await askForHistory(stage, 1)
      if (answer !== 'RECORD_NOT_FOUND')
        throw new BrokenPromise('scope-isolation', `d1 asks what became of the lamp, and hears ${answer}`)
    },
    expected: { items: { [lamp]: { site: 't0b', name: 'Again' } } },
  },
  {
    name: 'a lost value brought back',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      stage.offline(1)
      await stage.on(1, 'update', (db) => db.items.update(lamp, { place: 'cellar' }))
      await stage.pass(1_000)
      await stage.on(0, 'update', (db) => db.items.update(lamp, { place: 'attic' }))
      await stage.rest()
      await stage.online(1)
      await stage.on(1, 'bring back', async (db) => {
        const [lost] = await db.items.lostValues(lamp)
        if (lost) await db.items.restore(lamp, lost)
      })
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, place: 'cellar' } } },
  },
]

/** What a device hears of the lamp's history: that there is one, or a code. */
async function askForHistory(stage: Stage, device: number): Promise<string> {
  let answer = 'nothing'
  const ask = async (asked: Promise<unknown>): Promise<void> => {
    answer = await asked.then(
      () => 'its history',
      (error: unknown) => (error instanceof SyncError ? error.code : String(error)),
    )
  }
  stage.begin(device, 'ask for the history', (db) => ask(db.history('items', lamp)), [])
  await stage.pass(5_000)
  return answer
}
