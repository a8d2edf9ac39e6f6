import { collection, defineSchema, emptyPayload, limits, reference, text } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import { type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { runTransaction } from '../write/writer.ts'
import { type BatchLimits, cutBatch, type Offer, sealBatch } from './cut-batch.ts'
import type { Entry } from './entry.ts'
import {
  listEntries,
  markAnswered,
  markConflicted,
  markDead,
  markHeld,
  releaseHeld,
  settle,
  updateEntries,
} from './outbox.ts'
import { offerAfresh, requeue } from './requeue.ts'

const cut = ({ database, clock }: GivenDevice, given: Partial<BatchLimits> = {}): Promise<readonly Offer[]> =>
  database.write((tx) =>
    cutBatch(tx, givenSchema, { nowMs: clock.nowMs, maxMutations: 50, maxBytes: limits.pushBytes, ...given }),
  )

const urgentSteps = defineSchema({
  version: 1,
  collections: {
    items: collection({ fields: { name: text() } }),
    steps: collection({ fields: { label: text() }, priority: 10 }),
  },
})

const entriesOf = ({ database }: GivenDevice): Promise<Entry[]> => database.read((tx) => listEntries(tx))
const seqsOf = (offers: readonly Offer[]): unknown[] => offers.map((offer) => offer.seqs)
const stateOf = async (device: GivenDevice, id: string): Promise<unknown> =>
  (await device.items.get(id))?._state

const answer = (device: GivenDevice, seqs: readonly number[]): Promise<void> =>
  device.database.write((tx) =>
    markAnswered(tx, seqs, { status: 'applied', version: 1, serverUpdatedAt: null, exact: true }),
  )

const wait = (device: GivenDevice, seqs: readonly number[], nextAttemptAt: number): Promise<void> =>
  device.database.write((tx) =>
    updateEntries(tx, seqs, {
      set: "status = 'pending', attempts = attempts + 1, next_attempt_at = ?",
      params: [nextAttemptAt],
    }),
  )

describe('what travels', () => {
  test('[OB-8] edits of one record that were never offered travel as one, which says what it covers', async () => {
    const device = await givenDevice()
    const one = await device.items.insert({ name: 'a' })
    const two = await device.items.insert({ name: 'b' })
    await device.items.update(one, { name: 'c' })
    await device.items.increment(two, { stock: 2 })
    await device.items.update(one, { price: '1.00' })
    const offers = await cut(device)
    expect(seqsOf(offers)).toEqual([
      [1, 3, 5],
      [2, 4],
    ])
    expect(offers[0]?.mutation).toMatchObject({
      seq: 1,
      covers: '1,3,5',
      changes: { name: 'c', price: '1.00' },
    })
    expect(JSON.parse(offers[0]?.text ?? '')).toMatchObject({ covers: '1,3,5', op: 'create' })
    expect((await entriesOf(device)).map((entry) => [entry.status, entry.offer])).toEqual([
      ['sending', 1],
      ['sending', 2],
      ['sending', 1],
      ['sending', 2],
      ['sending', 1],
    ])
  })

  test('[OB-8] a collection that preserves sends every mutation', async () => {
    const device = await givenDevice()
    const id = await device.steps.insert({ label: 'a' })
    await device.steps.update(id, { label: 'b' })
    expect(seqsOf(await cut(device))).toEqual([[1], [2]])
  })

  test('[OB-9] a record made and deleted offline says nothing of its values, and what was written is answered', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a secret', tags: ['secret'] })
    await device.items.update(id, { name: 'another secret' })
    const receipt = await device.items.delete(id)
    const verdict = receipt.verdict()
    const [offer, ...others] = await cut(device)
    expect(others).toEqual([])
    expect(offer?.seqs).toEqual([1, 2, 3])
    expect(offer?.mutation).toMatchObject({ op: 'delete', baseVersion: 0, ...emptyPayload })
    expect(offer?.mutation.folded).toHaveLength(2)
    expect(offer?.text).not.toContain('secret')
    expect(await device.items.get(id)).toBeUndefined()
    await answer(device, [1, 2, 3])
    expect(await verdict).toMatchObject({ status: 'applied' })
  })

  test('[OB-9] so it does when the create was offered and refused whole for its number', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await device.items.delete(id)
    await device.database.write((tx) => offerAfresh(tx, [1]))
    const offers = await cut(device)
    expect(seqsOf(offers)).toEqual([[1, 2]])
    expect(offers[0]?.mutation).toMatchObject({ op: 'delete', changes: {} })
  })

  test('[OB-9] B28: create, delete and create again offline travel as a delete and the last create, which stands on it', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await device.items.delete(id)
    await device.items.insert({ id, name: 'b' })
    const [gone, made, ...others] = await cut(device)
    expect(others).toEqual([])
    expect(gone?.mutation).toMatchObject({ op: 'delete', covers: '1-2', after: null })
    expect(made?.mutation).toMatchObject({
      op: 'create',
      after: gone?.mutation.id,
      baseVersion: 0,
      changes: { name: 'b' },
    })
    expect(await device.items.get(id)).toMatchObject({ name: 'b', _state: 'syncing' })
  })

  test('[OB-8] B27: what was offered is never folded into, and what comes after stands on its lead', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await device.items.update(id, { name: 'b' })
    const [first] = await cut(device)
    await device.items.update(id, { name: 'c' })
    await device.items.update(id, { name: 'd' })
    expect((await entriesOf(device)).map((entry) => entry.after)).toEqual([
      null,
      first?.mutation.id,
      first?.mutation.id,
      expect.any(String),
    ])
    const [again, next] = await cut(device)
    expect(again).toEqual(first)
    expect(next?.mutation).toMatchObject({
      after: first?.mutation.id,
      covers: '3-4',
      changes: { name: 'd' },
      base: { name: 'b' },
    })
  })
})

