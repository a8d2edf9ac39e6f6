import { collection, defineSchema, reference, text } from '@holdfast/core'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { givenPeople, type People } from './given-people.ts'

const fields = { name: text(), note: text(), place: text() }
const rooms = collection({
  fields: {
    label: text(),
    office: text({ merge: 'server', default: '' }),
    street: text({ default: '' }),
    house: text({ default: '' }),
    above: reference('items', { optional: true }),
  },
  groups: { address: ['street', 'house'] },
})
const schema = defineSchema({
  version: 1,
  collections: { items: collection({ fields }), deeds: collection({ fields, strict: true }), rooms },
})
let people: People<typeof schema>

beforeEach(async () => {
  people = await givenPeople(schema, [])
})

afterEach(() => people.close())

const open: (typeof people)['open'] = (user) => people.open(user)
const sync: (typeof people)['sync'] = (...all) => people.sync(...all)

/** What Ann and Ben have, and the row as Ann's form shows it, before Ben changed its note. */
async function givenOpenForm(name: 'items' | 'deeds') {
  const [ann, ben] = [await open('ann'), await open('ben')]
  const id = await ann[name].insert({ name: 'beam', note: 'dry', place: 'dock' })
  await sync(ann, ben)
  const seen = await ann[name].get(id)
  await ben[name].update(id, { note: 'wet' })
  await sync(ben, ann)
  expect(await ann[name].get(id)).toMatchObject({ note: 'wet' })
  return { ann, id, seen }
}

test('[WR-14] what others wrote since a form was opened is met, also behind an edit of one’s own', async () => {
  const { ann, id, seen } = await givenOpenForm('items')
  await ann.items.update(id, { place: 'hall' })
  await ann.items.update(id, { note: 'gone' }, seen)
  await sync(ann)
  await sync(ann)
  expect(await ann.conflicts.list()).toMatchObject([{ parts: [{ fields: ['note'] }] }])
})

test('[WR-14] in a strict collection, too, any change of the record is', async () => {
  const { ann, id, seen } = await givenOpenForm('deeds')
  await ann.deeds.update(id, { place: 'hall' })
  await ann.deeds.update(id, { name: 'girder' }, seen)
  await sync(ann)
  await sync(ann)
  expect(await ann.conflicts.list()).toHaveLength(1)
})

/** A room of which Ann has a refused edit, and what both have read since Ben wrote. */
async function givenOpenLetter(mine: Partial<RoomValues>, theirs: Partial<RoomValues>) {
  const [ann, ben] = [await open('ann'), await open('ben')]
  const id = await ann.rooms.insert({ label: 'A', office: 'east', street: 'Elm', house: '1' })
  await sync(ann, ben)
  await ann.rooms.update(id, { ...mine, above: id })
  await sync(ann)
  const [letter] = await ann.deadLetters.list()
  const write = async (values: Partial<RoomValues>) => {
    await ben.rooms.update(id, values)
    await sync(ben, ann)
  }
  await write(theirs)
  return { ann, ben, id, letter: letter!.id, write, shown: await ann.rooms.get(id) }
}

interface RoomValues {
  readonly label: string
  readonly office: string
  readonly street: string
  readonly house: string
}

test('[WR-14] what a dead letter is mended with, over what others wrote and its author was shown, stands', async () => {
  const { ann, ben, id, letter, shown } = await givenOpenLetter({ office: 'west' }, { office: 'north' })
  expect(shown?.office).toBe('north')
  await ann.deadLetters.editAndRetry(letter, { office: 'south', above: null }, shown)
  expect(await ann.rooms.get(id)).toMatchObject({ office: 'south' })
  await sync(ann, ben)
  for (const db of [ann, ben]) expect(await db.rooms.get(id)).toMatchObject({ office: 'south' })
})

test('[WR-14] what others wrote, and no form of a dead letter showed, is met in what merges as one with what it is mended in', async () => {
  const { ann, letter, write, shown } = await givenOpenLetter({}, {})
  await write({ street: 'Oak' })
  await ann.deadLetters.editAndRetry(letter, { house: '9', above: null }, shown)
  await sync(ann)
  expect(await ann.conflicts.list()).toHaveLength(1)
})

test('[OB-17] of fields that merge as one nothing is said where each is put back to what it was', async () => {
  const { ann, ben, id, letter } = await givenOpenLetter({ house: '9' }, {})
  await ben.rooms.update(id, { street: 'Oak' })
  await sync(ben)
  await ann.deadLetters.editAndRetry(letter, { house: '1', above: null })
  await sync(ann)
  expect(await ann.conflicts.list()).toEqual([])
  await sync(ann, ben)
  for (const db of [ann, ben]) expect(await db.rooms.get(id)).toMatchObject({ street: 'Oak', house: '1' })
})
