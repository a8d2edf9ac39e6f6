import { collection, counter, defineSchema, text, transitions } from '@holdfast/core'
import { expect, test } from 'vitest'
import { updatePayload } from './payload-of-call.ts'

const schema = defineSchema({
  version: 1,
  collections: {
    items: collection({
      fields: {
        stock: counter(),
        state: text({ default: 'draft', merge: transitions({ draft: ['toString'] }) }),
      },
    }),
  },
})
const items = schema.collections.get('items')!
const most = Number.MAX_SAFE_INTEGER

test('[WR-5] a counter that is set so far from what it is that the difference is not exact is refused', () => {
  const row = { stock: -most, state: 'draft' }
  expect(() => updatePayload(items, row, { stock: most })).toThrow(
    expect.objectContaining({ code: 'VALUE_INVALID', at: 'items.stock' }),
  )
  expect(updatePayload(items, row, { stock: 0 })).toMatchObject({ increments: { stock: most } })
})

test('[WR-3] a step out of a state that has the name of something every object has is refused like any other', () => {
  const row = { stock: 0, state: 'toString' }
  expect(() => updatePayload(items, row, { state: 'draft' })).toThrow(
    expect.objectContaining({ code: 'TRANSITION_REFUSED' }),
  )
})
