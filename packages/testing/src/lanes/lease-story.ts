import { monotone } from '../check/monotone.ts'
import type { Story, StoryStep } from './interleave.ts'
import { lamp, one } from './scenarios/given.ts'
import type { Stage } from './stage.ts'
import { type Tab, TwoTabs } from './two-tabs.ts'

type LeaseStory = Story & { readonly leastOrders: number }

const tabsByStage = new WeakMap<Stage, TwoTabs>()

function tabsOf(stage: Stage): TwoTabs {
  const tabs = tabsByStage.get(stage)
  if (!tabs) throw new Error('the windows were never opened')
  return tabs
}

function tabOf(stage: Stage, index: number): Tab {
  const tab = tabsOf(stage).tabs[index]
  if (!tab) throw new Error(`there is no tab ${index}`)
  return tab
}

/** Both windows, since they share a file. */
const touches: readonly string[] = ['w0', 'w1']

const counts = (index: number): StoryStep => ({
  name: 'count',
  touches,
  isPossible: (stage) => !tabOf(stage, index).life.isSuspended,
  act: (stage) => {
    const { world } = stage
    tabOf(stage, index)
      .db.items.increment(lamp, { stock: 1 })
      .catch((error: unknown) => world.onDefect(error))
  },
})

/** Longer than a lease is good, so that the other window takes over in the middle of whatever this one was at. */
const frozenMs = 12_000

/** A cycle of a window that nobody disturbs takes less, virtual ms. */
const cycleMs = 2_000

const freezes: StoryStep = {
  name: 'freeze the first window',
  touches,
  passMs: frozenMs,
  act: (stage) => tabOf(stage, 0).life.suspend(),
}

const thaws: StoryStep = {
  name: 'thaw it',
  touches,
  act: (stage) => tabOf(stage, 0).life.resume(),
}

const goesOnline = (index: number): StoryStep => ({
  name: `window ${index} has a network`,
  touches,
  act: (stage) => tabsOf(stage).goOnline(index),
})

/** What windows do is seen on no simulated disk: only their cursor is told. */
const watched: Pick<Story, 'checkers' | 'dispose'> = {
  checkers: [monotone],
  dispose: async (stage) => tabsByStage.get(stage)?.dispose(),
}

/** Two windows on one file: one is frozen for longer than its lease, at any moment, and both write. */
const handedOver: LeaseStory = {
  ...watched,
  name: 'lease handed over between two windows on one file',
  leastOrders: 50,
  tail: 3,
  devices: [],
  given: async (stage) => {
    tabsByStage.set(stage, await TwoTabs.open(stage.world))
    const { db } = tabOf(stage, 0)
    db.items.insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 0 }).catch(stage.world.onDefect)
    await stage.pass(10_000)
  },
  isQuick: ({ kind }) => kind === 'poke',
  actors: { ann: [counts(0)], ben: [counts(1)], system: [freezes, thaws] },
  finish: (stage) => tabsOf(stage).finish(2),
  expected: [{ items: { [lamp]: { name: 'Lamp', stock: 2 } } }],
}

/**
 * Two windows on one file that holds nothing yet: one asks for everything and is frozen before it hears the answer; the
 * other fetches everything in its place, and writes. What the first one hears late is from before that.
 */
const heardLate: LeaseStory = {
  ...watched,
  name: 'first snapshot of two windows, heard late by one of them',
  leastOrders: 4,
  tail: 3,
  devices: one,
  given: async (stage) => {
    await stage.on(0, 'insert', (db) => db.items.insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 0 }))
    await stage.rest()
    tabsByStage.set(stage, await TwoTabs.open(stage.world, { isOnline: false }))
  },
  isQuick: ({ kind, sender }) => kind !== 'answer' || sender.name !== 'w0',
  actors: {
    people: [
      goesOnline(0),
      freezes,
      { ...goesOnline(1), passMs: cycleMs },
      { ...counts(1), passMs: cycleMs },
      thaws,
    ],
  },
  finish: (stage) => tabsOf(stage).finish(1),
  expected: [{ items: { [lamp]: { name: 'Lamp', stock: 1 } } }],
}

/** The same later on: the first window asks for what is new, and hears it when the other has read and written more. */
const pageHeardLate: LeaseStory = {
  ...heardLate,
  name: 'page of two windows, heard late by one of them',
  leastOrders: 4,
  given: async (stage) => {
    await heardLate.given?.(stage)
    tabsOf(stage).goOnline(0)
    await stage.pass(10_000)
  },
  actors: {
    people: [
      {
        name: 'another device counts',
        touches: ['d0'],
        passMs: cycleMs,
        act: (stage) => stage.begin(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }), []),
      },
      freezes,
      { ...goesOnline(1), passMs: cycleMs },
      { ...counts(1), passMs: cycleMs },
      thaws,
    ],
  },
  finish: (stage) => tabsOf(stage).finish(2),
  expected: [{ items: { [lamp]: { name: 'Lamp', stock: 2 } } }],
}

/** Windows that share a file, and with it the lease of its engine. */
export const leaseStories: readonly LeaseStory[] = [handedOver, heardLate, pageHeardLate]
