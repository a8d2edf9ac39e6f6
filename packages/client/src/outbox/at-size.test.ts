import { limits, type PushResult } from '@holdfast/core'
import { expect, test } from 'vitest'

import { type Counted, countAnew, countedStorage } from '../local/given-counted-driver.ts'
import { type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { RecordsToRebase } from '../apply/records-to-rebase.ts'
import { settleClosedConflicts } from '../apply/settle-outcomes.ts'
import { recordAnswers } from '../sync/record-answers.ts'
import { cutBatch } from './cut-batch.ts'
import { createDeadLetters } from './dead-letters.ts'
import { discardEntries } from './discard-entries.ts'
import type { Offer } from './offer.ts'
import { settle } from './outbox.ts'
import { requeue } from './requeue.ts'
import { returnRetained } from './retained.ts'
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

async function givenLetters(device: GivenDevice): Promise<void> {
  for (let n = 0; n < many; n++) await device.items.insert({ name: `a${n}` })
  await device.database.write((tx) =>
    tx.run("UPDATE _outbox SET offer = seq, status = 'dead', error = 'VALUE_INVALID no'"),
  )
}

test('[OB-23] hundreds of dead letters are listed with a handful of statements, and one is found by itself', async () => {
  const device = await givenCountedDevice()
  await givenLetters(device)
  const [first] = await device.database.all('SELECT id, record FROM _outbox WHERE seq = 1')
  await device.items.update(String(first?.['record']), { name: 'b' })
  const letters = createDeadLetters(device.database, device.parts.context)
  countAnew(device.counted)
  const list = await letters.list()
  expect(list).toHaveLength(many)
  expect(list[0]?.behind).toHaveLength(1)
  expect(list.slice(1).every(({ behind }) => behind.length === 0)).toBe(true)
  expect(device.counted.statements.length).toBeLessThan(10)
  countAnew(device.counted)
  expect(await letters.get(String(first?.['id']))).toEqual(list[0])
  expect(device.counted.rows).toBeLessThan(10)
})

test('[OB-23] who stands on hundreds of letters that are tried again is told in one statement', async () => {
  const device = await givenCountedDevice()
  await givenLetters(device)
  const seqs = Array.from({ length: many }, (_, index) => index + 1)
  countAnew(device.counted)
  await device.database.write((tx) => requeue(tx, { schema: givenSchema }, seqs))
  const namings = device.counted.statements.filter(({ sql }) => sql.includes('after = '))
  expect(namings.length).toBeLessThan(3)
})

test('[OB-23] what hundreds of conflicts held is let go in one statement', async () => {
  const device = await givenCountedDevice()
  for (let n = 0; n < many; n++) await device.items.insert({ name: `a${n}` })
  await device.database.write((tx) =>
    tx.run("UPDATE _outbox SET offer = seq, status = 'held', held_by = 'c' || seq"),
  )
  countAnew(device.counted)
  await device.database.write((tx) => settleClosedConflicts(tx, new RecordsToRebase()))
  expect(device.counted.statements.length).toBeLessThan(20)
  const rest = await device.database.all("SELECT 1 FROM _outbox WHERE status <> 'pending'")
  expect(rest).toEqual([])
})

test('[OB-23] what a restored server lost is looked up span by span', async () => {
  const device = await givenCountedDevice()
  for (let n = 0; n < many; n++) await device.items.insert({ name: `a${n}` })
  await device.database.write(async (tx) => {
    await tx.run("UPDATE _outbox SET offer = seq, status = 'answered', version = 1")
    await settle(
      tx,
      Array.from({ length: many }, (_, index) => index + 1),
    )
  })
  countAnew(device.counted)
  const lost = Array.from({ length: many / 2 }, (_, index) => 2 * index + 1).join(',')
  expect(await device.database.write((tx) => returnRetained(tx, { lost, nowMs: 0 }))).toBe(many / 2)
  const looks = device.counted.statements.filter(({ sql }) => sql.includes('AS span'))
  expect(looks.length).toBeGreaterThan(0)
  for (const { sql, params } of looks) {
    const plan = await device.database.all(`EXPLAIN QUERY PLAN ${sql}`, params)
    // For each row of the table, the spans would be gone through again.
    expect(plan.map(({ detail }) => String(detail))).not.toContainEqual(expect.stringContaining('CORRELATED'))
  }
})

test('[OB-23] of a chain of references that reaches over windows each link is asked for by itself', async () => {
  const device = await givenCountedDevice()
  const links = 1_300
  for (let link = 0; link < links; link++) await device.items.insert({ name: `a${link}` })
  await device.database.write((tx) => tx.run('UPDATE _outbox SET depends = seq - 1 WHERE seq > 1'))
  await device.database.write((tx) =>
    tx.run("UPDATE _outbox SET status = 'held', held_by = 'c' WHERE seq = 1"),
  )
  countAnew(device.counted)
  const cut = { nowMs: 0, maxMutations: 50, maxBytes: 1e6 }
  const offers = await device.database.write((tx) => cutBatch(tx, givenSchema, cut))
  expect(offers).toEqual([])
  const handedOver = device.counted.statements.reduce(
    (sum, { params }) => sum + JSON.stringify(params ?? []).length,
    0,
  )
  expect(handedOver).toBeLessThan(200 * links)
})
