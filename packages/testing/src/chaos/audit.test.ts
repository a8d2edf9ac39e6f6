import { openClient, systemEnvironment } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createServer, sqliteStore } from '@holdfast/server'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

import { SeededRandom } from '../seeded-random.ts'
import { type AuditReport, auditFiles } from './audit.ts'
import { chaosSchema } from './chaos-schema.ts'
import { DeviceWork, halvesOf } from './device-work.ts'
import { type Deed, Journal, type JournalEntry, readJournal } from './journal.ts'

let folder = ''
let serverPath = ''
let devicePath = ''
let journalPath = ''
/** The notebook of the honest run. */
let entries: readonly JournalEntry[]

/** A device that worked alone, and whose work arrived. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-audit-'))
  const store = join(folder, 'honest-server.db')
  const server = await createServer({
    schema: chaosSchema,
    store: sqliteStore(store),
    authenticate: () => ({ id: 'd0' }),
    scopes: () => '*',
  })
  const db = await openClient({
    schema: chaosSchema,
    storage: sqliteStorage(join(folder, 'honest-device.db')),
    server: 'http://server.example',
    auth: 'd0',
    env: { ...systemEnvironment, fetch: (request) => server.fetch(request) },
    sync: { auto: false },
  })
  journalPath = join(folder, 'd0.0.jsonl')
  const work = new DeviceWork({
    db,
    journal: new Journal(journalPath),
    random: new SeededRandom(3),
    author: 'd0.0',
  })
  for (let count = 0; count < 150; count++) {
    await work.next()
    if (count % 20 === 0) await db.sync.now()
  }
  expect((await db.sync.now()).status).toBe('done')
  await db.close()
  await server.close()
  entries = readJournal(journalPath).entries
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

let copies = 0

/** Each test has files of its own to spoil. */
beforeEach(() => {
  copies += 1
  serverPath = join(folder, `server-${copies}.db`)
  devicePath = join(folder, `device-${copies}.db`)
  for (const [from, to] of [
    ['honest-server.db', serverPath],
    ['honest-device.db', devicePath],
  ] as const) {
    const file = new DatabaseSync(join(folder, from))
    file.prepare('VACUUM INTO ?').run(to)
    file.close()
  }
})

function audit(extraJournal?: string): AuditReport {
  const journals = extraJournal === undefined ? [journalPath] : [journalPath, extraJournal]
  return auditFiles(serverPath, [{ name: 'd0', path: devicePath, journals }])
}

/** A notebook that says more than was done. */
function givenTold(deed: Deed, fate: 'durable' | 'unknown' | 'refused'): string {
  const path = join(folder, `told-${copies}-${fate}.jsonl`)
  const journal = new Journal(path)
  const n = journal.begin(deed)
  if (fate === 'durable') journal.done(n)
  if (fate === 'refused') journal.refused(n, 'STORE_FULL')
  journal.close()
  return path
}

function spoil(path: string, sql: string, ...params: string[]): void {
  const file = new DatabaseSync(path)
  // What stands guard over the tables is not what is tested here.
  for (const { name } of file.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all())
    file.exec(`DROP TRIGGER "${String(name)}"`)
  expect(file.prepare(sql).run(...params).changes).toBeGreaterThan(0)
  file.close()
}

function deedOf<Kind extends Deed['kind']>(kind: Kind): Extract<Deed, { kind: Kind }> {
  const found = entries.find(({ deed, fate }) => deed.kind === kind && fate === 'durable')?.deed
  if (found === undefined) throw new Error(`the honest run has no ${kind}`)
  // Found by that kind.
  return found as Extract<Deed, { kind: Kind }>
}

/** A pair that is there in the end. */
function livePair(): string {
  const gone = new Set(entries.flatMap(({ deed }) => (deed.kind === 'unpair' ? [deed.pair] : [])))
  const live = entries.find(({ deed }) => deed.kind === 'pair' && !gone.has(deed.pair))?.deed
  if (live?.kind !== 'pair') throw new Error('the honest run has no pair')
  return live.pair
}

test('[SIM-66] an honest run passes the audit, also where a process died before it heard', () => {
  expect(audit().violations).toEqual([])
  expect(audit().writes.durable).toBeGreaterThan(100)
  const { item } = deedOf('count')
  expect(audit(givenTold({ kind: 'count', item, amount: 77 }, 'unknown')).violations).toEqual([])
})

