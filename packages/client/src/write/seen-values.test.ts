import { limits } from '@holdfast/core'
import { describe, expect, test } from 'vitest'

import { type GivenDevice, givenDevice, givenSchema } from '../local/given-device.ts'
import { createDeadLetters, type DeadLettersApi } from '../outbox/dead-letters.ts'
import type { Entry } from '../outbox/entry.ts'
import { cutBatch } from '../outbox/cut-batch.ts'
import { listEntries, markDead } from '../outbox/outbox.ts'

const entriesOf = ({ database }: GivenDevice): Promise<Entry[]> => database.read((tx) => listEntries(tx))
const lettersOf = ({ database, parts }: GivenDevice): DeadLettersApi =>
  createDeadLetters(database, parts.context)

/** A record that the server has, as a pull would leave it. */
async function givenItem(device: GivenDevice): Promise<string> {
  const id = await device.items.insert({
    name: 'Rope',
    price: '1.00',
    stock: 10,
    tags: ['a', 'b'],
    city: 'Ulm',
  })
  await device.database.write(async (tx) => {
    await tx.run('DELETE FROM _outbox')
    await tx.run("UPDATE items SET _version = 5, _state = 'clean'")
  })
  return id
}

/** What another person did meanwhile, as a pull would bring it. */
function bring({ database }: GivenDevice, assignments: string): Promise<unknown> {
  return database.write((tx) => tx.run(`UPDATE items SET ${assignments}, _version = _version + 1`))
}

/** The server refuses all that there is. Returns the id of the letter. */
async function refused(device: GivenDevice): Promise<string> {
  await device.database.write((tx) =>
    cutBatch(tx, givenSchema, { nowMs: 0, maxMutations: 50, maxBytes: 1e6 }),
  )
  const [entry] = await entriesOf(device)
  await device.database.write((tx) => markDead(tx, [entry?.seq ?? 0], { code: 'SCOPE_DENIED', message: '' }))
  return entry?.id ?? ''
}

describe('an update of what was seen before', () => {
  test('[WR-14] says what its author saw, also where others have written since', async () => {
    const device = await givenDevice()
    const id = await givenItem(device)
    const seen = await device.items.get(id)
    await bring(device, "price = '2.00', name = 'Long rope'")
    await device.items.update(id, { price: '3.00', name: 'Rope', note: 'mine' }, seen)
    expect(await entriesOf(device)).toMatchObject([
      {
        baseVersion: 5,
        payload: { changes: { price: '3.00', note: 'mine' }, base: { price: '1.00', note: null } },
      },
    ])
    expect(await device.items.get(id)).toMatchObject({ price: '3.00', name: 'Long rope', note: 'mine' })
  })

  test('[WR-14] takes a version that is none for one that was not told', async () => {
    const device = await givenDevice()
    const id = await givenItem(device)
    for (const [n, _version] of [Number.NaN, -1, 1e300, 9].entries())
      await device.items.update(id, { note: `${n}` }, { note: null, _version })
    expect((await entriesOf(device)).map(({ baseVersion }) => baseVersion)).toEqual([5, 5, 5, 5])
  })

  test('[WR-14] adds to a counter and a set what was done to them, whatever they are by now', async () => {
    const device = await givenDevice()
    const id = await givenItem(device)
    const seen = await device.items.get(id)
    await bring(device, `stock = 4, tags = '["a","c","new"]'`)
    await device.items.update(id, { stock: 12, tags: ['a', 'new'] }, seen)
    expect(await device.items.get(id)).toMatchObject({ stock: 6, tags: ['a', 'c', 'new'] })
    const [entry] = await entriesOf(device)
    expect(entry?.payload).toMatchObject({ increments: { stock: 2 }, additions: {}, removals: {} })
  })

  test('[WR-14] of fields that merge as one tells all as they were seen', async () => {
    const device = await givenDevice()
    const id = await givenItem(device)
    const seen = await device.items.get(id)
    await bring(device, "city = 'Bonn'")
    await device.items.update(id, { street: 'Main' }, seen)
    const [entry] = await entriesOf(device)
    expect(entry?.payload).toMatchObject({
      changes: { street: 'Main', city: 'Ulm' },
      base: { street: null, city: 'Ulm' },
    })
  })

  test('[WR-14] writes nothing where nothing was done, and refuses what no row holds', async () => {
    const device = await givenDevice()
    const id = await givenItem(device)
    const seen = await device.items.get(id)
    await bring(device, "price = '2.00'")
    expect((await device.items.update(id, { price: '1.00' }, seen)).mutation).toBeNull()
    const wrong = { price: 7 } as unknown as { readonly price: string }
    await expect(device.items.update(id, { price: '3.00' }, wrong)).rejects.toMatchObject({
      code: 'VALUE_INVALID',
    })
    const other = await device.items.insert({ name: 'Chain' })
    await device.database.write((tx) => tx.run('DELETE FROM _outbox'))
    await expect(device.items.update(other, { price: '3.00' }, seen)).rejects.toMatchObject({
      code: 'VALUE_INVALID',
    })
    await expect(
      device.items.update(id, { state: 'paid' }, { ...seen, state: 'sent' }),
    ).rejects.toMatchObject({
      code: 'TRANSITION_REFUSED',
    })
    expect(await entriesOf(device)).toEqual([])
  })
})

