import type { Scenario } from '../run-scenario.ts'
import type { Stage } from '../stage.ts'
import { desk, givenLamp, lamp, lampValues, one, three, two } from './given.ts'
import { meanwhile, settle } from './merge-scenarios.ts'

/** How long the server of a fleet fails, virtual ms. */
const outageMs = 120_000

/** From then on the waits of a fleet are long enough that whoever draws them meets few others, virtual ms. */
const spreadMs = 10_000

/** Devices that come within this time come together, virtual ms. */
const togetherMs = 250

/** Writes while a list opens: enough that some come before its first read, and some after. */
const burst = 20

const fleet: Scenario['devices'] = Array.from({ length: 10 }, () => ['site:t0a'])

interface Knock {
  readonly atMs: number
  readonly device: string
}

/** Everybody writes at the moment at which the server begins to fail, and tries again until it no longer does. */
async function fallTogether(stage: Stage): Promise<void> {
  const { world } = stage
  const knocks: Knock[] = []
  const fromMs = world.scheduler.nowMs + spreadMs
  const mend = stage.inFront(({ sender }) => {
    const { nowMs } = world.scheduler
    if (nowMs >= fromMs) knocks.push({ atMs: nowMs, device: sender.name })
    return new Response('upstream connect error', { status: 503 })
  })
  for (const index of fleet.keys())
    stage.begin(index, 'count', (db) => db.items.increment(lamp, { stock: 1 }), [])
  await stage.pass(outageMs)
  mend()
  world.observe({
    kind: 'measured',
    atMs: world.scheduler.nowMs,
    what: `devices of ${fleet.length} that came back within ${togetherMs} ms`,
    value: largestCrowd(knocks),
    limit: fleet.length / 2,
  })
  await stage.rest()
}

/** The most devices that came together. */
function largestCrowd(knocks: readonly Knock[]): number {
  const crowds = knocks.map(
    ({ atMs }, first) =>
      new Set(
        knocks
          .slice(first)
          .filter((knock) => knock.atMs < atMs + togetherMs)
          .map(({ device }) => device),
      ).size,
  )
  return Math.max(0, ...crowds)
}

/** What is played without any fault but its own. */
export const plainScenarios: readonly Scenario[] = [
  {
    name: 'ten devices whose server fails together',
    devices: fleet,
    given: givenLamp,
    act: fallTogether,
    expected: { items: { [lamp]: { ...lampValues, stock: 20 } } },
  },
  {
    name: 'lists opened while somebody writes',
    devices: one,
    given: givenLamp,
    act: async (stage) => {
      stage.offline(0)
      await stage.on(0, 'open lists and write', async (db) => {
        stage.openLists(0)
        const writes: Promise<unknown>[] = []
        for (let count = 0; count < burst; count++) {
          writes.push(db.items.increment(lamp, { stock: 1 }))
          // Nobody waits for the write, but the lists get a step further.
          await Promise.resolve()
        }
        await Promise.all(writes)
      })
      // What comes of the sync would have the lists read again.
      await stage.rest()
      await stage.online(0)
    },
    expected: { items: { [lamp]: { ...lampValues, stock: lampValues.stock + burst } } },
  },
  {
    name: 'a write that a full disk refuses halfway among others that share its commit',
    devices: two,
    given: givenLamp,
    act: async (stage) => {
      const { strike } = stage.world
      let entries = 0
      const isThird = (sql: string): boolean => sql.startsWith('INSERT INTO _outbox') && ++entries === 3
      stage.world.strike = {
        ...strike,
        device: (device, sql) => (isThird(sql) ? 'full' : strike.device?.(device, sql)),
      }
      await stage.on(0, 'write at once', async (db) => {
        const count = (): Promise<unknown> => db.items.increment(lamp, { stock: 1 })
        // The row is written and its entry is not: it goes again, and nothing else.
        const refused = (): Promise<unknown> => db.items.insert({ id: desk, site: 't0a', name: 'Desk' })
        const settled = await Promise.allSettled([count(), count(), refused(), count()])
        const ends = settled.map(({ status }) => status).join()
        if (ends !== 'fulfilled,fulfilled,rejected,fulfilled') throw new Error(`the writes ended as ${ends}`)
      })
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, stock: 13 } } },
  },
  {
    name: 'a decision that meets another dispute',
    devices: three,
    given: givenLamp,
    act: async (stage) => {
      await meanwhile(
        stage,
        (db) => db.items.update(lamp, { name: 'theirs' }),
        (db) => db.items.update(lamp, { name: 'mine', tags: ['old', 'x'] }),
      )
      await stage.on(1, 'take the tag out', (db) => db.items.remove(lamp, { tags: ['x'] }))
      await stage.rest()
      stage.offline(2)
      await stage.on(0, 'update', (db) => db.items.update(lamp, { name: 'theirs, later' }))
      await stage.rest()
      await stage.on(2, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepMine(id)))
      await stage.online(2)
      await stage.on(0, 'settle', (db) => settle(db, (conflicts, id) => conflicts.keepMine(id)))
      await stage.rest()
    },
    expected: { items: { [lamp]: { ...lampValues, name: 'mine' } } },
  },
]
