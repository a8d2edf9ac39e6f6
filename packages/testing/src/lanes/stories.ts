import type { LaneClient } from './lane-schema.ts'
import type { Story, StoryStep } from './interleave.ts'
import { leaseStories } from './lease-story.ts'
import { desk, givenLamp, lamp, lampValues, one, two } from './scenarios/given.ts'
import type { Stage } from './stage.ts'

/** A story, and how many orders it has at least: fewer mean that it was not told. */
export interface CountedStory extends Story {
  readonly leastOrders: number
}

function does(
  device: number,
  name: string,
  act: (db: LaneClient) => Promise<unknown>,
  expected: readonly string[] = [],
): StoryStep {
  return {
    name,
    touches: [`d${device}`],
    isPossible: (stage) => stage.world.devices[device]?.client !== undefined,
    act: (stage) => stage.begin(device, name, act, expected),
  }
}

const names = (device: number, name: string): StoryStep =>
  does(device, `name it ${name}`, (db) => db.items.update(lamp, { name }), ['RECORD_NOT_FOUND'])

const counts = (device: number, amount: number): StoryStep =>
  does(device, `count ${amount}`, (db) => db.items.increment(lamp, { stock: amount }), ['RECORD_NOT_FOUND'])

const job: StoryStep = {
  name: 'write beside the server',
  touches: ['server'],
  isPossible: ({ world }) => !world.serverDisk.isInTransaction,
  act: ({ world }) => world.serverDisk.write("UPDATE items SET place = 'by a job'"),
}

const crash = (device: number): StoryStep => ({
  name: `kill the app on d${device}`,
  touches: [`d${device}`],
  act: ({ world }) => {
    const it = world.devices[device]
    it?.stop()
    world.scheduler.after(10, () => void it?.open())
  },
})

const goesOnline = (device: number): StoryStep => ({
  name: `d${device} has a network again`,
  touches: [`d${device}`],
  isPossible: ({ world }) => world.devices[device]?.client !== undefined,
  act: ({ world }) => {
    const it = world.devices[device]
    it?.link.heal()
    it?.client?.sync.setOnline(true)
  },
})

function settles(device: number, how: 'keepMine' | 'keepTheirs'): StoryStep {
  const settle = async (db: LaneClient): Promise<void> => {
    const [conflict] = await db.conflicts.list()
    if (conflict) await db.conflicts[how](conflict.id)
  }
  // Whoever comes second finds it closed, or learns from the server that it was.
  return does(device, how, settle, ['CONFLICT_CLOSED', 'CONFLICT_UNKNOWN'])
}

async function givenConflict(stage: Stage): Promise<void> {
  await givenLamp(stage)
  stage.offline(1)
  await stage.on(0, 'update', (db) => db.items.update(lamp, { name: 'theirs' }))
  await stage.rest()
  await stage.on(1, 'update', (db) => db.items.update(lamp, { name: 'mine' }))
  await stage.online(1)
}

/** Lamp and desk are only ever named together, always the same. */
async function givenTwins(stage: Stage): Promise<void> {
  await stage.on(0, 'insert', (db) =>
    db.transaction(async (tx) => {
      await tx.items.insert({ id: lamp, site: 't0a', name: 'first' })
      await tx.items.insert({ id: desk, site: 't0a', name: 'first' })
    }),
  )
  const others = Array.from({ length: 3 }, (_, index) => ({
    id: `00000000-0000-7000-8000-00000000020${index}`,
    site: 't0a',
    name: 'in between',
  }))
  await stage.on(0, 'insert', (db) => db.items.insertMany(others))
  await stage.rest()
  await stage.reinstall(1, { isOnline: false })
}

const others = Object.fromEntries(
  [0, 1, 2].map((index) => [`00000000-0000-7000-8000-00000000020${index}`, { name: 'in between' }]),
)

function namesBoth(name: string): StoryStep {
  return does(0, `name both ${name}`, (db) =>
    db.transaction(async (tx) => {
      await tx.items.update(lamp, { name })
      await tx.items.update(desk, { name })
    }),
  )
}

function halfSeen({ world }: Stage): string | undefined {
  const disk = world.devices[1]?.disk
  if (!disk || disk.isInTransaction) return undefined
  const seen = disk.read('SELECT name FROM items WHERE id IN (?, ?)', lamp, desk).map((row) => row['name'])
  const isWhole = seen.length === 0 || (seen.length === 2 && seen[0] === seen[1])
  return isWhole ? undefined : `d1 shows half of a transaction: ${seen.join(' and ')}`
}

