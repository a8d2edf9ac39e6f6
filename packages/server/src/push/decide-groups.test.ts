import { collection, counter, defineSchema, text } from '@holdfast/core'
import { expect, test } from 'vitest'
import { givenEngine } from '../given-engine.ts'

const places = collection({
  fields: {
    warehouse: text(),
    street: text(),
    city: text(),
    country: text({ default: 'CH' }),
    visits: counter(),
    note: text({ default: '' }),
  },
  scope: 'warehouse:{warehouse}',
  groups: { address: ['street', 'city', 'country'] },
})
const schema = defineSchema({ version: 1, collections: { places } })
const base = { street: 'S 1', city: 'Bern' }

test.each([
  ['nobody else changed any of them', { note: 'new' }, 'applied'],
  ['somebody else changed the one that the app has not', { country: 'IT' }, 'conflict'],
  ['somebody else changed another of them', { street: 'T 2' }, 'conflict'],
])('[ME-13] of fields that merge as one an app of before knows some: %s', async (_, theirs, status) => {
  const given = await givenEngine({ schema })
  const [ann, bob] = [given.device(), given.device('bob')]
  const place = ann.create('places', { warehouse: '1', ...base })
  await ann.push(place)
  const seen = { note: '', country: 'CH', street: 'S 1', city: 'Bern' }
  await bob.push(bob.update(place, theirs, { base: seen, baseVersion: 1 }))
  await bob.push(bob.update(place, {}, { increments: { visits: 1 }, baseVersion: 2 }))
  const move = ann.update(place, { city: 'Thun' }, { base, baseVersion: 1 })
  expect(await ann.pushOne(move)).toMatchObject({ status })
  const after = status === 'applied' ? 'Thun' : 'Bern'
  expect(await given.rows('SELECT city FROM places')).toEqual([{ city: after }])
  await given.close()
})

test('[ME-13] its author is not asked about what they did before themselves', async () => {
  const given = await givenEngine({ schema })
  const ann = given.device()
  const place = ann.create('places', { warehouse: '1', ...base })
  const moved = ann.update(place, { city: 'Thun' }, { base, after: place.id })
  const again = ann.update(place, { street: 'T 2' }, { base: { ...base, city: 'Thun' }, after: moved.id })
  await ann.push(place)
  expect(await ann.push(moved, again)).toMatchObject([{ status: 'applied' }, { status: 'applied' }])
  expect(await given.rows('SELECT street, city FROM places')).toEqual([{ street: 'T 2', city: 'Thun' }])
  await given.close()
})