test('[SIM-65] a notebook tells what was acknowledged, refused, or never heard of, and a torn read', () => {
  const path = join(folder, 'notebook.jsonl')
  writeFileSync(path, '')
  const journal = new Journal(path)
  const deeds = ['a', 'b', 'c'].map((note): Deed => ({ kind: 'erase', note }))
  const numbers = deeds.map((deed) => journal.begin(deed))
  journal.done(numbers[0] ?? -1)
  journal.refused(numbers[1] ?? -1, 'STORE_FULL')
  journal.torn('pair 7: 1 halves')
  journal.gaveUp('{"body":"d0.9-4"}')
  journal.close()
  expect(readJournal(path)).toEqual({
    entries: [
      { deed: deeds[0], fate: 'durable', code: null },
      { deed: deeds[1], fate: 'refused', code: 'STORE_FULL' },
      { deed: deeds[2], fate: 'unknown', code: null },
    ],
    torn: ['pair 7: 1 halves'],
    givenUp: ['{"body":"d0.9-4"}'],
  })
})

test('[SIM-66] a count that was lost, doubled, or refused and done all the same is found', () => {
  const { item } = deedOf('count')
  expect(audit(givenTold({ kind: 'count', item, amount: 77 }, 'durable')).violations.join()).toMatch(
    /-77 too much/,
  )
  for (const path of [serverPath, devicePath])
    spoil(path, 'UPDATE items SET stock = stock + 5 WHERE id = ?', item)
  expect(audit().violations).toEqual([expect.stringMatching(/5 too much/)])
  expect(audit(givenTold({ kind: 'count', item, amount: 5 }, 'refused')).violations).toEqual([
    expect.stringMatching(/5 too much/),
  ])
})

test('[SIM-66] a tag that was lost, or that nobody added, is found', () => {
  const { item } = deedOf('tag')
  const told = givenTold({ kind: 'tag', item, tag: 'd0.9-1' }, 'durable')
  expect(audit(told).violations).toEqual([expect.stringMatching(/d0\.9-1 was added and is not there/)])
  for (const path of [serverPath, devicePath])
    spoil(path, "UPDATE items SET tags = json_insert(tags, '$[#]', 'd0.9-2') WHERE id = ?", item)
  expect(audit().violations).toEqual([expect.stringMatching(/nobody added the tag d0\.9-2/)])
})

test('[SIM-66] half of a transaction is found, on the server, on a device and in what a process read', () => {
  const [left] = halvesOf(livePair())
  spoil(serverPath, 'DELETE FROM pairs WHERE id = ?', left)
  const found = audit().violations.join('\n')
  expect(found).toMatch(/server: half of the transaction/)
  expect(found).toMatch(/is torn/)
  spoil(devicePath, 'DELETE FROM pairs WHERE id = ?', left)
  expect(audit().violations.join('\n')).toMatch(/d0: half of the transaction/)
  const path = join(folder, 'torn.jsonl')
  new Journal(path).torn('pair 7')
  expect(audit(path).violations).toContain('d0 read half of a transaction: pair 7')
})

test('[SIM-66] a text that was lost without a trace, and a note that is gone, are found', () => {
  const note = '00000000-0000-4000-8000-000000000001'
  expect(audit(givenTold({ kind: 'note', note, value: 'd0.9-3' }, 'durable')).violations).toEqual([
    expect.stringMatching(/d0\.9-3 of .* was lost without a trace/),
    expect.stringMatching(/was written, never erased, and is not there/),
  ])
})

test('[SIM-66] a mutation that is stuck, one with two effects, and a device unlike its server are found', () => {
  const { item } = deedOf('count')
  spoil(devicePath, "UPDATE items SET label = 'other' WHERE id = ?", item)
  expect(audit().violations).toEqual([expect.stringMatching(/^d0: items has .*other.*, the server /)])
  spoil(
    serverPath,
    `INSERT INTO holdfast_audit (collection, record, version, op, mutation, at, received_at, status, decisions)
     SELECT collection, record, version, op, mutation, at, received_at, status, decisions FROM holdfast_audit
     WHERE record = ? AND mutation IS NOT NULL AND version IS NOT NULL LIMIT 1`,
    item,
  )
  expect(audit().violations.join('\n')).toMatch(/was applied 2 times/)
  spoil(
    devicePath,
    `INSERT INTO _outbox (id, collection, record, op, payload, hash, base_version, at, schema, created_at)
     VALUES ('m1', 'items', ?, 'update', '{}', '', 0, '', 1, '')`,
    item,
  )
  expect(audit().violations.join('\n')).toMatch(/mutation m1 is stuck in the outbox as pending/)
})

test('[SIM-66] a damaged file is found', () => {
  const file = new DatabaseSync(devicePath)
  file.exec(
    "CREATE TABLE damage (a TEXT); CREATE INDEX damage_a ON damage (a); INSERT INTO damage VALUES ('needle')",
  )
  file.close()
  // One bit, in the table only: its index still says what was there.
  const bytes = readFileSync(devicePath)
  bytes[bytes.indexOf('needle')] = 'N'.charCodeAt(0)
  writeFileSync(devicePath, bytes)
  expect(audit().violations.join('\n')).toMatch(/d0: the file is damaged/)
})
