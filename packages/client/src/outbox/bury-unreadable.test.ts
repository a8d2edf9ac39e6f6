import { collection, conflictsCollection, defineSchema, type Schema, text } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import type { SqlRow } from '../drivers/sqlite-driver.ts'
import { type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { holdForIdentity, readyForIdentity } from '../sync/renew-identity.ts'
import { runTransaction } from '../write/writer.ts'
import { cutBatch, type Offer } from './cut-batch.ts'
import { createDeadLetters } from './dead-letters.ts'

const cut = ({ database }: GivenDevice, schema: Schema = givenSchema): Promise<readonly Offer[]> =>
  database.write((tx) => cutBatch(tx, schema, { nowMs: 0, maxMutations: 50, maxBytes: 1e6 }))
const seqsOf = (offers: readonly Offer[]): unknown[] => offers.map((offer) => offer.seqs)
const spoil = ({ database }: GivenDevice, column: string, seq: number): Promise<unknown> =>
  database.write((tx) => tx.run(`UPDATE _outbox SET ${column} = 'x1,,' WHERE seq = ?`, [seq]))
const codes = async ({ database }: GivenDevice): Promise<unknown[]> => {
  const rows = await database.all('SELECT status, error FROM _outbox ORDER BY seq')
  return rows.map(({ status, error }: SqlRow) => `${status} ${String(error ?? '').split(' ')[0]}`.trim())
}
/** A transaction of two new items, numbers 1 and 2, and one beside it. */
const givenTransaction = async (device: GivenDevice): Promise<void> => {
  await runTransaction(givenSchema, device.parts, async ({ items }) => {
    await items?.insert({ name: 'a' })
    await items?.insert({ name: 'b' })
  })
  await device.items.insert({ name: 'c' })
}

describe('what cannot be read', () => {
  test('[OB-12] an entry that was offered and cannot be read any more is in front of a person, and others go on', async () => {
    const device = await givenDevice()
    for (const name of ['a', 'b']) await device.items.insert({ name })
    await cut(device)
    await spoil(device, 'payload', 1)
    expect(seqsOf(await cut(device))).toEqual([[2]])
    expect(await codes(device)).toEqual(['dead ENTRY_UNREADABLE', 'sending'])
  })

  test('[OB-12] of a fold a part of which cannot be read, the other parts are offered by themselves, under their own keys', async () => {
    for (const damaged of [1, 2]) {
      const device = await givenDevice()
      const id = await device.items.insert({ name: 'a' })
      await device.items.update(id, { name: 'b' })
      expect(seqsOf(await cut(device))).toEqual([[1, 2]])
      await spoil(device, 'payload', damaged)
      const [offer] = await cut(device)
      expect(offer).toMatchObject({ seqs: [3 - damaged], mutation: { covers: String(3 - damaged) } })
      expect((await createDeadLetters(device.database, device.parts.context).list()).length).toBe(1)
    }
  })

  test('[OB-12] a fold whose text cannot be read is offered anew', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await device.items.update(id, { name: 'b' })
    await device.items.insert({ name: 'c' })
    const sent = await cut(device)
    await spoil(device, 'wire', 1)
    expect((await cut(device)).toSorted((left, right) => left.mutation.seq - right.mutation.seq)).toEqual(
      sent,
    )
  })

  test.each(['offer', 'group_id'])(
    '[OB-12] a part of a fold whose %s is damaged is offered by itself, whichever part it is',
    async (column) => {
      for (const damaged of [1, 2]) {
        const device = await givenDevice()
        const id = await device.items.insert({ name: 'a' })
        await device.items.update(id, { name: 'b' })
        await cut(device)
        await device.database.write((tx) =>
          tx.run(`UPDATE _outbox SET ${column} = 77 WHERE seq = ?`, [damaged]),
        )
        const told = [...(await cut(device)), ...(await cut(device))].flatMap(({ seqs }) => seqs)
        expect(new Set(told)).toEqual(new Set([1, 2]))
      }
    },
  )

  test('[OB-12] damage in what an entry stands on, what it had been answered, or where it belongs keeps nothing else back', async () => {
    for (const column of ['depends', 'was', 'op', 'at', 'status', 'collection']) {
      for (const isOffered of [false, true]) {
        const device = await givenDevice()
        for (const name of ['a', 'b']) await device.items.insert({ name })
        if (isOffered) await cut(device)
        await spoil(device, column, 1)
        expect(seqsOf(await cut(device))).toContainEqual([2])
        const letters = await createDeadLetters(device.database, device.parts.context).list()
        // A collection nobody knows is for the server to refuse.
        expect(letters.map(({ error }) => error.code)).toEqual(
          column === 'collection' ? [] : ['ENTRY_UNREADABLE'],
        )
      }
    }
  })

  test('[OB-7] [OB-12] a transaction does not go without the part that cannot be read; all of it is one letter', async () => {
    for (const isOffered of [false, true]) {
      for (const damaged of [1, 2]) {
        const device = await givenDevice()
        await givenTransaction(device)
        if (isOffered) await cut(device)
        await spoil(device, 'payload', damaged)
        expect(seqsOf(await cut(device))).toEqual([[3]])
        const letters = createDeadLetters(device.database, device.parts.context)
        const [letter] = await letters.list()
        expect(letter).toMatchObject({ error: { code: 'ENTRY_UNREADABLE' } })
        expect(letter?.mutations.length).toBe(2)
        const sound = letter?.mutations.find(({ payload }) => payload !== null)
        await expect(letters.editAndRetry(sound?.id ?? '', { name: 'z' })).rejects.toMatchObject({
          code: 'ENTRY_UNREADABLE',
        })
        const broken = letter?.mutations.find(({ payload }) => payload === null)
        await letters.editAndRetry(broken?.id ?? '', { name: 'z' })
        expect(seqsOf(await cut(device)).length).toBe(3)
      }
    }
  })

  test('[OB-12] [SY-12] what waits for a new identity and cannot be read asks for no second one', async () => {
    const device = await givenDevice()
    await device.items.insert({ name: 'a' })
    await cut(device)
    await device.database.write((tx) => holdForIdentity(tx, [1]))
    await spoil(device, 'payload', 1)
    await cut(device)
    expect(await device.database.read((tx) => readyForIdentity(tx, givenSchema))).toEqual([])
    expect(await codes(device)).toEqual(['dead ENTRY_UNREADABLE'])
  })
})

test('[LO-15] [OB-10] what is in the outbox of a collection that the app has no more goes, also where others have priorities', async () => {
  const device = await givenDevice()
  const item = await device.items.insert({ name: 'a' })
  await device.lines.insert({ item })
  await device.items.delete(item)
  const kept = defineSchema({
    version: 2,
    collections: {
      lines: collection({ fields: { label: text({ default: '' }) } }),
      steps: collection({ priority: 5, fields: { label: text() } }),
    },
  })
  const schema = {
    version: 2,
    collections: new Map([...kept.collections, [conflictsCollection.name, conflictsCollection]]),
  }
  const gone: number[] = []
  for (let round = 0; round < 3; round++) for (const { seqs } of await cut(device, schema)) gone.push(...seqs)
  expect([...new Set(gone)].toSorted((left, right) => left - right)).toEqual([1, 2, 3])
})