describe('repeats', () => {
  test('[OB-4] an offer without an answer is repeated as the same bytes, before anything else', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await device.items.update(id, { name: 'b', tags: ['x'] })
    await device.steps.insert({ label: 'a' })
    const offers = await cut(device)
    await device.steps.insert({ label: 'b' })
    const again = await cut(device)
    expect(again.slice(0, 2)).toEqual(offers)
    expect(seqsOf(again)).toEqual([[1, 2], [3], [4]])
  })

  test('[OB-4] an offer that waits for its next attempt waits, with what stands on it, and then goes as the same bytes', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    const [offer] = await cut(device)
    await wait(device, [1], device.clock.nowMs + 1_000)
    await device.items.update(id, { name: 'b' })
    await device.lines.insert({ item: id, amount: 1 })
    await device.items.insert({ name: 'other' })
    expect(seqsOf(await cut(device))).toEqual([[4]])
    await answer(device, [4])
    device.clock.nowMs += 1_000
    const later = await cut(device)
    expect(later[0]).toEqual(offer)
    expect(seqsOf(later)).toEqual([[1], [2], [3]])
  })

  test('[OB-4] held mutations wait until what holds them closes, and then go as the same bytes', async () => {
    const device = await givenDevice()
    await device.items.insert({ name: 'a' })
    const offers = await cut(device)
    await device.database.write((tx) => markHeld(tx, [1], 'conflict-1'))
    expect(await cut(device)).toEqual([])
    await device.database.write((tx) => releaseHeld(tx, ['conflict-1']))
    expect(await cut(device)).toEqual(offers)
  })
})