describe('a dead letter that is edited as it was seen', () => {
  test('[OB-17] is changed by what was done to its counters and sets', async () => {
    const device = await givenDevice()
    const id = await givenItem(device)
    await device.items.update(id, { stock: 13, tags: ['a', 'b', 'mine'] })
    const letter = await refused(device)
    await device.items.increment(id, { stock: 100 })
    const seen = await device.items.get(id)
    await lettersOf(device).editAndRetry(
      letter,
      { stock: (seen?.stock ?? 0) - 1, tags: ['a', 'b', 'other'] },
      seen,
    )
    expect(await device.items.get(id)).toMatchObject({ stock: 112, tags: ['a', 'b', 'other'] })
    const edited = (await entriesOf(device)).find(({ payload }) => payload.additions['tags'] !== undefined)
    expect(edited?.payload).toMatchObject({ increments: { stock: 2 }, additions: { tags: ['other'] } })
  })

  test('[OB-17] that made its record keeps what came behind it out of its values', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'Rope', stock: 5 })
    const letter = await refused(device)
    await device.items.increment(id, { stock: 2 })
    await lettersOf(device).editAndRetry(letter, { stock: 8 }, await device.items.get(id))
    expect(await device.items.get(id)).toMatchObject({ stock: 8 })
  })
  test('[VAL-5] [OB-17] holds the members of a set in their order, and shows them so', async () => {
    const device = await givenDevice()
    const id = await device.items.insert({ name: 'Rope', tags: ['m', 'z'] })
    await lettersOf(device).editAndRetry(await refused(device), { tags: ['z', 'a'] }, { tags: ['m', 'z'] })
    expect((await device.items.get(id))?.tags).toEqual(['a', 'z'])
    expect((await entriesOf(device))[0]?.payload.changes['tags']).toEqual(['a', 'z'])
  })

  test('[OB-17] is not made what no row holds', async () => {
    const device = await givenDevice()
    await device.items.insert({ name: 'Rope', stock: Number.MAX_SAFE_INTEGER, tags: ['a'] })
    const [letter, letters] = [await refused(device), lettersOf(device)]
    await expect(letters.editAndRetry(letter, { stock: 1 }, { stock: 0 })).rejects.toMatchObject({
      code: 'VALUE_INVALID',
    })
    const tags = Array.from({ length: limits.setMembers }, (_, index) => `tag ${index}`)
    await expect(letters.editAndRetry(letter, { tags }, { tags: [] })).rejects.toMatchObject({
      code: 'VALUE_TOO_LARGE',
    })
    const long = 'x'.repeat(limits.textLength)
    await expect(
      letters.editAndRetry(letter, { note: long, street: long, city: long }),
    ).rejects.toMatchObject({
      code: 'VALUE_TOO_LARGE',
    })
    expect((await entriesOf(device))[0]).toMatchObject({ id: letter, status: 'dead' })
  })
})
