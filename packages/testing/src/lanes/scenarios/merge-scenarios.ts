import type { LaneClient } from '../lane-schema.ts'
import type { Scenario } from '../run-scenario.ts'
import type { Stage } from '../stage.ts'
import { desk, givenLamp, givenLampAndDesk, lamp, lampValues, sofa, three, two } from './given.ts'

type Act = (db: LaneClient) => Promise<unknown>

/** The first device's work is on the server before the second, which has not seen it, does its own. */
export async function meanwhile(stage: Stage, first: Act, second: Act): Promise<void> {
  stage.offline(1)
  await stage.on(0, 'write first', first)
  await stage.rest()
  await stage.on(1, 'write second', second)
  await stage.online(1)
}

/** Both name the lamp: the second device has a conflict. */
async function givenConflict(stage: Stage): Promise<void> {
  await meanwhile(
    stage,
    (db) => db.items.update(lamp, { name: 'theirs' }),
    (db) => db.items.update(lamp, { name: 'mine' }),
  )
}

/** Settles the conflict a device sees. One that is settled already was settled by the same person before the app died. */
export async function settle(
  db: LaneClient,
  decide: (conflicts: LaneClient['conflicts'], id: string) => Promise<unknown>,
): Promise<void> {
  const [conflict] = await db.conflicts.list()
  if (!conflict) throw new Error('there is no conflict to settle')
  await decide(db.conflicts, conflict.id)
}

async function deadLetter(db: LaneClient): Promise<string | undefined> {
  const [letter] = await db.deadLetters.list()
  return letter?.id
}

/** The second device takes the code of the first, and counts two in the same transaction: it is refused as a whole. */
const givenRefusedCount = (stage: Stage): Promise<void> =>
  meanwhile(
    stage,
    (db) => db.codes.insert({ id: lamp, site: 't0a', code: 'A' }),
    (db) =>
      db.transaction(async (tx) => {
        await tx.codes.insert({ id: desk, site: 't0a', code: 'A' })
        await tx.items.increment(lamp, { stock: 2 })
      }),
  )