function deleteAgainstEdit(collection: 'items' | 'kept' | 'gone'): CountedStory {
  return {
    name: `delete against edit in ${collection}`,
    leastOrders: 20,
    tail: 3,
    devices: two,
    given: async (stage) => {
      await stage.on(0, 'insert', (db) =>
        db[collection].insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 1 }),
      )
      await stage.rest()
    },
    isQuick: ({ kind }) => kind === 'poke',
    actors: {
      ann: [does(0, 'delete', (db) => db[collection].delete(lamp), ['RECORD_NOT_FOUND'])],
      ben: [does(1, 'edit', (db) => db[collection].update(lamp, { name: 'edited' }), ['RECORD_NOT_FOUND'])],
    },
    // Who was first, and who decided what, tells which; devices and server must say the same.
    expected: [
      {},
      { [collection]: { [lamp]: { name: 'edited' } } },
      { [collection]: { [lamp]: { name: 'Lamp' } } },
    ],
  }
}

/** The protocols in which order matters most. */
export const stories: readonly CountedStory[] = [
  {
    name: 'edits during push and pull',
    leastOrders: 100,
    tail: 3,
    devices: one,
    given: givenLamp,
    actors: { ann: [names(0, 'a'), names(0, 'b'), counts(0, 1)], job: [job] },
    expected: [{ items: { [lamp]: { ...lampValues, name: 'b', stock: 11, place: 'by a job' } } }],
  },
  {
    name: 'acknowledgement against an edit and a crash',
    leastOrders: 60,
    tail: 3,
    devices: one,
    given: async (stage) => {
      await givenLamp(stage)
      stage.offline(0)
      await stage.on(0, 'update', (db) => db.items.update(lamp, { name: 'a' }))
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.on(0, 'update', (db) => db.items.update(lamp, { notes: 'one' }))
      // The answers bring something that nobody on the device knows of.
      job.act(stage)
    },
    isQuick: ({ kind }) => kind === 'poke',
    actors: { ann: [goesOnline(0), counts(0, 10)], fate: [crash(0)] },
    expected: [
      { items: { [lamp]: { ...lampValues, name: 'a', stock: 21, notes: 'one', place: 'by a job' } } },
    ],
  },
  {
    name: 'flip against pokes and edits',
    leastOrders: 1_500,
    tail: 3,
    devices: two,
    given: async (stage) => {
      await givenLamp(stage)
      stage.offline(1)
      await stage.on(0, 'update', (db) => db.items.update(lamp, { place: 'from d0', stock: 12 }))
      await stage.rest()
      stage.offline(0)
    },
    // Every transaction of the device that catches up waits for its turn.
    slowDisks: ['d1'],
    actors: { ben: [goesOnline(1)], cas: [counts(1, 1), names(1, 'b')] },
    expected: [{ items: { [lamp]: { ...lampValues, name: 'b', stock: 13, place: 'from d0' } } }],
  },
  {
    name: 'two requests whose token is refused',
    leastOrders: 100,
    tail: 3,
    devices: one,
    given: async (stage) => {
      await givenLamp(stage)
      stage.world.expireToken('u0')
    },
    actors: {
      ann: [counts(0, 1)],
      // Who is refused with a fresh token too is told so.
      ben: [does(0, 'ask for the history', (db) => db.history('items', lamp), ['AUTH_REQUIRED'])],
      clock: [{ name: 'end the token', touches: ['server'], act: ({ world }) => world.expireToken('u0') }],
    },
    expected: [{ items: { [lamp]: { ...lampValues, stock: 11 } } }],
  },
  {
    name: 'two devices settle one conflict',
    leastOrders: 20,
    tail: 9,
    devices: two,
    given: givenConflict,
    isQuick: ({ kind }) => kind === 'poke',
    actors: { ann: [settles(0, 'keepTheirs')], ben: [settles(1, 'keepMine')] },
    expected: [
      { items: { [lamp]: { ...lampValues, name: 'mine' } } },
      { items: { [lamp]: { ...lampValues, name: 'theirs' } } },
    ],
  },
  {
    name: 'a group against the pages of a snapshot',
    leastOrders: 100,
    tail: 3,
    devices: two,
    world: { serverLimits: { pageBytes: 300 } },
    given: givenTwins,
    isQuick: ({ kind }) => kind === 'poke',
    actors: { ann: [namesBoth('second'), namesBoth('third')], ben: [goesOnline(1)] },
    probe: halfSeen,
    expected: [{ items: { [lamp]: { name: 'third' }, [desk]: { name: 'third' }, ...others } }],
  },
  {
    name: 'a revoke against push and pull',
    leastOrders: 20,
    tail: 3,
    devices: one,
    given: givenLamp,
    actors: {
      ann: [names(0, 'b'), counts(0, 1)],
      office: [
        {
          name: 'revoke',
          touches: ['server', 'd0'],
          act: ({ world }) => world.grant('u0', ['site:t0b']),
        },
      ],
    },
    // What was sent before the revoke stands, and what was not is refused.
    expected: [
      { items: { [lamp]: { ...lampValues } } },
      { items: { [lamp]: { ...lampValues, name: 'b' } } },
      { items: { [lamp]: { ...lampValues, name: 'b', stock: 11 } } },
    ],
  },
  ...leaseStories,
  deleteAgainstEdit('items'),
  deleteAgainstEdit('kept'),
  deleteAgainstEdit('gone'),
]