describe('order', () => {
  test('[OB-5] what stands on a stuck mutation waits, other fields and other records go on', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await answer(device, [1])
    await device.items.update(id, { name: 'b' })
    await cut(device)
    await device.database.write((tx) => markConflicted(tx, [2], 'conflict-1'))
    await device.items.update(id, { name: 'c' })
    await device.items.update(id, { price: '2.00' })
    await device.items.increment(id, { stock: 1 })
    await device.items.insert({ name: 'other' })
    const offers = await cut(device)
    expect(seqsOf(offers)).toEqual([[4, 5], [6]])
    // The server has never heard of the one that waits, so what passes it stands on what that one stood on.
    expect(offers[0]?.mutation.after).toBe((await entriesOf(device))[1]?.id)
    await device.items.delete(id)
    expect(seqsOf(await cut(device))).toEqual([[4, 5], [6]])
  })

  test('[OB-5] [PU-37] what passes one that is held stands on what that one stood on: the server knows nothing of it', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await answer(device, [1])
    await device.items.update(id, { name: 'held' })
    await cut(device)
    await device.database.write((tx) => markHeld(tx, [2], 'conflict-1'))
    await device.items.update(id, { name: 'behind it' })
    await device.items.update(id, { price: '2.00' })
    const offers = await cut(device)
    expect(seqsOf(offers)).toEqual([[4]])
    expect(offers[0]?.mutation.after).toBe((await entriesOf(device))[0]?.id)
  })

  test('[OB-24] what stands on an offer without a verdict stands on what is tried again behind that, which does not fall with the offer', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await answer(device, [1])
    await device.items.increment(id, { stock: 1 })
    await cut(device)
    await device.database.write((tx) => markDead(tx, [2], { code: 'NOT_AUTHORIZED', message: '' }))
    await device.items.update(id, { price: '1.00' })
    const [made, , offered] = await entriesOf(device)
    await cut(device)
    await device.items.delete(id)
    await device.database.write((tx) => requeue(tx, { schema: givenSchema }, [2]))
    const offers = (await cut(device)).map(({ mutation }) => mutation)
    expect(offers.map(({ op }) => op)).toEqual(['update', 'update', 'delete'])
    const [repeated, again, deletion] = offers
    expect(repeated?.id).toBe(offered?.id)
    expect(again?.after).toBe(made?.id)
    expect(deletion?.after).toBe(again?.id)
  })

  test('[OB-5] everything waits behind a create that was refused', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await device.database.write((tx) => markDead(tx, [1], { code: 'SCOPE_DENIED', message: 'no' }))
    await device.items.update(id, { price: '2.00' })
    expect(await cut(device)).toEqual([])
    expect(await stateOf(device, id)).toBe('failed')
  })

  test('[OB-5] a decision passes what waits for it', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await device.database.write((tx) => markConflicted(tx, [1], 'conflict-1'))
    await device.items.update(id, { name: 'b' })
    await device.items.update(id, { name: 'c' })
    await device.database.write((tx) => tx.run("UPDATE _outbox SET resolves = 'conflict-1' WHERE seq = 3"))
    expect(seqsOf(await cut(device))).toEqual([[3]])
  })

  test('[OB-5] a decision passes offers that wait behind what is held, before and after it was offered itself', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await answer(device, [1])
    for (const name of ['b', 'c', 'd', 'e']) {
      await device.items.update(id, { name })
      if (name !== 'e') await cut(device)
    }
    await device.database.write(async (tx) => {
      await markConflicted(tx, [2], 'conflict-1')
      await markHeld(tx, [3], 'conflict-1')
      await tx.run("UPDATE _outbox SET resolves = 'conflict-1' WHERE seq = 5")
    })
    expect(seqsOf(await cut(device))).toEqual([[5]])
    expect(seqsOf(await cut(device))).toEqual([[5]])
    await answer(device, [2, 5])
    await device.database.write((tx) => releaseHeld(tx, ['conflict-1']))
    expect(seqsOf(await cut(device))).toEqual([[3], [4]])
  })

  test('[OB-6] a reference waits for the create it refers to, and goes once that is answered', async () => {
    const device = await givenDevice()
    const item = await device.items.insert({ name: 'a' })
    await cut(device)
    await device.database.write((tx) => markDead(tx, [1], { code: 'SCOPE_DENIED', message: 'no' }))
    const line = await device.lines.insert({ item, amount: 1 })
    await device.lines.increment(line, { amount: 1 })
    expect(await cut(device)).toEqual([])
    await answer(device, [1])
    expect(seqsOf(await cut(device))).toEqual([[2, 3]])
  })

  test('[OB-6] folding does not carry a reference before the record it refers to', async () => {
    const device = await givenDevice()
    const line = await device.lines.insert({ amount: 1 })
    const item = await device.items.insert({ name: 'a' })
    await device.lines.update(line, { item })
    expect(seqsOf(await cut(device))).toEqual([[1], [2], [3]])
  })

  test('[FO-8] an edit that refers to a record yet to be made is folded with nothing, nor is what comes behind it', async () => {
    const device = await givenDevice()
    const line = await device.lines.insert({ amount: 1 })
    await answer(device, [1])
    await device.lines.increment(line, { amount: 1 })
    const item = await device.items.insert({ name: 'a' })
    await device.lines.update(line, { item })
    await device.lines.increment(line, { amount: 2 })
    const offers = await cut(device)
    expect(seqsOf(offers)).toEqual([[2], [3], [4], [5]])
    expect(offers.map(({ mutation }) => mutation.changes)).toMatchObject([{}, {}, { item }, {}])
  })

  test('[FO-8] edits of a new record are folded with such a reference, unless the other goes to escrow', async () => {
    const device = await givenDevice()
    const line = await device.lines.insert({ amount: 1 })
    const item = await device.items.insert({ name: 'a' })
    await device.lines.update(line, { item })
    await device.lines.increment(line, { amount: 2 })
    await device.database.write((tx) => updateEntries(tx, [2], { set: 'escrow = 1', params: [] }))
    expect(seqsOf(await cut(device))).toEqual([[2], [1], [3], [4]])

    const other = await givenDevice()
    const draft = await other.lines.insert({ amount: 1 })
    await other.lines.update(draft, { item: await other.items.insert({ name: 'a' }) })
    await other.lines.increment(draft, { amount: 2 })
    expect(seqsOf(await cut(other))).toEqual([[1], [2], [3, 4]])
  })

  test('[OB-4] [OB-6] nor does offering it again, where the create was on its way when it was folded', async () => {
    const device = await givenDevice()
    const item = await device.items.insert({ name: 'a' })
    expect(seqsOf(await cut(device))).toEqual([[1]])
    const line = await device.lines.insert({ amount: 1 })
    await device.lines.update(line, { item })
    expect(seqsOf(await cut(device))).toEqual([[1], [2, 3]])
    await wait(device, [1], device.clock.nowMs + 1_000)
    expect(seqsOf(await cut(device))).toEqual([])
    device.clock.nowMs += 1_000
    expect(seqsOf(await cut(device))).toEqual([[1], [2, 3]])
  })

  test('[OB-10] collections of higher priority go first, as far as what they depend on allows', async () => {
    const device = await givenDevice()
    const schema = defineSchema({
      version: 1,
      collections: {
        items: collection({ fields: { name: text() } }),
        lines: collection({
          fields: { item: reference('items', { optional: true }), amount: text() },
          priority: 5,
        }),
        steps: collection({ fields: { label: text() }, priority: 10 }),
      },
    })
    await device.items.insert({ name: 'first' })
    const item = await device.items.insert({ name: 'parent' })
    await device.items.update(item, { name: 'renamed' })
    await device.lines.insert({ item, amount: 1 })
    const step = await device.steps.insert({ label: 'urgent' })
    await device.items.delete(item)
    const first = await device.database.write((tx) =>
      cutBatch(tx, schema, { nowMs: 0, maxMutations: 3, maxBytes: 1e6 }),
    )
    expect(first.map((offer) => offer.mutation.record)).toEqual([step, item, expect.any(String)])
    expect(seqsOf(first)).toEqual([[5], [2], [4]])
    await answer(device, [2, 4, 5])
    const rest = await device.database.write((tx) =>
      cutBatch(tx, schema, { nowMs: 0, maxMutations: 9, maxBytes: 1e6 }),
    )
    expect(seqsOf(rest)).toEqual([[1], [3, 6]])
  })
})

