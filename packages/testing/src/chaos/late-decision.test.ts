import { openClient, systemEnvironment } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { createServer, sqliteStore } from '@holdfast/server'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { SeededRandom } from '../seeded-random.ts'
import { auditFiles } from './audit.ts'
import { chaosSchema } from './chaos-schema.ts'
import { openCount, reportOf } from './device-report.ts'
import { type ChaosClient, DeviceWork } from './device-work.ts'
import { Journal } from './journal.ts'

let folder = ''
let first: ChaosClient
let second: ChaosClient
let note = ''
let conflict = ''
let journal: Journal
let close: () => Promise<void>

const pathOf = (name: string): string => join(folder, name)

/** Two devices that see the same open conflict over a note. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-late-'))
  const server = await createServer({
    schema: chaosSchema,
    store: sqliteStore(pathOf('server.db')),
    authenticate: () => ({ id: 'u' }),
    scopes: () => '*',
  })
  const deviceAt = (name: string): Promise<ChaosClient> =>
    openClient({
      schema: chaosSchema,
      storage: sqliteStorage(pathOf(`${name}.db`)),
      server: 'http://server.example',
      auth: name,
      env: { ...systemEnvironment, fetch: (request) => server.fetch(request) },
      sync: { auto: false },
    })
  first = await deviceAt('first')
  second = await deviceAt('second')
  note = await first.notes.insert({ body: 'both saw this' })
  for (const db of [first, second]) await db.sync.now()
  await first.notes.update(note, { body: 'one' })
  await second.notes.update(note, { body: 'two' })
  for (const db of [first, second, first]) await db.sync.now()
  conflict = (await first.conflicts.list())[0]?.id ?? ''
  journal = new Journal(pathOf('second.jsonl'))
  close = async () => {
    for (const each of [first, second, server]) await each.close()
  }
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

const giveUp = (): Promise<void> =>
  new DeviceWork({ db: second, journal, random: new SeededRandom(1), author: 'second' }).settleAll()

test('[SIM-67] a device shows a decision that came second until it is given up, and is not quiet before that', async () => {
  await second.conflicts.keepMine(conflict)
  await first.conflicts.keepTheirs(conflict)
  for (const db of [first, second]) await db.sync.now()
  // What the audit would compare: both are at the version of the server, and do not show the same text.
  expect([(await first.notes.get(note))?.body, (await second.notes.get(note))?.body]).toEqual(['one', 'two'])
  const late = await reportOf(second)
  expect(late).toMatchObject({ unsettled: 0, conflicts: 0, lateDecisions: 1 })
  expect([openCount(await reportOf(first)), openCount(late)]).toEqual([0, 1])
  await giveUp()
  expect(openCount(await reportOf(second))).toBe(0)
  expect((await second.notes.get(note))?.body).toBe('one')
  await close()
})

test('[SIM-66] what was written on a copy and given up with it is no loss, and without anybody’s word it is one', async () => {
  const { copies } = await second.conflicts.keepBoth(conflict)
  const [copy = ''] = copies
  await first.conflicts.keepTheirs(conflict)
  for (const db of [first, second]) await db.sync.now()
  const n = journal.begin({ kind: 'body', note: copy, value: 'd1.1-5' })
  await second.notes.update(copy, { body: 'd1.1-5' })
  journal.done(n)
  const silent = new Journal(pathOf('silent.jsonl'))
  silent.done(silent.begin({ kind: 'body', note: copy, value: 'd1.1-5' }))
  await second.sync.now()
  await giveUp()
  await second.sync.now()
  await close()
  const audit = (name: string): ReturnType<typeof auditFiles> =>
    auditFiles(pathOf('server.db'), [{ name: 'second', path: pathOf('second.db'), journals: [pathOf(name)] }])
  expect(audit('second.jsonl')).toMatchObject({ violations: [], givenUp: 1 })
  expect(audit('silent.jsonl').violations).toEqual([
    expect.stringMatching(/d1\.1-5 of .* was lost without a trace/),
  ])
})
