import { limits } from '@holdfast/core'
import { afterEach, expect, test } from 'vitest'

import { GivenDevice } from '../given-engine.ts'
import { fileAttachments } from './file-attachments.ts'
import { type GivenAttachments, givenAttachments, type Heard, tus } from './given-attachments.ts'
import { givenFile, reports, valueOf } from './given-photos.ts'
import { sweepAttachments } from './sweep-attachments.ts'

let given: GivenAttachments

afterEach(() => given.close())

const file = givenFile(10_000)

/** Ann may not see the report, and has an edit in escrow that gives it the photo; its row names `photo`. */
async function givenEscrowed(photo: ReturnType<typeof valueOf> | null): Promise<string> {
  given = await givenAttachments()
  const record = await given.report({ photo })
  given.grants.set('ann', ['site:2']).set('eve', ['site:2'])
  const ann = givenDevice('ann', ['site:2'])
  const edit = ann.update(
    { collection: reports, record },
    { photo: valueOf(file) },
    { base: { photo: null } },
  )
  expect(await ann.pushOne({ ...edit, escrow: true })).toMatchObject({ error: { code: 'ESCROWED' } })
  return record
}

function givenDevice(user: string, grants: GivenDevice['grants']): GivenDevice {
  const { engine } = given.sync
  return new GivenDevice({ engine, user, grants, now: () => Date.now(), version: 1 })
}

async function decide(kind: 'accept' | 'refuse'): Promise<void> {
  const { caller } = givenDevice('root', '*')
  const [edit] = (await given.sync.engine.escrow(caller, {})).edits
  await given.sync.engine.decideEscrow(
    caller,
    edit?.id ?? '',
    kind === 'accept' ? { kind } : { kind, reason: null },
  )
}

/** What an answer gives away. */
const told = ({ status, headers, code }: Heard): unknown => [status, headers.get('upload-offset'), code]

const read = (record: string, user: string): Promise<Heard> =>
  given.ask(`GET /attachments/${reports}/${record}/${file.hash}`, { user })

async function sweep(day: number): Promise<number> {
  const nowMs = Date.parse('2026-11-20T10:00:00.000Z') + day * 86_400_000
  const { removed } = await sweepAttachments({
    engine: given.sync.engine,
    attachments: { store: fileAttachments(given.folder), maxBytes: 1, keepDays: 30 },
    nowMs,
    erasedByMs: nowMs,
    limits,
    isClosed: () => false,
  })
  return removed
}

test('[AT-41] whose edit is in escrow sends what it names and reads nothing of it; nobody else without sight sends it', async () => {
  const record = await givenEscrowed(null)
  expect(told(await given.create(record, file))).toEqual([201, '0', undefined])
  expect(told(await given.patch(record, file, { from: 0, to: 4000 }))).toEqual([204, '4000', undefined])
  expect(told(await given.patch(record, file, { from: 4000 }))).toEqual([204, '10000', undefined])
  expect((await read(record, 'ann')).code).toBe('ATTACHMENT_MISSING')
  expect((await given.create(record, file, { user: 'eve' })).code).toBe('ATTACHMENT_MISSING')
  expect((await given.create(record, givenFile(10_000, 2))).code).toBe('ATTACHMENT_MISSING')
  expect((await given.create(await given.report(), file)).code).toBe('ATTACHMENT_MISSING')
  await decide('accept')
  expect((await read(record, 'root')).bytes.equals(file.bytes)).toBe(true)
})

test('[AT-41] an edit in escrow is told nothing of what others have stored for its record', async () => {
  const record = await givenEscrowed(valueOf(file))
  await given.patch(record, file, { from: 0, user: 'root' })
  const head = await given.ask(`HEAD ${given.at(record, file)}`, { headers: tus })
  expect(told(head)).toEqual([200, '0', undefined])
  expect(told(await given.create(record, file))).toEqual([201, '0', undefined])
  expect(told(await given.patch(record, file, { from: 0 }))).toEqual([204, '10000', undefined])
  expect((await read(record, 'root')).bytes.equals(file.bytes)).toBe(true)
})

test('[AT-41] what an edit that was refused names is not taken any more, and goes as what nothing names', async () => {
  const record = await givenEscrowed(null)
  await given.patch(record, file, { from: 0 })
  expect([await sweep(1), await sweep(50)]).toEqual([0, 0])
  await decide('refuse')
  expect((await given.create(record, file)).code).toBe('ATTACHMENT_MISSING')
  expect([await sweep(51), await sweep(82)]).toEqual([0, 1])
})
