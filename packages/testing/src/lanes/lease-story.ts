import type { LaneClient } from './lane-schema.ts'
import type { Story, StoryStep } from './interleave.ts'
import { lamp } from './scenarios/given.ts'
import type { Stage } from './stage.ts'
import { type Tab, TwoTabs } from './two-tabs.ts'

const tabsByStage = new WeakMap<Stage, TwoTabs>()

function tabOf(stage: Stage, index: number): Tab {
  const tab = tabsByStage.get(stage)?.tabs[index]
  if (!tab) throw new Error(`there is no tab ${index}`)
  return tab
}

const counts = (index: number): StoryStep => ({
  name: 'count',
  touches: ['d0', 'd1'],
  isPossible: (stage) => !tabOf(stage, index).life.isSuspended,
  act: (stage) => write(stage, tabOf(stage, index).db),
})

function write({ world }: Stage, db: LaneClient): void {
  db.items.increment(lamp, { stock: 1 }).catch((error: unknown) => world.onDefect(error))
}

/** Longer than a lease is good, so that the other tab takes over in the middle of whatever this one was at. */
const frozenMs = 12_000

/** Two windows on one file: one is frozen for longer than its lease, at any moment, and both write. */
export const leaseStory: Story & { readonly leastOrders: number } = {
  name: 'lease handed over between two windows on one file',
  leastOrders: 50,
  tail: 3,
  devices: [],
  checkers: [],
  given: async (stage) => {
    const tabs = await TwoTabs.open(stage.world)
    tabsByStage.set(stage, tabs)
    const { db } = tabOf(stage, 0)
    db.items.insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 0 }).catch(stage.world.onDefect)
    await stage.pass(10_000)
  },
  isQuick: ({ kind }) => kind === 'poke',
  actors: {
    ann: [counts(0)],
    ben: [counts(1)],
    system: [
      {
        name: 'freeze the first window',
        touches: ['d0', 'd1'],
        passMs: frozenMs,
        act: (stage) => tabOf(stage, 0).life.suspend(),
      },
      { name: 'thaw it', touches: ['d0', 'd1'], act: (stage) => tabOf(stage, 0).life.resume() },
    ],
  },
  finish: async (stage) => (await tabsByStage.get(stage)?.finish(2)) ?? ['the windows were never opened'],
  dispose: async (stage) => tabsByStage.get(stage)?.dispose(),
  expected: [{ items: { [lamp]: { name: 'Lamp', stock: 2 } } }],
}
