import type { Scenario } from './run-scenario.ts'
import { ids } from './ids.ts'

const { lamp } = ids
const all = ['site:t0a', 'site:t0b']

export const writeScenarios: readonly Scenario[] = [
  {
    name: 'offline create then restart',
    devices: [all],
    act: async (stage) => {
      stage.offline(0)
      await stage.on(0, 'insert', (db) => db.items.insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 3 }))
      await stage.restart(0)
      await stage.online(0)
    },
    expected: { items: { [lamp]: { name: 'Lamp', stock: 3 } } },
  },
]
