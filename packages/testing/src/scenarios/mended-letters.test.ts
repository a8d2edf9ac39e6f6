import type { Client } from '@holdfast/client'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { givenPeople, type People } from './given-people.ts'
import { type ShopSchema, shopSchema } from './shop-world.ts'

type Shop = Client<ShopSchema>

let people: People<ShopSchema>

beforeEach(async () => {
  people = await givenPeople(shopSchema, ['w:w1'])
})

afterEach(() => people.close())

const open = (user: string): Promise<Shop> => people.open(user)
const sync = (...all: readonly Shop[]): Promise<void> => people.sync(...all)

/** An item that everybody has, and one that is no shelf: what lies on it is refused. */
async function givenItem(...all: Shop[]): Promise<{ readonly id: string; readonly noShelf: string }> {
  const made = await all[0]?.items.insertMany([{ name: 'Rope', price: '1.00', stock: 5 }, { name: 'Line' }])
  await sync(...all)
  const [id = '', noShelf = ''] = made ?? []
  return { id, noShelf }
}

const letterOf = async (db: Shop, at: number): Promise<string> =>
  (await db.deadLetters.list())[at]?.mutations[0]?.id ?? ''

test.each(['mended', 'left to what stood there', 'discarded'])(
  '[OB-17] [OB-16] nobody is asked about their own edit, where one that was refused stands on another that is %s',
  async (how) => {
    const ann = await open('ann')
    const { id, noShelf } = await givenItem(ann)
    const shelf = await ann.shelves.insert({ label: 'S' })
    await ann.transaction(async (tx) => {
      await tx.items.update(id, { shelf: noShelf, stock: 6 })
      await tx.items.update(noShelf, { note: 'with it' })
    })
    await ann.items.update(id, { shelf: id, name: 'Cord' })
    await sync(ann)
    expect((await ann.deadLetters.list()).map(({ error }) => error.code)).toEqual([
      'REFERENCE_MISSING',
      'DEPENDENCY_FAILED',
    ])
    const first = await letterOf(ann, 0)
    if (how === 'mended') await ann.deadLetters.editAndRetry(first, { shelf })
    else if (how === 'discarded') await ann.deadLetters.discard(first)
    else await ann.deadLetters.editAndRetry(first, { shelf: null }, await ann.items.get(id))
    await sync(ann)
    const other = how === 'mended' ? null : shelf
    await ann.deadLetters.editAndRetry(await letterOf(ann, 0), { shelf: other }, await ann.items.get(id))
    await sync(ann)
    expect(await ann.conflicts.list()).toEqual([])
    const stock = how === 'discarded' ? 5 : 6
    expect(await ann.items.get(id)).toMatchObject({ name: 'Cord', shelf: other, stock, _state: 'clean' })
  },
)

test('[OB-17] what was written on a letter saw what it is made to say of a field that it had not touched', async () => {
  const ann = await open('ann')
  const { id, noShelf } = await givenItem(ann)
  await ann.items.update(id, { shelf: noShelf })
  await sync(ann)
  await ann.items.update(id, { price: '2.00' })
  await ann.items.update(id, { name: 'Cord', price: '3.00' })
  await ann.deadLetters.editAndRetry(
    await letterOf(ann, 0),
    { shelf: null, name: 'Twine', price: '4.00' },
    await ann.items.get(id),
  )
  expect(await ann.items.get(id)).toMatchObject({ name: 'Cord', price: '3.00' })
  await sync(ann)
  expect(await ann.conflicts.list()).toEqual([])
  expect(await ann.items.get(id)).toMatchObject({ name: 'Cord', price: '3.00', _state: 'clean' })
})

test('[WR-14] [OB-17] what others wrote, and no form of a letter showed, is met in a field that the letter had not touched', async () => {
  const [ann, bob] = [await open('ann'), await open('bob')]
  const { id, noShelf } = await givenItem(ann, bob)
  await ann.items.update(id, { shelf: noShelf })
  await sync(ann)
  const shown = await ann.items.get(id)
  await bob.items.update(id, { price: '2.00', name: 'Cord' })
  await sync(bob, ann)
  await ann.deadLetters.editAndRetry(await letterOf(ann, 0), { shelf: null, price: '3.00' }, shown)
  await sync(ann, ann)
  expect(await ann.conflicts.list()).toMatchObject([
    { parts: [{ fields: ['price'], mine: { price: '3.00' }, theirs: { price: '2.00' } }] },
  ])
  expect(await bob.items.get(id)).toMatchObject({ price: '2.00', name: 'Cord' })
})

test.each([true, false])(
  '[OB-17] who types back what stood before their refused edit is asked where others wrote something else (a form: %s)',
  async (isForm) => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const { id, noShelf } = await givenItem(ann, bob)
    await ann.items.update(id, { shelf: noShelf, name: 'Cord' })
    await sync(ann)
    await bob.items.update(id, { name: 'Twine' })
    await sync(bob, ann)
    const shown = isForm ? await ann.items.get(id) : undefined
    await ann.deadLetters.editAndRetry(await letterOf(ann, 0), { shelf: null, name: 'Rope' }, shown)
    expect(await ann.items.get(id)).toMatchObject({ shelf: null, name: 'Rope' })
    await sync(ann, ann)
    expect(await ann.conflicts.list()).toMatchObject([
      { parts: [{ fields: ['name'], mine: { name: 'Rope' }, theirs: { name: 'Twine' } }] },
    ])
  },
)