/** What two devices do at the same time. */
export const mergeScenarios: readonly Scenario[] = [
  {
    name: 'increment on two devices',
    devices: two,
    given: givenLamp,
    act: (stage) =>
      meanwhile(
        stage,
        (db) => db.items.increment(lamp, { stock: 2 }),
        (db) => db.items.increment(lamp, { stock: -5 }),
      ),
    expected: { items: { [lamp]: { ...lampValues, stock: 7 } } },
  },
  {
    name: 'paragraph merge',
    devices: two,
    given: givenLamp,
    act: (stage) =>
      meanwhile(
        stage,
        (db) => db.items.update(lamp, { notes: 'one\n\nTWO' }),
        (db) => db.items.update(lamp, { notes: 'ONE\n\ntwo' }),
      ),
    expected: { items: { [lamp]: { ...lampValues, notes: 'ONE\n\nTWO' } } },
  },
  {
    name: 'latest, largest and set members',
    devices: two,
    given: givenLamp,
    act: (stage) =>
      meanwhile(
        stage,
        (db) => db.items.update(lamp, { place: 'first', best: 9, tags: ['old', 'x'] }),
        (db) => db.items.update(lamp, { place: 'second', best: 5, tags: ['y'] }),
      ),
    expected: { items: { [lamp]: { ...lampValues, place: 'second', best: 9, tags: ['x', 'y'] } } },
  },
  {
    name: 'different fields of one record',
    devices: two,
    given: givenLamp,
    act: (stage) =>
      meanwhile(
        stage,
        (db) => db.items.update(lamp, { name: 'named' }),
        (db) => db.items.update(lamp, { place: 'placed' }),
      ),
    expected: { items: { [lamp]: { ...lampValues, name: 'named', place: 'placed' } } },
  },
  {
    name: 'conflict kept mine',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await givenConflict(stage)
      await stage.on(1, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepMine(id)))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'mine' } } },
  },
  {
    name: 'conflict kept theirs',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await givenConflict(stage)
      await stage.on(1, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepTheirs(id)))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'theirs' } } },
  },
  {
    name: 'conflict merged by a person',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await givenConflict(stage)
      await stage.on(1, 'settle', (db) =>
        settle(db, (conflicts, id) => conflicts.merge(id, { name: 'ours' })),
      )
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'ours' } } },
  },
  {
    name: 'conflict kept both',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await givenConflict(stage)
      await stage.on(1, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepBoth(id)))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'theirs' }, '?': { name: 'mine' } } },
  },
  {
    name: 'conflict settled on another device',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await givenConflict(stage)
      await stage.on(0, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepMine(id)))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'mine' } } },
  },
  {
    name: 'edits held behind a conflict',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await givenConflict(stage)
      await stage.on(1, 'update', (db) => db.items.update(lamp, { name: 'mine, later' }))
      await stage.on(1, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.rest()
      await stage.on(1, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepMine(id)))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'mine, later', stock: 11 } } },
  },
  {
    name: 'conflict over a group',
    devices: two,
    given: givenLampAndDesk,
    act: async (stage) => {
      await meanwhile(
        stage,
        (db) => db.items.update(lamp, { name: 'theirs' }),
        (db) =>
          db.transaction(async (tx) => {
            await tx.items.update(lamp, { name: 'mine' })
            await tx.items.update(desk, { name: 'with it' })
            await tx.items.increment(desk, { stock: 1 })
          }),
      )
      await stage.on(1, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepMine(id)))
      await stage.rest()
    },
    expected: { items: { [lamp]: { name: 'mine' }, [desk]: { name: 'with it', stock: 2 } } },
  },
  {
    name: 'delete against an edit, the edit kept',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await meanwhile(
        stage,
        (db) => db.items.delete(lamp),
        (db) => db.items.update(lamp, { name: 'still here' }),
      )
      await stage.on(1, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepMine(id)))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'still here' } } },
  },
  {
    name: 'edit against a delete, the delete kept',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await meanwhile(
        stage,
        (db) => db.items.update(lamp, { name: 'still here' }),
        (db) => db.items.delete(lamp),
      )
      await stage.on(1, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepMine(id)))
      await stage.rest()
    },
    expected: {},
  },
  {
    name: 'counter on a deleted record',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await meanwhile(
        stage,
        (db) => db.items.delete(lamp),
        (db) => db.items.increment(lamp, { stock: 5 }),
      )
      await stage.on(1, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepTheirs(id)))
      await stage.rest()
    },
    expected: {},
  },
  {
    name: 'delete against an edit where edits win',
    devices: two,
    given: async (stage) => {
      await stage.on(0, 'insert', (db) => db.kept.insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 1 }))
      await stage.rest()
    },
    act: (stage) =>
      meanwhile(
        stage,
        (db) => db.kept.delete(lamp),
        (db) => db.kept.update(lamp, { name: 'still here' }),
      ),
    expected: { kept: { [lamp]: { name: 'still here', stock: 1 } } },
  },
  {
    name: 'delete against an edit where deletes win',
    devices: two,
    given: async (stage) => {
      await stage.on(0, 'insert', (db) => db.gone.insert({ id: lamp, site: 't0a', name: 'Lamp', stock: 1 }))
      await stage.rest()
    },
    act: (stage) =>
      meanwhile(
        stage,
        (db) => db.gone.update(lamp, { name: 'still here' }),
        (db) => db.gone.delete(lamp),
      ),
    expected: {},
  },
  {
    name: 'delete on both devices',
    devices: two,
    given: givenLamp,
    act: (stage) =>
      meanwhile(
        stage,
        (db) => db.items.delete(lamp),
        (db) => db.items.delete(lamp),
      ),
    expected: {},
  },
  {
    name: 'unique clash renamed',
    devices: two,
    act: (stage) =>
      meanwhile(
        stage,
        (db) => db.labels.insert({ id: lamp, site: 't0a', code: 'Lamp' }),
        (db) => db.labels.insert({ id: desk, site: 't0a', code: 'LAMP' }),
      ),
    expected: { labels: { [lamp]: { code: 'Lamp' }, [desk]: { code: 'LAMP (2)' } } },
  },
  {
    name: 'unique clash asked about',
    devices: two,
    act: async (stage) => {
      await meanwhile(
        stage,
        (db) => db.seats.insert({ id: lamp, site: 't0a', code: '7' }),
        (db) => db.seats.insert({ id: desk, site: 't0a', code: '7' }),
      )
      await stage.on(1, 'settle', (db) => settle(db, (conflicts, id) => conflicts.merge(id, { code: '8' })))
      await stage.rest()
    },
    expected: { seats: { [lamp]: { code: '7' }, [desk]: { code: '8' } } },
  },
  {
    name: 'dead letter edited and retried',
    devices: two,
    act: async (stage) => {
      await meanwhile(
        stage,
        (db) => db.codes.insert({ id: lamp, site: 't0a', code: 'A' }),
        (db) => db.codes.insert({ id: desk, site: 't0a', code: 'A' }),
      )
      await stage.on(1, 'repair edit', async (db) => {
        const letter = await deadLetter(db)
        if (letter !== undefined) await db.deadLetters.editAndRetry(letter, { code: 'B' })
      })
      await stage.rest()
    },
    expected: { codes: { [lamp]: { code: 'A' }, [desk]: { code: 'B' } } },
  },
  {
    name: 'dead letter discarded, and what stood on it',
    devices: two,
    act: async (stage) => {
      await meanwhile(
        stage,
        (db) => db.codes.insert({ id: lamp, site: 't0a', code: 'A' }),
        (db) => db.codes.insert({ id: desk, site: 't0a', code: 'A' }),
      )
      await stage.on(1, 'update code', (db) => db.codes.update(desk, { code: 'C' }))
      await stage.rest()
      await stage.discard(1)
      await stage.rest()
    },
    expected: { codes: { [lamp]: { code: 'A' } } },
  },
  {
    name: 'group refused as a whole, then retried',
    devices: two,
    act: async (stage) => {
      await meanwhile(
        stage,
        (db) => db.codes.insert({ id: lamp, site: 't0a', code: 'A' }),
        (db) =>
          db.transaction(async (tx) => {
            await tx.codes.insert({ id: desk, site: 't0a', code: 'A' })
            await tx.items.insert({ id: sofa, site: 't0a', name: 'with it' })
          }),
      )
      await stage.on(0, 'make room', (db) => db.codes.update(lamp, { code: 'Z' }))
      await stage.rest()
      await stage.on(1, 'repair retry', async (db) => {
        const letter = await deadLetter(db)
        if (letter !== undefined) await db.deadLetters.retry(letter)
      })
      await stage.rest()
    },
    expected: {
      codes: { [lamp]: { code: 'Z' }, [desk]: { code: 'A' } },
      items: { [sofa]: { name: 'with it' } },
    },
  },
  {
    name: 'refused count edited in a form, while others count',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      await givenRefusedCount(stage)
      let shown = 0
      await stage.on(1, 'open form', async (db) => {
        shown = (await db.items.get(lamp))?.stock ?? 0
      })
      await stage.on(0, 'make room', (db) => db.codes.update(lamp, { code: 'Z' }))
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 5 }))
      await stage.rest()
      await stage.on(1, 'repair edit', async (db) => {
        const [letter] = await db.deadLetters.list()
        const count = letter?.mutations.find(({ collection }) => collection === 'items')
        if (count) await db.deadLetters.editAndRetry(count.id, { stock: shown + 1 }, { stock: shown })
      })
      await stage.rest()
    },
    expected: {
      codes: { [lamp]: { code: 'Z' }, [desk]: { code: 'A' } },
      items: { [lamp]: { ...lampValues, stock: 18 } },
    },
  },
  {
    name: 'three devices on one record',
    devices: three,
    given: givenLamp,
    act: async (stage) => {
      stage.offline(1, 2)
      await stage.on(0, 'count', (db) => db.items.increment(lamp, { stock: 1 }))
      await stage.rest()
      await stage.on(1, 'tag', (db) => db.items.add(lamp, { tags: ['new'] }))
      await stage.online(1)
      await stage.on(2, 'write', (db) => db.items.update(lamp, { stock: 20, notes: 'one\n\ntwo\n\nthree' }))
      await stage.online(2)
    },
    expected: {
      items: { [lamp]: { ...lampValues, stock: 21, tags: ['new', 'old'], notes: 'one\n\ntwo\n\nthree' } },
    },
  },
]
