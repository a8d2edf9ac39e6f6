import { limits, type PushResult } from '@holdfast/core'
import { expect, test } from 'vitest'

import { type Counted, countAnew, countedStorage } from '../local/given-counted-driver.ts'
import { type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { recordAnswers } from '../sync/record-answers.ts'
import { discardEntries } from './discard-entries.ts'
import type { Offer } from './offer.ts'
import { moveToEscrow } from './to-escrow.ts'

const many = 300

async function givenCountedDevice(): Promise<GivenDevice & { readonly counted: Counted }> {
  const { storage, counted } = countedStorage()
  return { ...(await givenDevice({ storage })), counted }
}

async function givenEditedRecord(device: GivenDevice): Promise<string> {
  const record = await device.items.insert({ name: 'a' })
  for (let edit = 1; edit < many; edit++) await device.items.update(record, { name: `a${edit}` })
  return record
}

test('[OB-23] of hundreds of edits of one record each is read once when many of them are discarded', async () => {
  const device = await givenCountedDevice()
  await givenEditedRecord(device)
  const everySecond = Array.from({ length: many / 2 - 1 }, (_, index) => 2 * index + 2)
  countAnew(device.counted)
  await device.database.write((tx) => discardEntries(tx, givenSchema, everySecond))
  expect(device.counted.rows).toBeLessThan(8 * many)
  const [late] = await device.database.all('SELECT payload FROM _outbox WHERE seq = ?', [many - 1])
  // It saw what the edit before it had written, which is gone, and sees what that one saw.
  expect(String(late?.['payload'])).toContain(`"base":{"name":"a${many - 4}"}`)
})

test('[OB-23] of hundreds of edits of one record each is read once when its record leaves', async () => {
  const device = await givenCountedDevice()
  const record = await givenEditedRecord(device)
  countAnew(device.counted)
  const context = { schema: givenSchema, env: { now: () => 0 } }
  await device.database.write((tx) => moveToEscrow(tx, context, [{ collection: 'items', record }]))
  expect(device.counted.rows).toBeLessThan(8 * many)
  expect(await device.database.all('SELECT count(*) AS n FROM _outbox WHERE escrow')).toEqual([{ n: many }])
})

/** Answers that put off every offer there is. */
async function putOffAll(device: GivenDevice): Promise<void> {
  const rows = await device.database.all('SELECT seq, id FROM _outbox ORDER BY seq')
  const error = { code: 'RECORD_NOT_FOUND' as const, message: '' }
  const answers = rows.map(({ seq, id }) => ({
    // Of the offer nothing else is looked at.
    offer: { mutation: { id: String(id), group: null }, text: '', seqs: [Number(seq)] } as unknown as Offer,
    result: { id: String(id), status: 'retry', version: null, serverUpdatedAt: null, error } as PushResult,
  }))
  const attempt = { nowMs: 1, roll: 0.5, limits }
  const requeue = { schema: givenSchema, env: { now: () => 1 } }
  await device.database.write((tx) =>
    recordAnswers(tx, answers, { account: null, device: 'd', attempt, requeue }),
  )
}

test('[OB-23] that hundreds of offers of one record are put off is one look at what is undecided', async () => {
  const device = await givenCountedDevice()
  await givenEditedRecord(device)
  await device.database.write((tx) =>
    tx.run("UPDATE _outbox SET offer = seq, status = 'sending', depends = NULL"),
  )
  countAnew(device.counted)
  await putOffAll(device)
  expect(device.counted.rows).toBeLessThan(8 * many)
  expect(await device.database.all('SELECT seq FROM _outbox WHERE attempts > 0')).toEqual([{ seq: 1 }])
})

test('[OB-23] what an offer may stand on is found by its record and by its number', async () => {
  const device = await givenCountedDevice()
  await device.items.insert({ name: 'a' })
  await device.database.write((tx) => tx.run("UPDATE _outbox SET offer = seq, status = 'sending'"))
  countAnew(device.counted)
  await putOffAll(device)
  const looks = device.counted.statements.filter(({ sql }) => sql.includes('_outbox AS other'))
  expect(looks).toHaveLength(1)
  for (const { sql, params } of looks) {
    const plan = await device.database.all(`EXPLAIN QUERY PLAN ${sql}`, params)
    expect(
      plan.map(({ detail }) => detail).filter((detail) => /SCAN (other|_outbox)/.test(String(detail))),
    ).toEqual([])
  }
})
