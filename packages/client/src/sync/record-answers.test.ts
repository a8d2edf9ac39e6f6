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

test('[OB-6] of two decisions each of which refers to what the server has wait for the other, the first goes', async () => {
  const { database, items, lines, parts } = await givenDevice()
  const made = [await items.insert({ name: 'a' }), await items.insert({ name: 'b' })]
  const offers = await database.write((tx) =>
    cutBatch(tx, givenSchema, { nowMs: 0, maxMutations: 50, maxBytes: 1e6 }),
  )
  for (const item of made) await lines.insert({ item })
  await database.write((tx) => tx.run("UPDATE _outbox SET resolves = 'c' || (seq - 2) WHERE seq > 2"))
  const answers = offers.map((offer, place) => {
    const known = { version: null, serverUpdatedAt: null, heldBy: `c${2 - place}` }
    return { offer, result: { id: offer.mutation.id, status: 'held' as const, ...known } }
  })
  const attempt = { nowMs: 1, roll: 0.9, limits }
  const context = { account: 'ann', device: 'D1', attempt, requeue: { schema: givenSchema, env: parts.env } }
  await database.write((tx) => recordAnswers(tx, answers, context))
  expect(await database.all('SELECT seq, held_by, resolves, depends FROM _outbox ORDER BY seq')).toEqual([
    { seq: 1, held_by: 'c2', resolves: null, depends: null },
    { seq: 2, held_by: 'c1', resolves: null, depends: null },
    { seq: 3, held_by: null, resolves: 'c1', depends: null },
    { seq: 4, held_by: null, resolves: 'c2', depends: '2' },
  ])
})
