import { collection, defineSchema, text } from '@holdfast/core'
import { expect, test } from 'vitest'

import { readHistory } from './record-history.ts'

const schema = defineSchema({
  version: 1,
  collections: { items: collection({ fields: { name: text(), wh: text() }, scope: 'w:{wh}' }) },
})

test('[CF-7] [AP-8] a value that lost in a field which only a newer app has is no value to bring back', async () => {
  const lost = ['name', 'colour'].map((field) => ({
    field,
    value: 'grey',
    rule: 'latest',
    user: 'ann',
    at: '',
  }))
  const history = [{ op: 'update', after: { colour: 'red' } }]
  const ask = () => Promise.resolve({ body: { history, lost } })
  const told = await readHistory(ask, schema, { collection: 'items', record: 'r1' })
  expect(told.lost.map(({ field }) => field)).toEqual(['name'])
  expect(told.history).toMatchObject(history)
  expect((await readHistory(ask, schema, { collection: 'shelves', record: 'r1' })).lost).toEqual([])
})