test('[FO-8] what was written behind an offer is not folded into an edit of before it that waited until now', async () => {
  const device = await givenDevice()
  const id = await device.items.insert({ name: 'a' })
  await cut(device)
  await answer(device, [1])
  for (const name of ['b', 'c']) {
    await device.items.update(id, { name })
    await cut(device)
    await device.database.write((tx) => markConflicted(tx, [2], 'conflict-1'))
  }
  await device.items.update(id, { tags: ['x'] })
  expect(seqsOf(await cut(device))).toEqual([[4]])
  await device.database.write((tx) => markHeld(tx, [4], 'conflict-1'))
  await device.items.update(id, { tags: [] })
  expect(seqsOf(await cut(device))).toEqual([])
  await device.database.write(async (tx) => {
    await settle(tx, [2])
    await releaseHeld(tx, ['conflict-1'])
  })
  expect(seqsOf(await cut(device))).toEqual([[4], [3], [5]])
})

describe('what waits for its priority', () => {
  const schema = defineSchema({
    version: 1,
    collections: {
      items: collection({ fields: { name: text() }, priority: -1 }),
      lines: collection({ fields: { item: reference('items', { optional: true }), amount: text() } }),
      steps: collection({ fields: { label: text() } }),
    },
  })
  const cutAbove = ({ database, clock }: GivenDevice, leastPriority: number): Promise<readonly Offer[]> =>
    database.write((tx) =>
      cutBatch(tx, schema, { nowMs: clock.nowMs, maxMutations: 9, maxBytes: 1e6, leastPriority }),
    )

  test('[SY-28] what has a lower priority waits, but for what others need of it', async () => {
    const device = await givenDevice()
    await device.items.insert({ name: 'alone' })
    const item = await device.items.insert({ name: 'parent' })
    await device.lines.insert({ item, amount: 1 })
    await device.steps.insert({ label: 'work' })
    expect(seqsOf(await cutAbove(device, 0))).toEqual([[2], [3], [4]])
    await answer(device, [2, 3, 4])
    expect(seqsOf(await cutAbove(device, 0))).toEqual([])
    expect(seqsOf(await cutAbove(device, -1))).toEqual([[1]])
  })

  test('[SY-28] what was offered before goes, and everything else after a day', async () => {
    const device = await givenDevice()
    await device.items.insert({ name: 'offered' })
    expect(seqsOf(await cutAbove(device, Number.NEGATIVE_INFINITY))).toEqual([[1]])
    await device.items.insert({ name: 'new' })
    expect(seqsOf(await cutAbove(device, 0))).toEqual([[1]])
    device.clock.nowMs += limits.deferMs - 1
    expect(seqsOf(await cutAbove(device, 0))).toEqual([[1]])
    device.clock.nowMs += 1
    expect(seqsOf(await cutAbove(device, 0))).toEqual([[1], [2]])
  })

  test('[SY-28] nor does anything wait for as long as the clock was wrong when it was written', async () => {
    const device = await givenDevice()
    device.clock.nowMs += 365 * limits.deferMs
    await device.items.insert({ name: 'ahead' })
    device.clock.nowMs -= 365 * limits.deferMs
    device.clock.nowMs += limits.deferMs
    expect(seqsOf(await cutAbove(device, 0))).toEqual([[1]])
  })

  test('[SY-28] a schema in which everything has a low priority waits as a whole', async () => {
    const device = await givenDevice()
    const low = defineSchema({
      version: 1,
      collections: { items: collection({ fields: { name: text() }, priority: -1 }) },
    })
    await device.items.insert({ name: 'alone' })
    const bounds = { nowMs: device.clock.nowMs, maxMutations: 9, maxBytes: 1e6, leastPriority: 0 }
    expect(await device.database.write((tx) => cutBatch(tx, low, bounds))).toEqual([])
  })
})

