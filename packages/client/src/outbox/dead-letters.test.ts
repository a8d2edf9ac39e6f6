import { describe, expect, test } from 'vitest'

import { type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { runTransaction } from '../write/writer.ts'
import { cutBatch, type Offer } from './cut-batch.ts'
import { createDeadLetters, type DeadLettersApi } from './dead-letters.ts'
import type { Entry } from './entry.ts'
import { createOutboxApi } from './outbox-api.ts'
import { listEntries, markAnswered, markDead, updateEntries } from './outbox.ts'

const lettersOf = ({ database, parts }: GivenDevice): DeadLettersApi =>
  createDeadLetters(database, parts.context)
const cut = ({ database }: GivenDevice): Promise<readonly Offer[]> =>
  database.write((tx) => cutBatch(tx, givenSchema, { nowMs: 0, maxMutations: 50, maxBytes: 1e6 }))
const entriesOf = ({ database }: GivenDevice): Promise<Entry[]> => database.read((tx) => listEntries(tx))
const refuse = (device: GivenDevice, seqs: readonly number[], code = 'SCOPE_DENIED'): Promise<void> =>
  device.database.write((tx) => markDead(tx, seqs, { code, message: 'not yours' }))

/** A record the server has at version 5. */
async function givenSyncedItem(device: GivenDevice): Promise<string> {
  const id = await device.items.insert({ name: 'Laptop', price: '1.00', stock: 10 })
  await device.database.write(async (tx) => {
    await tx.run('DELETE FROM _outbox')
    await tx.run("UPDATE items SET _version = 5, _state = 'clean'")
  })
  return id
}

describe('list', () => {
  test('[OB-13] a dead letter says why, what it holds, and what waits behind it', async () => {
    const device = await givenDevice()
    const item = await device.items.insert({ name: 'a' })
    await device.items.update(item, { name: 'b' })
    await cut(device)
    await refuse(device, [1, 2])
    await device.items.update(item, { name: 'c' })
    await device.lines.insert({ item, amount: 1 })
    const entries = await entriesOf(device)
    const [letter, ...others] = await lettersOf(device).list()
    expect(others).toEqual([])
    expect(letter).toMatchObject({
      id: entries[0]?.id,
      error: { code: 'SCOPE_DENIED', message: 'not yours' },
      mutations: [
        { op: 'create', record: item, payload: { changes: { name: 'a' } } },
        { op: 'update', record: item, payload: { changes: { name: 'b' } } },
      ],
      behind: [entries[2]?.id, entries[3]?.id],
    })
    expect(await lettersOf(device).get(entries[1]?.id ?? '')).toEqual(letter)
    await expect(lettersOf(device).get('nothing')).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' })
  })

  test('[OB-13] a refused transaction is one letter and names the culprit', async () => {
    const device = await givenDevice()
    await runTransaction(givenSchema, device.parts, async (tx) => {
      await tx.items!.insert({ name: 'a' })
      await tx.items!.insert({ name: 'b' })
    })
    await cut(device)
    await refuse(device, [1], 'DEPENDENCY_FAILED')
    await refuse(device, [2])
    expect(await lettersOf(device).list()).toMatchObject([
      { error: { code: 'SCOPE_DENIED' }, mutations: [{ seq: 1 }, { seq: 2 }] },
    ])
  })

  test('[OB-17] an export holds every byte', async () => {
    const device = await givenDevice()
    await device.items.insert({ name: 'a' })
    await refuse(device, [1])
    const [row] = await lettersOf(device).export()
    expect(row).toMatchObject({
      seq: 1,
      error: 'SCOPE_DENIED not yours',
      payload: expect.stringContaining('"name":"a"'),
    })
  })
})

describe('retry', () => {
  test('[OB-15] a retry has a new key and number, and what waits follows in order', async () => {
    const device = await givenDevice()
    const item = await device.items.insert({ name: 'a' })
    await cut(device)
    await refuse(device, [1])
    await device.items.update(item, { name: 'b' })
    await device.lines.insert({ item, amount: 1 })
    await device.items.insert({ name: 'free' })
    const [dead, stacked, line, free] = await entriesOf(device)
    await lettersOf(device).retry(dead?.id ?? '')
    const after = await entriesOf(device)
    expect(after.map((entry) => [entry.seq, entry.id])).toEqual([
      [4, free?.id],
      [5, expect.any(String)],
      [6, stacked?.id],
      [7, line?.id],
    ])
    expect(after[1]?.id).not.toBe(dead?.id)
    expect(after[2]).toMatchObject({ after: after[1]?.id, depends: [5] })
    expect(after[3]?.depends).toEqual([5])
    expect((await cut(device)).map((offer) => offer.seqs)).toEqual([[4], [5, 6], [7]])
    expect(await device.items.get(item)).toMatchObject({ name: 'b', _state: 'syncing' })
  })

  test('[OB-15] of a fold that is tried again each stands on the one before, and what was written on it on the last', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    for (const name of ['one', 'two', 'three']) await device.items.update(id, { name })
    const [fold] = await cut(device)
    await refuse(device, fold?.seqs ?? [])
    await device.items.update(id, { name: 'four' })
    const [lead] = await entriesOf(device)
    expect((await entriesOf(device)).map(({ after }) => after)).toEqual([null, lead?.id, lead?.id, lead?.id])
    await lettersOf(device).retry(lead?.id ?? '')
    const [one, two, three, four] = await entriesOf(device)
    expect([one?.after, two?.after, three?.after]).toEqual([null, one?.id, two?.id])
    expect(four).toMatchObject({ after: three?.id, payload: { changes: { name: 'four' } } })
  })

  test('[OB-1, OB-15] a retry takes no number that was ever used, also when the newest entries have left', async () => {
    const device = await givenDevice()
    await device.items.insert({ name: 'refused' })
    await device.items.insert({ name: 'taken' })
    await cut(device)
    await refuse(device, [1])
    await device.database.write((tx) => tx.run('DELETE FROM _outbox WHERE seq = 2'))
    const [dead] = await entriesOf(device)
    await lettersOf(device).retry(dead?.id ?? '')
    expect((await entriesOf(device)).map(({ seq }) => seq)).toEqual([3])
  })

  test('[OB-15] what the server never ruled on keeps its key, number and bytes', async () => {
    const device = await givenDevice()
    await device.items.insert({ name: 'a' })
    const offers = await cut(device)
    await refuse(device, [1], 'ATTEMPTS_EXHAUSTED')
    expect(await cut(device)).toEqual([])
    await lettersOf(device).retry(offers[0]?.mutation.id ?? '')
    expect(await cut(device)).toEqual(offers)
  })

  test('[OB-15] a letter that cannot be read cannot be sent as it is', async () => {
    const device = await givenDevice()
    await device.items.insert({ name: 'a' })
    await device.database.write((tx) => tx.run("UPDATE _outbox SET hash = 'x'"))
    await cut(device)
    const [letter] = await lettersOf(device).list()
    expect(letter?.mutations[0]?.payload).toBeNull()
    await expect(lettersOf(device).retry(letter?.id ?? '')).rejects.toMatchObject({
      code: 'ENTRY_UNREADABLE',
    })
    expect((await lettersOf(device).discard(letter?.id ?? '')).mutations).toEqual([letter?.id])
    expect(await device.database.all('SELECT * FROM items')).toEqual([])
  })

  test('[OB-17] an edited letter goes with other values, the same base and the rest of its words', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    await device.items.update(id, { name: 'bad', price: '2.00', stock: 13 })
    const [entry] = await entriesOf(device)
    await cut(device)
    await refuse(device, [entry?.seq ?? 0])
    const letters = lettersOf(device)
    await expect(letters.editAndRetry(entry?.id ?? '', { name: 7 })).rejects.toMatchObject({
      code: 'VALUE_INVALID',
    })
    await letters.editAndRetry(entry?.id ?? '', { name: 'good', stock: 11 })
    expect(await letters.list()).toEqual([])
    expect((await entriesOf(device))[0]).toMatchObject({
      status: 'pending',
      offer: null,
      payload: {
        changes: { name: 'good', price: '2.00' },
        base: { name: 'Laptop', price: '1.00' },
        increments: { stock: 1 },
      },
    })
    expect(await device.items.get(id)).toMatchObject({
      name: 'good',
      price: '2.00',
      stock: 11,
      _state: 'pending',
    })
  })

  test('[OB-17] what was written on a letter saw what the letter says once it is edited', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'taken', price: '1.00' })
    await cut(device)
    await refuse(device, [1])
    await device.items.update(id, { name: 'later', price: '2.00' })
    await device.items.update(id, { name: 'last' })
    const [letter] = await entriesOf(device)
    await lettersOf(device).editAndRetry(letter?.id ?? '', { name: 'free' })
    expect((await entriesOf(device)).map(({ payload: { base, changes } }) => ({ base, changes }))).toEqual([
      { base: null, changes: expect.objectContaining({ name: 'free', price: '1.00' }) },
      { base: { name: 'free', price: '1.00' }, changes: { name: 'later', price: '2.00' } },
      { base: { name: 'later' }, changes: { name: 'last' } },
    ])
  })

  test('[OB-16] what stood on a letter that is discarded sees what goes ahead of it, also where the letter said what the server has', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    for (const name of ['first', 'Laptop']) {
      await device.items.update(id, { name })
      await cut(device)
    }
    await refuse(
      device,
      (await entriesOf(device)).map(({ seq }) => seq),
    )
    await device.items.update(id, { name: 'third' })
    const [first, second] = await entriesOf(device)
    await lettersOf(device).editAndRetry(first?.id ?? '', { name: 'mended' })
    await lettersOf(device).discard(second?.id ?? '')
    expect((await entriesOf(device)).map(({ payload }) => payload)).toMatchObject([
      { changes: { name: 'mended' }, base: { name: 'Laptop' } },
      { changes: { name: 'third' }, base: { name: 'mended' } },
    ])
  })

  test('[OB-17] what was refused on a letter saw what the letter says once it is edited', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    for (const name of ['first', 'second', 'third']) {
      await device.items.update(id, { name })
      await cut(device)
    }
    const seqs = (await entriesOf(device)).map(({ seq }) => seq)
    await refuse(device, seqs)
    const [letter] = await entriesOf(device)
    await lettersOf(device).editAndRetry(letter?.id ?? '', { name: 'mended' })
    expect((await entriesOf(device)).map(({ status, payload }) => [status, payload.base])).toEqual([
      ['pending', { name: 'Laptop' }],
      ['dead', { name: 'mended' }],
      ['dead', { name: 'second' }],
    ])
  })

  test('[OB-17] an edited letter stands on what was offered meanwhile, behind which it goes', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    await device.items.update(id, { price: '2.00' })
    await cut(device)
    const [letter] = await entriesOf(device)
    await refuse(device, [letter?.seq ?? 0])
    await device.items.update(id, { name: 'offered' })
    await device.database.write((tx) =>
      tx.run("UPDATE _outbox SET offer = seq, status = 'sending' WHERE status = 'pending'"),
    )
    await lettersOf(device).editAndRetry(letter?.id ?? '', { name: 'mended' })
    expect((await entriesOf(device)).at(-1)?.payload.base).toEqual({ name: 'offered', price: '1.00' })
    expect((await device.items.get(id))?.name).toBe('mended')
  })

  test('[OB-15] a copy in which another letter was edited before tries one again under the same key', async () => {
    const keyOf = async (isEdited: boolean): Promise<string | undefined> => {
      const device = await givenDevice()
      const id = await givenSyncedItem(device)
      await device.items.update(id, { name: 'first' })
      await cut(device)
      await device.items.update(id, { name: 'second' })
      const [first, second] = await entriesOf(device)
      await refuse(device, [first?.seq ?? 0, second?.seq ?? 0])
      await device.database.write((tx) =>
        tx.run('UPDATE _outbox SET id = ? WHERE seq = ?', [second?.record ?? '', second?.seq ?? 0]),
      )
      if (isEdited) await lettersOf(device).editAndRetry(first?.id ?? '', { name: 'mended' })
      await lettersOf(device).retry(second?.record ?? '')
      return (await entriesOf(device)).at(-1)?.id
    }
    expect(await keyOf(true)).toBe(await keyOf(false))
  })

  test('[OB-17, VAL-1] of two records of one id in a letter the one is edited that was named', async () => {
    const device = await givenDevice()
    const id = await device.steps.insert({ label: 'a step' })
    await runTransaction(givenSchema, device.parts, async (tx) => {
      await tx.steps!.update(id, { label: 'wrong' })
      await tx.codes!.insert({ id, code: 'c', label: 'right' })
    })
    await cut(device)
    await refuse(device, [2, 3])
    const [step, code] = (await lettersOf(device).list())[0]?.mutations ?? []
    await lettersOf(device).editAndRetry(step?.id ?? '', { label: 'mended' })
    expect([await device.steps.get(id), await device.codes.get(id)]).toMatchObject([
      { label: 'mended' },
      { label: 'right' },
    ])
    expect(code).toMatchObject({ collection: 'codes' })
  })

  test('[OB-6, OB-17] an edited letter waits for the create of the record that it refers to now', async () => {
    const device = await givenDevice()
    const line = await device.lines.insert({ amount: 1 })
    const item = await device.items.insert({ name: 'refused' })
    await cut(device)
    await refuse(device, [1, 2])
    const [dead] = await entriesOf(device)
    await lettersOf(device).editAndRetry(dead?.id ?? '', { item })
    expect(await cut(device)).toEqual([])
    expect((await entriesOf(device)).at(-1)).toMatchObject({ record: line, status: 'pending', depends: [2] })
    await lettersOf(device).retry((await entriesOf(device))[0]?.id ?? '')
    expect((await cut(device)).map(({ seqs }) => seqs)).toEqual([[4], [5]])
  })

  test('[OB-6, OB-17] an edited letter waits no more for what it referred to', async () => {
    const device = await givenDevice()
    const item = await device.items.insert({ name: 'refused' })
    await device.lines.insert({ item, amount: 1 })
    await cut(device)
    await refuse(device, [1])
    await refuse(device, [2])
    const [, dead] = await entriesOf(device)
    await lettersOf(device).editAndRetry(dead?.id ?? '', { item: null })
    expect((await cut(device)).map(({ seqs }) => seqs)).toEqual([[3]])
  })

  test('[OB-6, OB-17] an edited letter does not wait for what waits for it', async () => {
    const device = await givenDevice()
    const line = await device.lines.insert({ amount: 1 })
    await cut(device)
    await refuse(device, [1])
    let item = ''
    await runTransaction(givenSchema, device.parts, async (tx) => {
      item = await tx.items!.insert({ name: 'a' })
      await tx.lines!.update(line, { item })
    })
    const [dead] = await entriesOf(device)
    await lettersOf(device).editAndRetry(dead?.id ?? '', { item })
    expect((await cut(device)).map(({ seqs }) => seqs)).toEqual([[4], [5], [6]])
  })

  test('[OB-6, OB-15] a letter that is tried again waits for the record that was made anew since it was written', async () => {
    const device = await givenDevice()
    const item = await givenSyncedItem(device)
    await device.lines.insert({ item, amount: 1 })
    await cut(device)
    await refuse(device, [2])
    await device.items.delete(item)
    await cut(device)
    await refuse(device, [3])
    await device.items.insert({ id: item, name: 'anew' })
    await lettersOf(device).retry((await entriesOf(device))[0]?.id ?? '')
    expect(await cut(device)).toEqual([])
    expect((await entriesOf(device)).at(-1)).toMatchObject({ collection: 'lines', depends: [4] })
    await lettersOf(device).retry((await entriesOf(device))[0]?.id ?? '')
    expect((await cut(device)).map(({ mutation: { collection, op } }) => [collection, op])).toEqual([
      ['items', 'delete'],
      ['items', 'create'],
      ['lines', 'create'],
    ])
  })

  test('[OB-6, OB-15] of two letters the one that stands on the other still does when both were tried again', async () => {
    const device = await givenDevice()
    const step = await device.steps.insert({ label: 'one' })
    await device.steps.update(step, { label: 'two' })
    const item = await device.items.insert({ name: 'a' })
    await device.lines.insert({ item, amount: 1 })
    await cut(device)
    for (const seq of [1, 2, 3, 4]) await refuse(device, [seq])
    const letters = lettersOf(device)
    for (const { id } of await letters.list()) await letters.retry(id)
    const [made, edited] = await entriesOf(device)
    expect(edited).toMatchObject({ after: made?.id, depends: [5] })
    expect((await entriesOf(device)).map(({ depends }) => depends)).toEqual([[], [5], [], [8]])
  })

  test('[OB-15] a letter that is tried again stays in front of later letters of its record', async () => {
    const device = await givenDevice()
    const step = await device.steps.insert({ label: 'one' })
    await device.steps.update(step, { label: 'two' })
    await cut(device)
    for (const seq of [1, 2]) await refuse(device, [seq])
    const letters = lettersOf(device)
    await letters.editAndRetry((await letters.list())[0]?.id ?? '', { label: 'other' })
    expect(await entriesOf(device)).toMatchObject([
      { seq: 3, op: 'create', status: 'pending', offer: null },
      { seq: 4, op: 'update', status: 'dead', offer: 4 },
    ])
    expect(await device.steps.get(step)).toMatchObject({ label: 'two' })
    expect((await cut(device)).map(({ seqs }) => seqs)).toEqual([[3]])
  })

  test('[OB-15] [PR-1] a record shows what was tried again behind what it stands on', async () => {
    const device = await givenDevice()
    const item = await device.items.insert({ name: 'a', stock: 15 })
    await cut(device)
    await device.items.increment(item, { stock: 7 })
    await refuse(device, [1, 2])
    const letters = lettersOf(device)
    const [create, count] = await entriesOf(device)
    await letters.editAndRetry(create?.id ?? '', { name: 'b' })
    await letters.retry(count?.id ?? '')
    expect((await entriesOf(device)).map(({ op }) => op)).toEqual(['create', 'update'])
    expect(await device.items.get(item)).toMatchObject({ name: 'b', stock: 22 })
  })

  test('[OB-17] a delete has nothing to edit', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    await device.items.delete(id)
    const [entry] = await entriesOf(device)
    await refuse(device, [entry?.seq ?? 0])
    await expect(lettersOf(device).editAndRetry(entry?.id ?? '', { name: 'a' })).rejects.toMatchObject({
      code: 'VALUE_INVALID',
    })
  })
})

