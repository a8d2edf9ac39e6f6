import type { Scenario } from '../run-scenario.ts'
import { BrokenPromise, type Stage } from '../stage.ts'
import { givenLamp, lamp, lampValues, one, two } from './given.ts'

/** So long a network is away until every wait that only ever doubles is hours long, virtual ms. */
const longMs = 3 * 3_600_000

/** Within this a device finds out that the network is back, virtual ms: some looks for it, and the requests then. */
const lookMs = 60_000

/** Networks that fail in a way nobody tells the device of. No fault strikes but that. */
export const networkScenarios: readonly Scenario[] = [
  ...(['stall', 'head'] as const).map((fate) => ({
    name: fate === 'stall' ? 'an answer that stops in its middle' : 'an answer of which only the head comes',
    devices: one,
    given: givenLamp,
    act: async (stage: Stage) => {
      let count = 0
      stage.world.strike = { answer: () => (++count === 1 ? fate : undefined) }
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 11 } } },
  })),
  {
    name: 'a hint that is lost',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      stage.world.strike = { carry: ({ kind, sender }) => kind === 'poke' && sender.name === 'd1' }
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.pass(2_000)
      // The stream stands as before, and nothing more comes on it.
      stage.world.strike = {}
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 11 } } },
  },
  {
    name: 'hours without a network, of whose end nobody tells',
    devices: one,
    given: givenLamp,
    act: async (stage) => {
      const { link } = stage.world.devices[0] ?? stage.nobody()
      link.offlineUntilMs = Number.POSITIVE_INFINITY
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.pass(longMs)
      link.heal()
      await stage.pass(lookMs)
      const [row] = stage.world.serverDisk.read('SELECT stock FROM items WHERE id = ?', lamp)
      if (row?.['stock'] !== 11)
        throw new BrokenPromise('liveness', `nothing was sent ${lookMs} ms after the network was back`)
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 11 } } },
  },
]