describe('what is sealed', () => {
  const seal = ({ database, clock }: GivenDevice): Promise<readonly Offer[]> =>
    database.write((tx) =>
      sealBatch(tx, givenSchema, { nowMs: clock.nowMs, maxMutations: 50, maxBytes: limits.pushBytes }),
    )

  test('[BG-2] counts as offered and not as under way; a push repeats it as the same bytes', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await device.items.update(id, { name: 'b' })
    const sealed = await seal(device)
    expect(seqsOf(sealed)).toEqual([[1, 2]])
    expect((await entriesOf(device)).map(({ status, offer }) => [status, offer])).toEqual([
      ['pending', 1],
      ['pending', 1],
    ])
    expect(await stateOf(device, id)).toBe('pending')
    await device.items.update(id, { name: 'c' })
    const pushed = await cut(device)
    expect(seqsOf(pushed)).toEqual([[1, 2], [3]])
    expect(pushed[0]?.text).toBe(sealed[0]?.text)
  })

  test('[BG-2] what is under way stays so', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    expect(seqsOf(await seal(device))).toEqual([[1]])
    expect((await entriesOf(device)).map(({ status }) => status)).toEqual(['sending'])
    expect(await stateOf(device, id)).toBe('syncing')
  })
})

describe('what is held', () => {
  test('[OB-4] what was let go with others does not overtake those that are held again', async () => {
    const device = await givenDevice()
    const one = await device.items.insert({ name: 'new' })
    await device.items.update(one, { name: 'newer' })
    await device.items.insert({ name: 'other' })
    expect(seqsOf(await cut(device))).toEqual([[1, 2], [3]])
    await device.items.update(one, { name: 'newest' })
    await device.database.write((tx) => markHeld(tx, [1, 2], 'c1'))
    await device.database.write((tx) =>
      updateEntries(tx, [4], { set: "status = 'pending', offer = 4", params: [] }),
    )
    expect(seqsOf(await cut(device))).toEqual([[3]])
    await device.database.write((tx) => releaseHeld(tx, ['c1']))
    expect(seqsOf(await cut(device))).toEqual([[1, 2], [3], [4]])
  })
})

