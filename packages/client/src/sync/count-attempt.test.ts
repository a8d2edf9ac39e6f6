import { limits, SyncError } from '@holdfast/core'
import { expect, test } from 'vitest'

import { givenDevice, givenSchema } from '../local/given-device.ts'
import { cutBatch } from '../outbox/cut-batch.ts'
import { updateEntries } from '../outbox/outbox.ts'
import { countAttempt } from './count-attempt.ts'

test('[SY-11] what an earlier offer stands on has attempts and waits, though its number is a later one', async () => {
  const { database, items } = await givenDevice()
  const id = await items.insert({ name: 'a' })
  await items.update(id, { name: 'b' })
  for (const _ of 'twice')
    await database.write((tx) => cutBatch(tx, givenSchema, { nowMs: 0, maxMutations: 50, maxBytes: 1e6 }))
  const error = new SyncError('RECORD_NOT_FOUND', 'the record is yet to be returned')
  const waitsOf = async (seq: number): Promise<unknown> => {
    const attempt = { nowMs: 1, roll: 0.9, error, retryAfterMs: undefined, limits }
    await database.write((tx) => countAttempt(tx, [seq], attempt))
    return database.all('SELECT attempts, next_attempt_at > 1 AS waits FROM _outbox WHERE seq = ?', [seq])
  }
  await database.write((tx) =>
    tx.run("UPDATE _outbox SET offer = seq, wire = NULL, depends = NULL, status = 'sending'"),
  )
  expect(await waitsOf(2)).toEqual([{ attempts: 0, waits: null }])
  // The one that was written first was given a new number since.
  await database.write((tx) => updateEntries(tx, [1], { set: 'depends = ?', params: ['2'] }))
  expect(await waitsOf(2)).toEqual([{ attempts: 1, waits: 1 }])
  expect(await waitsOf(1)).toEqual([{ attempts: 0, waits: null }])
})
