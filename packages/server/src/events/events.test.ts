import { newUuid } from '@holdfast/core'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { isOnPostgres } from '../given-database.ts'
import { item } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'
import type { RecordEvent } from './event-options.ts'
import { EventNodes, eventually, givenGate, pass } from './given-events.ts'

let nodes: EventNodes
let told: RecordEvent[]
const tell = (event: RecordEvent): void => void told.push(event)

beforeEach(async () => {
  told = []
  nodes = await EventNodes.open()
})
afterEach(() => nodes.close())

test('[EV-1] a handler is told of every version by anybody: what changed, from what to what, who and when', async () => {
  const node = await nodes.start({ onCommit: tell })
  const chair = await node.put('items', item({ name: 'Chair', warehouse: '1' }))
  await node.put('items', { name: 'Stool' }, chair)
  const foreign = newUuid(systemEnvironment())
  await nodes.database.run(`INSERT INTO notes (id, body) VALUES ('${foreign}', 'by another program')`)
  await node.remove('items', chair)
  await eventually(() => expect(told).toHaveLength(4))
  const ofChair = told.filter(({ record }) => record === chair)
  const who = { collection: 'items', record: chair, user: 'ann', device: null }
  expect(ofChair).toMatchObject([
    { ...who, op: 'create', scopes: ['warehouse:1'], before: null, after: { name: 'Chair', warehouse: '1' } },
    { ...who, op: 'update', changed: ['name'], before: { name: 'Chair' }, after: { name: 'Stool' } },
    { ...who, op: 'delete', before: { name: 'Stool', warehouse: '1' }, after: null },
  ])
  expect(ofChair[0]?.changed).toContain('stock')
  const versions = ofChair.map(({ version }) => version)
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b))
  expect(told.find(({ record }) => record === foreign)).toMatchObject({
    collection: 'notes',
    op: 'create',
    user: null,
    scopes: ['global'],
    after: { body: 'by another program' },
  })
})

test('[EV-1] a record that moves to another scope is one event', async () => {
  const node = await nodes.start({ onCommit: tell })
  const record = await node.put('items', item({ warehouse: '1' }))
  await eventually(() => expect(told).toHaveLength(1))
  await node.put('items', { warehouse: '2' }, record)
  await eventually(() => expect(told).toHaveLength(2))
  await pass(60)
  expect(told.map(({ scopes, changed }) => [scopes, changed.includes('warehouse')])).toEqual([
    [['warehouse:1'], true],
    [['warehouse:2'], true],
  ])
})

test('[EV-1, AU-1] what a trigger of the host makes of a row is told of after the row', async () => {
  const node = await nodes.start({ onCommit: tell })
  const shout = `UPDATE notes SET body = body || '!' WHERE id = NEW.id`
  await nodes.database.run({
    sqlite: `CREATE TRIGGER shout AFTER INSERT ON notes BEGIN ${shout}; END`,
    postgres: `CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${shout}; RETURN NULL; END $$;
      CREATE TRIGGER shout AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION shout()`,
  })
  await node.put('notes', { body: 'Hello' })
  await eventually(() => expect(told).toHaveLength(2))
  expect(told.map(({ op, user, after }) => [op, user, after?.['body']])).toEqual([
    ['create', 'ann', 'Hello'],
    ['update', null, 'Hello!'],
  ])
  const [row, trigger] = told
  expect(trigger?.version).toBeGreaterThan(row?.version ?? Number.NaN)
})

test('[EV-1] what was turned down is no event', async () => {
  const node = await nodes.start({ onCommit: tell, authorize: ({ record }) => record !== refused })
  const refused = newUuid(systemEnvironment())
  await expect(node.put('notes', { body: 'no' }, refused)).rejects.toThrow()
  const taken = await node.put('notes', { body: 'yes' })
  await eventually(() => expect(told.map(({ record }) => record)).toEqual([taken]))
})