describe('bounds', () => {
  test('[OB-7] a batch holds at most the given mutations and bytes, in order', async () => {
    const device = await givenDevice()
    for (let n = 0; n < 10; n++) await device.items.insert({ name: `${n} ${'x'.repeat(1_000)}` })
    expect(seqsOf(await cut(device, { maxMutations: 4 }))).toEqual([[1], [2], [3], [4]])
    await answer(device, [1, 2, 3, 4])
    expect(seqsOf(await cut(device, { maxBytes: 3_500 }))).toEqual([[5], [6]])
    await answer(device, [5, 6])
    expect(seqsOf(await cut(device, { maxBytes: 1 }))).toEqual([[7]])
  })

  test('[OB-7] a group is never split, and goes alone when it is larger than the batch', async () => {
    const device = await givenDevice()
    await device.items.insert({ name: 'before' })
    await runTransaction(givenSchema, device.parts, async (tx) => {
      const item = await tx.items!.insert({ name: 'a' })
      await tx.items!.update(item, { name: 'b' })
      await tx.lines!.insert({ item, amount: 1 })
    })
    expect(seqsOf(await cut(device, { maxMutations: 3 }))).toEqual([[1]])
    await answer(device, [1])
    expect(seqsOf(await cut(device, { maxMutations: 2 }))).toEqual([[2], [3], [4]])
  })

  test('[OB-7] a group that is offered again is not split either, when less fits than before or one of it must wait', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await answer(device, [1])
    await device.items.update(id, { name: 'b' })
    await runTransaction(givenSchema, device.parts, async (tx) => {
      await tx.items!.insert({ name: 'c' })
      await tx.items!.update(id, { name: 'd' })
    })
    expect(seqsOf(await cut(device))).toEqual([[2], [3], [4]])
    expect(seqsOf(await cut(device, { maxMutations: 2 }))).toEqual([[2]])
    expect(seqsOf(await cut(device, { maxMutations: 3 }))).toEqual([[2], [3], [4]])
    await wait(device, [2], device.clock.nowMs + 1_000)
    expect(await cut(device)).toEqual([])
  })

  test('[OB-7] a group whose member must wait waits whole', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await device.database.write((tx) => markDead(tx, [1], { code: 'SCOPE_DENIED', message: 'no' }))
    const other = await runTransaction(givenSchema, device.parts, async (tx) => {
      const made = await tx.items!.insert({ name: 'b' })
      await tx.items!.update(id, { name: 'c' })
      return made
    })
    await device.items.update(String(other), { price: '1.00' })
    await device.items.insert({ name: 'free' })
    expect(seqsOf(await cut(device))).toEqual([[5]])
  })

  test('[OB-7] what a group needs from another class of priority brings its own group along', async () => {
    const device = await givenDevice()
    const [one, two] = await device.items.insertMany([{ name: 'a' }, { name: 'b' }])
    await runTransaction(urgentSteps, device.parts, async (tx) => {
      await tx.items!.update(String(one), { name: 'c' })
      await tx.items!.update(String(two), { name: 'd' })
    })
    await device.items.update(String(one), { name: 'e' })
    await runTransaction(urgentSteps, device.parts, async (tx) => {
      await tx.items!.update(String(one), { name: 'f' })
      await tx.steps!.insert({ label: 'urgent' })
    })
    const cutUrgent = (maxMutations: number): Promise<readonly Offer[]> =>
      device.database.write((tx) => cutBatch(tx, urgentSteps, { nowMs: 0, maxMutations, maxBytes: 1e6 }))
    expect(seqsOf(await cutUrgent(3))).toEqual([[1], [2]])
    expect(seqsOf(await cutUrgent(9))).toEqual([[1], [2], [3], [4], [5], [6], [7]])
  })

  test('[OB-7] groups stay whole however much of them lies in another class of priority', async () => {
    const device = await givenDevice()
    await device.database.all('PRAGMA synchronous = OFF')
    for (let group = 0; group < 23; group++) {
      await runTransaction(urgentSteps, device.parts, async (tx) => {
        for (let n = 0; n < 499; n++) await tx.items!.insert({ name: `${n}` })
        await tx.steps!.insert({ label: 'urgent' })
      })
    }
    const offers = await device.database.write((tx) =>
      cutBatch(tx, urgentSteps, { nowMs: 0, maxMutations: 23 * 500 - 1, maxBytes: 1e8 }),
    )
    expect(seqsOf(offers)).toEqual(Array.from({ length: 22 * 500 }, (_, at) => [at + 1]))
  })

  test('[OB-7] entries behind more than a thousand stuck ones are found', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await device.database.write((tx) => markDead(tx, [1], { code: 'SCOPE_DENIED', message: 'no' }))
    await runInOne(device, async () => {
      for (let n = 0; n < 2_100; n++) await device.items.update(id, { name: `${n}` })
    })
    await device.items.insert({ name: 'free' })
    expect(seqsOf(await cut(device))).toEqual([[2_102]])
  })

  test('[OB-8] edits far apart fold, however many records lie between', async () => {
    const device = await givenDevice()
    const ids = await device.items.insertMany(Array.from({ length: 1_200 }, (_, n) => ({ name: `${n}` })))
    await Promise.all(ids.map((id) => device.items.update(id, { name: 'second' })))
    const offers = await cut(device, { maxMutations: 1_000 })
    expect(offers).toHaveLength(1_000)
    expect(offers.every((offer) => offer.seqs.length === 2)).toBe(true)
    expect(offers[0]?.mutation.covers).toBe('1,1201')
  })

  const runInOne = async (device: GivenDevice, work: () => Promise<void>): Promise<void> => {
    await device.database.all('PRAGMA synchronous = OFF')
    await work()
  }
})

