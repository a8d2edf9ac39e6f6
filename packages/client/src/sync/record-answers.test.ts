import { limits, type PushResult } from '@holdfast/core'
import { expect, test } from 'vitest'

import { givenDevice, givenSchema } from '../local/given-device.ts'
import { cutBatch } from '../outbox/cut-batch.ts'
import { recordAnswers } from './record-answers.ts'

test('[SY-11] [SY-12] what is put off behind a number of others’ is as never offered with the whole of its transaction', async () => {
  const { database, items, parts } = await givenDevice()
  for (const name of ['a', 'b', 'c', 'd']) await items.insert({ name })
  await database.write((tx) => tx.run("UPDATE _outbox SET group_id = 'g' WHERE seq IN (2, 3)"))
  const offers = await database.write((tx) =>
    cutBatch(tx, givenSchema, { nowMs: 0, maxMutations: 50, maxBytes: 1e6 }),
  )
  const said = ['SEQ_REUSED', 'RECORD_NOT_FOUND', 'DEPENDENCY_FAILED', 'DEPENDENCY_FAILED'] as const
  const answers = offers.map((offer, place) => {
    const status = place === 0 ? 'rejected' : 'retry'
    const error = { code: said[place] ?? '', message: '' }
    // What the server says of a mutation it did not take.
    const result = {
      id: offer.mutation.id,
      status,
      version: null,
      serverUpdatedAt: null,
      error,
    } as PushResult
    return { offer, result }
  })
  const attempt = { nowMs: 1, roll: 0.9, limits }
  const context = { account: 'ann', device: 'D1', attempt, requeue: { schema: givenSchema, env: parts.env } }
  await database.write((tx) => recordAnswers(tx, answers, context))
  expect(await database.all('SELECT seq, status, offer, attempts FROM _outbox ORDER BY seq')).toMatchObject([
    { seq: 1, status: 'held' },
    { seq: 2, status: 'pending', offer: null, attempts: 0 },
    { seq: 3, status: 'pending', offer: null, attempts: 0 },
    { seq: 4, status: 'pending', offer: null, attempts: 0 },
  ])
})