test('[EV-2] an event keeps its id, and one of another history has another', async () => {
  const record = newUuid(systemEnvironment())
  const first = await nodes.start({ onCommit: tell })
  await nodes.database.run(`UPDATE notes SET body = 'nothing' WHERE id = '${record}'`)
  await first.close()
  await nodes.database.backup()
  let failures = 2
  const second = await nodes.start({
    onCommit: (event) => {
      tell(event)
      if (failures-- > 0) throw new Error('not yet')
    },
  })
  await second.put('notes', { body: 'of a history that is lost' }, record)
  await eventually(() => expect(told).toHaveLength(3))
  await second.close()
  await nodes.database.restore()
  const third = await nodes.start({ onCommit: tell })
  await pass(5)
  await third.put('notes', { body: 'of the one that is left' }, record)
  await eventually(() => expect(told).toHaveLength(4))
  const ids = told.map(({ id }) => id)
  expect(new Set(ids.slice(0, 3)).size).toBe(1)
  expect(ids[3]).not.toBe(ids[0])
})

test('[EV-3] a node that dies between telling and saving: what it told is told again, and nothing is missed', async () => {
  const writer = await nodes.start()
  const dying = await nodes.start({
    onCommit: (event) => {
      tell(event)
      if (told.length < 5) return
      dying.kill()
      return new Promise(() => undefined)
    },
    limits: { eventConcurrency: 1 },
  })
  const all: string[] = []
  for (let round = 0; round < 10; round++) all.push(await writer.put('notes', { body: `${round}` }))
  await eventually(() => expect(told).toHaveLength(5))
  const atDeath = told.splice(0)
  await nodes.start({ onCommit: tell })
  all.push(await writer.put('notes', { body: 'after' }))
  await eventually(() => expect(told.map(({ record }) => record)).toContain(all.at(-1)))
  await pass(50)
  const again = told.map(({ id }) => id)
  expect(again).toContain(atDeath.at(-1)?.id)
  expect(again).toHaveLength(new Set(again).size)
  const everything = new Set([...atDeath, ...told].map(({ record }) => record))
  expect([...everything].sort()).toEqual(all.sort())
})

test('[EV-4] of several nodes one at a time works a handler, whatever their clocks say, and each event comes once', async () => {
  let [running, most] = [0, 0]
  const onCommit = async (event: RecordEvent): Promise<void> => {
    most = Math.max(most, ++running)
    tell(event)
    await pass(5)
    running--
  }
  const limits = { eventLeaseMs: 10_000, eventConcurrency: 1 }
  const started = [
    await nodes.start({ onCommit, limits }),
    await nodes.start({ onCommit, limits, aheadMs: 7_200_000 }),
    await nodes.start({ onCommit, limits, aheadMs: -7_200_000 }),
  ]
  const made: string[] = []
  for (let round = 0; round < 8; round++)
    for (const node of started) made.push(await node.put('notes', { body: `${round}` }))
  await eventually(() => expect(told.length).toBeGreaterThanOrEqual(made.length))
  await pass(100)
  expect(told.map(({ record }) => record).sort()).toEqual(made.sort())
  expect(most).toBe(1)
})

test('[EV-5] a handler that takes long keeps its node, one that stood still is replaced, and saves nothing afterwards', async () => {
  const gate = givenGate()
  // Longer than a crowded machine keeps a process waiting, which cannot keep what it holds meanwhile.
  const limits = { eventLeaseMs: 2_000 }
  let took = 0
  const slow = await nodes.start({
    onCommit: async () => {
      took++
      await gate.opened
    },
    limits,
  })
  const first = await slow.put('notes', { body: 'first' })
  await eventually(() => expect(took).toBe(1))
  const heir = await nodes.start({ onCommit: tell, limits })
  await pass(3_000)
  expect(told).toEqual([])
  slow.suspend()
  await eventually(() => expect(told.map(({ record }) => record)).toEqual([first]))
  const second = await heir.put('notes', { body: 'second' })
  await eventually(() => expect(told.map(({ record }) => record)).toEqual([first, second]))
  gate.open()
  await pass(100)
  const third = await heir.put('notes', { body: 'third' })
  await eventually(() => expect(told.map(({ record }) => record)).toEqual([first, second, third]))
  expect(took).toBe(1)
  slow.kill()
})