describe('discard', () => {
  test('[OB-16] a discarded edit is as if it had never been: stacked edits stand on what lay beneath', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    await device.items.update(id, { name: 'refused', price: '2.00' })
    const [dead] = await entriesOf(device)
    await cut(device)
    await refuse(device, [dead?.seq ?? 0])
    await device.items.update(id, { name: 'stacked' })
    await lettersOf(device).discard(dead?.id ?? '')
    expect(await entriesOf(device)).toMatchObject([
      { after: null, payload: { changes: { name: 'stacked' }, base: { name: 'Laptop' } } },
    ])
    expect(await device.items.get(id)).toMatchObject({ name: 'stacked', price: '1.00', _state: 'pending' })
  })

  test('[OB-16] what the server has as well was seen there, and stays seen when a letter that says the same is discarded', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    await device.items.update(id, { name: 'same', price: '2.00' })
    const [dead] = await entriesOf(device)
    await cut(device)
    await refuse(device, [dead?.seq ?? 0])
    // Somebody else wrote the same, and the device has read it.
    await device.database.write((tx) =>
      tx.run("UPDATE _shadow SET data = json_set(data, '$.name', 'same'), version = version + 1"),
    )
    await device.items.update(id, { name: 'next', price: '3.00' })
    await lettersOf(device).discard(dead?.id ?? '')
    expect(await entriesOf(device)).toMatchObject([
      { payload: { changes: { name: 'next', price: '3.00' }, base: { name: 'same', price: '1.00' } } },
    ])
  })

  test('[OB-16] what is saved in a form that was opened at an older version keeps what it saw, when what was written since is discarded', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    await device.items.update(id, { name: 'mine' })
    const seen = await device.items.get(id)
    await device.items.update(id, { name: 'other' })
    // What somebody else wrote has been read, and is decided against.
    await device.database.write(async (tx) => {
      await tx.run("UPDATE _shadow SET data = json_set(data, '$.name', 'theirs'), version = version + 1")
      await tx.run('UPDATE items SET _version = _version + 1')
    })
    await device.items.update(id, { name: 'mine' })
    const decision = (await entriesOf(device)).at(-1)
    await refuse(device, [decision?.seq ?? 0])
    await device.items.update(id, { name: 'typed' }, seen)
    await lettersOf(device).discard(decision?.id ?? '')
    expect((await entriesOf(device)).at(-1)?.payload).toMatchObject({
      changes: { name: 'typed' },
      base: { name: 'mine' },
    })
  })

  test('[OB-16] [PU-37] what stood on a letter that had overtaken another edit stands on that when the letter is discarded', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    await device.items.update(id, { name: 'waits' })
    await device.items.update(id, { price: '2.00' })
    // It went ahead, and named nothing that the server did not know.
    const [waits, letter] = await entriesOf(device)
    const seq = letter?.seq ?? 0
    await device.database.write((tx) => tx.run('UPDATE _outbox SET after = NULL WHERE seq = ?', [seq]))
    await refuse(device, [seq])
    await device.items.update(id, { name: 'later' })
    await lettersOf(device).discard(letter?.id ?? '')
    expect((await entriesOf(device)).map(({ after }) => after)).toEqual([null, waits?.id])
  })

  test('[OB-16] an edit that was retried keeps what it saw when a later one that saw it is discarded', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    await device.items.update(id, { name: 'first' })
    await cut(device)
    await device.items.update(id, { name: 'second' })
    const [first, second] = await entriesOf(device)
    await refuse(device, [first?.seq ?? 0, second?.seq ?? 0])
    await lettersOf(device).retry(first?.id ?? '')
    await device.items.update(id, { name: 'third' })
    await lettersOf(device).discard(second?.id ?? '')
    expect((await entriesOf(device)).map(({ payload }) => [payload.base, payload.changes])).toEqual([
      [{ name: 'Laptop' }, { name: 'first' }],
      [{ name: 'first' }, { name: 'third' }],
    ])
  })

  test('[OB-16] a discarded create takes the later mutations of its record with it, and nothing is left of it', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    const other = await device.items.insert({ name: 'other' })
    await cut(device)
    await refuse(device, [1])
    const receipt = await device.items.update(id, { name: 'b' })
    const verdict = receipt.verdict()
    const { mutations } = await lettersOf(device).discard((await entriesOf(device))[0]?.id ?? '')
    expect(mutations).toHaveLength(2)
    expect(await verdict).toEqual({ status: 'nothing', version: null })
    expect(await device.database.all('SELECT id FROM items')).toMatchObject([{ id: other }])
    expect(await device.database.all('SELECT * FROM _deleted')).toEqual([])
  })

  test('[OB-6] [OB-16] what refers to a record that was made twice waits for the first making when the second is discarded', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await cut(device)
    await refuse(device, [1])
    await device.items.delete(id)
    await device.items.insert({ id, name: 'again' })
    await refuse(device, [3])
    await device.lines.insert({ item: id })
    const depends = async () =>
      (await device.database.all("SELECT depends FROM _outbox WHERE collection = 'lines'"))[0]?.['depends']
    expect(await depends()).toBe('3')
    await lettersOf(device).discard((await entriesOf(device))[2]?.id ?? '')
    expect(await depends()).toBe('1')
  })

  test('[OB-16] a discarded delete brings the record back as the server has it', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    await device.items.delete(id)
    const [dead] = await entriesOf(device)
    await refuse(device, [dead?.seq ?? 0])
    await lettersOf(device).discard(dead?.id ?? '')
    expect(await device.items.get(id)).toMatchObject({
      name: 'Laptop',
      stock: 10,
      _version: 5,
      _state: 'clean',
    })
    expect(
      await device.database.all('SELECT record FROM _shadow UNION ALL SELECT record FROM _deleted'),
    ).toEqual([])
    expect(await device.database.all('SELECT * FROM _outbox')).toEqual([])
  })

  test('[OB-16, RB-6] an insert over a discarded delete leaves the record as old as it is', async () => {
    const device = await givenDevice()
    const id = await givenSyncedItem(device)
    const old = await device.items.get(id)
    device.clock.nowMs += 1_000
    await device.items.delete(id)
    const [dead] = await entriesOf(device)
    await refuse(device, [dead?.seq ?? 0])
    await device.items.insert({ id, name: 'again' })
    expect((await device.items.get(id))?._created_at).toBe('2026-11-20T10:00:01.000Z')
    await lettersOf(device).discard(dead?.id ?? '')
    expect(await device.items.get(id)).toMatchObject({ name: 'again', _created_at: old?._created_at })
  })
})