test('[PL-9] [OB-17] of a record that was made, deleted and made again, of which the making is mended and the deletion given up, all show the same', async () => {
  const [ann, bob] = [await open('ann'), await open('bob')]
  const { id: other, noShelf } = await givenItem(ann, bob)
  const id = await ann.transaction(async (tx) => {
    await tx.items.update(other, { note: 'with it' })
    return tx.items.insert({ name: 'Tape', shelf: noShelf, tags: ['old'] })
  })
  await ann.items.delete(id)
  await sync(ann)
  await ann.items.insert({ id, name: 'Tape again', tags: [] })
  const [making] = await ann.deadLetters.list()
  const create = making?.mutations.find(({ op }) => op === 'create')
  await ann.deadLetters.editAndRetry(create?.id ?? '', { shelf: null })
  await sync(ann)
  await ann.deadLetters.discard(await letterOf(ann, 0))
  await sync(ann, ann, bob, ann)
  expect(await ann.outbox.list()).toEqual([])
  expect(await ann.items.get(id)).toMatchObject({ name: 'Tape again', tags: [] })
  expect(await bob.items.get(id)).toEqual(await ann.items.get(id))
})

test.each(['changes it', 'changes it, and only a pull tells', 'leaves it as it is'])(
  '[OB-24] nobody is asked about their own deletion, where an earlier edit of theirs that had waited goes in a batch before it and %s',
  async (what) => {
    const [ann, bob] = [await open('ann'), await open('bob')]
    const { id, noShelf } = await givenItem(ann, bob)
    // Out of ann's scopes: refused, and put right later.
    const [first = '', second = ''] = await ann.shelves.insertMany([
      { label: 'S', wh: 'w9' },
      { label: 'T', wh: 'w9' },
    ])
    await sync(ann)
    await ann.transaction(async (tx) => {
      await tx.items.update(noShelf, { shelf: first })
      await tx.items.update(id, { name: 'Cord' })
    })
    if (what === 'leaves it as it is') await bob.items.update(id, { name: 'Cord' })
    await sync(bob, ann)
    await ann.items.update(id, { price: '2.00' })
    await ann.transaction(async (tx) => {
      await tx.items.update(noShelf, { shelf: second })
      await tx.items.delete(id)
    })
    await sync(ann)
    let isLost = false
    people.env.connect(async (request) => {
      const answer = await people.server.fetch(request)
      return isLost && request.url.endsWith('/push') ? new Response('', { status: 504 }) : answer
    })
    for (const at of [0, 1]) {
      expect(await ann.items.get(id)).toBeUndefined()
      expect((await ann.outbox.list()).at(-1)).toMatchObject({ op: 'delete', status: 'pending' })
      await ann.deadLetters.editAndRetry(await letterOf(ann, 0), { wh: 'w1' })
      isLost = what === 'changes it, and only a pull tells' && at === 0
      for (let cycle = 0; isLost && cycle < 4; cycle++)
        await people.env.complete(ann.sync.now().catch(() => undefined))
      isLost = false
      await sync(ann)
    }
    expect(await ann.conflicts.list()).toEqual([])
    expect(await ann.outbox.list()).toEqual([])
    await sync(bob)
    expect(await bob.items.get(id)).toBeUndefined()
  },
)

test.each(['and read back', 'and not read back'])(
  '[OB-24] nobody is asked about their own deletion, where it goes with a refused edit that is tried again behind one that was taken %s',
  async (what) => {
    const ann = await open('ann')
    const { id, noShelf } = await givenItem(ann)
    await ann.items.update(id, { shelf: noShelf })
    await sync(ann)
    let isLost = what === 'and not read back'
    people.env.connect((request) =>
      isLost && request.url.includes('/pull')
        ? Promise.resolve(new Response('', { status: 504 }))
        : people.server.fetch(request),
    )
    await ann.items.update(id, { name: 'Cord' })
    await people.env.complete(ann.sync.now().catch(() => undefined))
    isLost = false
    await ann.deadLetters.editAndRetry(await letterOf(ann, 0), { shelf: null })
    await ann.items.delete(id)
    await sync(ann, ann)
    expect([await ann.conflicts.list(), await ann.outbox.list()]).toEqual([[], []])
    expect(await ann.items.get(id)).toBeUndefined()
  },
)

test('[OB-16] nobody is asked about what they had seen, where they give up a decision that came too late, behind one that they mend', async () => {
  const [ann, bob] = [await open('ann'), await open('bob')]
  const { id, noShelf } = await givenItem(ann, bob)
  await bob.items.update(id, { price: '2.00' })
  await sync(bob)
  await ann.items.update(id, { price: '3.00' })
  await sync(ann, bob)
  const conflict = (await ann.conflicts.list())[0]?.id ?? ''
  await ann.conflicts.merge(conflict, { price: '4.00', shelf: noShelf })
  await sync(ann)
  await ann.conflicts.merge(conflict, { price: '5.00' })
  await bob.conflicts.merge(conflict, { price: '5.00' })
  await sync(bob, ann)
  expect(await letterOf(ann, 1)).not.toBe('')
  await ann.items.update(id, { price: '6.00' })
  await ann.deadLetters.editAndRetry(await letterOf(ann, 0), { shelf: null })
  await ann.deadLetters.discard(await letterOf(ann, 0))
  await sync(ann, bob)
  expect(await ann.conflicts.list()).toEqual([])
  await ann.deadLetters.discard(await letterOf(ann, 0))
  for (const db of [ann, bob])
    expect(await db.items.get(id)).toMatchObject({ price: '6.00', _state: 'clean' })
})