test('[EV-6] each handler begins when it is first there, and goes on after a restart where it left off', async () => {
  const others: RecordEvent[] = []
  const first = await nodes.start()
  const before = await first.put('notes', { body: 'before there was a handler' })
  await first.close()
  // What was committed while an older transaction of the cluster was open counts as later than its start on PostgreSQL.
  const toldOf = (events: readonly RecordEvent[]): readonly string[] =>
    events.map(({ record }) => record).filter((record) => !isOnPostgres || record !== before)
  const second = await nodes.start({ onCommit: { mail: tell } })
  const seen = await second.put('notes', { body: 'seen' })
  await eventually(() => expect(toldOf(told)).toEqual([seen]))
  await second.close()
  const third = await nodes.start()
  const missed = await third.put('notes', { body: 'made while nobody listened' })
  await third.close()
  const fourth = await nodes.start({ onCommit: { mail: tell, index: (event) => void others.push(event) } })
  const last = await fourth.put('notes', { body: 'last' })
  await eventually(() => expect(toldOf(told)).toEqual([seen, missed, last]))
  // As above; each of these may be told of to the new handler as well, and `last` must.
  await eventually(() => expect(others.at(-1)?.record).toBe(last))
  expect(isOnPostgres || others.length === 1).toBe(true)
  await fourth.close()
  const fifth = await nodes.start()
  expect(await fifth.sync.events.forget('mail')).toBe(true)
  expect(await fifth.sync.events.forget('mail')).toBe(false)
})

test('[EV-16] closing lets what has begun end and keeps it; what was not begun is told after the next start', async () => {
  const gate = givenGate()
  const node = await nodes.start({
    onCommit: async (event) => {
      tell(event)
      await gate.opened
    },
    limits: { eventConcurrency: 1 },
  })
  const first = await node.put('notes', { body: 'begun' })
  await eventually(() => expect(told).toHaveLength(1))
  const second = await node.put('notes', { body: 'not begun' })
  const closing = node.close()
  await pass(50)
  gate.open()
  await closing
  expect(told).toHaveLength(1)
  await nodes.start({ onCommit: tell })
  await eventually(() => expect(told.map(({ record }) => record)).toEqual([first, second]))
})

test('[EV-18] a consumer that is worked here is not forgotten, and goes on', async () => {
  const node = await nodes.start({ onCommit: { mail: tell } })
  await expect(node.sync.events.forget('mail')).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
  const record = await node.put('notes', { body: 'n' })
  await eventually(() => expect(told.map((event) => event.record)).toContain(record))
})

test('[EV-18] what is collected is what nobody is to be told of any more', async () => {
  const first = await nodes.start({ onCommit: tell })
  await first.close()
  const without = await nodes.start()
  const kept = await without.put('notes', { body: 'kept' })
  const gone = await without.put('orders', { warehouse: '1', item: await without.put('items', item()) })
  await without.remove('orders', gone)
  await without.put('notes', { body: 'later' }, kept)
  await pass(5)
  expect((await without.sync.engine.collectTombstones({ olderThanMs: -1_000 })).collected).toBeGreaterThan(0)
  await without.close()
  await nodes.start({ onCommit: tell })
  const of = (id: string): readonly string[] => told.filter(({ record }) => record === id).map(({ op }) => op)
  await eventually(() => expect(told).toHaveLength(5))
  expect([of(kept), of(gone)]).toEqual([
    ['create', 'update'],
    ['create', 'delete'],
  ])
})

test.runIf(isOnPostgres)(
  '[EV-1] a transaction that commits late is told of late, and not missed',
  async () => {
    const node = await nodes.start({ onCommit: tell })
    const late = newUuid(systemEnvironment())
    const commit = await nodes.database.hold(
      `BEGIN; INSERT INTO notes (id, body) VALUES ('${late}', 'begun first'); SET CONSTRAINTS ALL IMMEDIATE`,
    )
    const early = await node.put('items', item({ warehouse: '1' }))
    await pass(100)
    await commit()
    await eventually(() => expect(told.map(({ record }) => record).sort()).toEqual([early, late].sort()))
  },
)