describe('waits', () => {
  test('[OB-19] a mutation that waits for its next attempt can be sent at once, with all it travels with', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'a' })
    await device.items.update(id, { name: 'b' })
    const offers = await cut(device)
    await device.database.write((tx) =>
      updateEntries(tx, [1, 2], { set: "status = 'pending', next_attempt_at = ?", params: [1e15] }),
    )
    expect(await cut(device)).toEqual([])
    const outbox = createOutboxApi(device.database)
    await outbox.retry((await outbox.list())[1]?.id ?? '')
    expect(await cut(device)).toEqual(offers)
    await expect(outbox.retry('nothing')).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' })
  })

  test('[OB-1] numbers are dense and never used twice, although the newest entries leave', async () => {
    const device = await givenDevice()
    await device.items.insertMany([{ name: 'a' }, { name: 'b' }])
    await cut(device)
    await device.database.write((tx) =>
      markAnswered(tx, [1, 2], { status: 'applied', version: 1, serverUpdatedAt: null, exact: true }),
    )
    await device.database.write((tx) => tx.run('DELETE FROM _outbox'))
    await device.items.insert({ name: 'c' })
    await device.database.write((tx) => tx.run('DELETE FROM _outbox'))
    await device.items.insertMany([{ name: 'd' }, { name: 'e' }])
    expect((await entriesOf(device)).map((entry) => entry.seq)).toEqual([4, 5])
  })
})