describe('state and damage', () => {
  test('[OB-3] the state of a record says what its entries say', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    const seen = [await stateOf(device, id)]
    const touched: unknown[] = []
    device.database.onCommit(({ tables }) => touched.push(tables.has('items')))
    await cut(device)
    seen.push(await stateOf(device, id))
    await answer(device, [1])
    await device.items.update(id, { name: 'b' })
    seen.push(await stateOf(device, id))
    await cut(device)
    await device.database.write((tx) => markConflicted(tx, [2], 'c'))
    seen.push(await stateOf(device, id))
    await device.database.write((tx) => markDead(tx, [2], { code: 'SCOPE_DENIED', message: '' }))
    seen.push(await stateOf(device, id))
    expect(seen).toEqual(['pending', 'syncing', 'syncing', 'conflicted', 'failed'])
    expect(touched).toEqual([true, false, true, false, true, true])
  })

  test('[OB-21] what waits behind something held, or does not fit any more, is not said to be under way', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await device.items.update(id, { name: 'b' })
    await cut(device)
    await device.items.insert({ name: 'c' })
    await device.items.insert({ name: 'd' })
    await cut(device)
    await device.database.write((tx) => markHeld(tx, [1], 'conflict'))
    expect(seqsOf(await cut(device, { maxMutations: 1 }))).toEqual([[3]])
    expect((await entriesOf(device)).map(({ status }) => status)).toEqual([
      'held',
      'pending',
      'sending',
      'pending',
    ])
    expect(await stateOf(device, id)).toBe('pending')
    const mark = await device.database.markOf('_outbox')
    await device.database.write((tx) => markDead(tx, [3, 4], { code: 'SCOPE_DENIED', message: '' }))
    expect(await cut(device)).toEqual([])
    const marks = [mark, await device.database.markOf('_outbox')]
    expect(await cut(device)).toEqual([])
    expect(await device.database.markOf('_outbox')).toBe(marks[1])
    await device.database.write((tx) => releaseHeld(tx, ['conflict']))
    expect(seqsOf(await cut(device))).toEqual([[1], [2]])
  })

  test('[OB-12] an entry that cannot be read becomes a dead letter with its bytes, and others go on', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await device.items.insert({ name: 'b' })
    await device.database.write((tx) =>
      tx.run('UPDATE _outbox SET payload = replace(payload, \'"a"\', \'"z"\') WHERE seq = 1'),
    )
    expect(seqsOf(await cut(device))).toEqual([[2]])
    expect(
      await device.database.all(
        'SELECT status, error, payload LIKE \'%"z"%\' AS kept FROM _outbox WHERE seq = 1',
      ),
    ).toMatchObject([{ status: 'dead', error: expect.stringMatching(/^ENTRY_UNREADABLE /), kept: 1 }])
    expect(await stateOf(device, id)).toBe('failed')
  })
})
