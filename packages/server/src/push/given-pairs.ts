import { collection, type CollectionDeclaration, defineSchema, text, type Values } from '@holdfast/core'
import type { GivenOptions } from '../given-engine.ts'

/** A schema with one collection of two texts. */
export function pairs(more: Omit<CollectionDeclaration, 'fields'>): GivenOptions {
  const fields = { warehouse: text({ default: '1' }), left: text(), right: text() }
  return {
    schema: defineSchema({
      version: 1,
      collections: { pairs: collection({ scope: 'warehouse:{warehouse}', fields, ...more }) },
    }),
  }
}

/** Values of a row of it. */
export function pair(values: Values = {}): Values {
  return { warehouse: '1', left: 'l', right: 'r', ...values }
}
