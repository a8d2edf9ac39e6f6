import { collection, counter, defineSchema, type RecordSnapshot, text } from '@holdfast/core'
import { expect, test } from 'vitest'

import { isUpToIt } from './forms.ts'

const fields = { name: text(), office: text({ merge: 'server' }), stock: counter() }
const schema = defineSchema({
  version: 1,
  collections: { items: collection({ fields }), lines: collection({ fields, onDelete: 'delete' }) },
})

function expects(name: 'items' | 'lines', field: string, server: RecordSnapshot): boolean {
  const shown = { name: 'Rope', office: 'east', stock: 1 }
  const facts = schema.collections.get(name)
  return facts !== undefined && isUpToIt(facts, field, { row: shown, server })
}

const live = (office: string): RecordSnapshot => ({
  kind: 'live',
  version: 2,
  values: { name: 'Cord', office, stock: 4 },
})

test('[SIM-102] a mended letter reads as typed in where people decide, and over what they were shown', () => {
  for (const field of ['name', 'stock']) expect(expects('items', field, live('west'))).toBe(true)
  expect(expects('items', 'office', live('east'))).toBe(true)
  expect(expects('items', 'name', { kind: 'deleted', version: 2, values: null })).toBe(true)
})

test('[SIM-102] not where a rule decides against what nobody was shown, or edits yield to the deletion', () => {
  expect(expects('items', 'office', live('west'))).toBe(false)
  expect(expects('lines', 'stock', { kind: 'deleted', version: 2, values: null })).toBe(false)
  const absent = { kind: 'absent' } as const
  expect(['name', 'stock', 'office'].map((field) => expects('items', field, absent))).toEqual([
    true,
    true,
    false,
  ])
})
