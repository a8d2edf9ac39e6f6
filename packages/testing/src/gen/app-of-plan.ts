import type { Json, Schema, Values } from '@holdfast/core'

import type { Plan } from '../sim/plan.ts'
import { earlierEven, earlierMix, evenSchema, mixSchema } from './mix-schema.ts'
import { type App, randomApp } from './random-app.ts'

/** The app that a plan names, and the one of before. */
export function appOf({ isEven, schemaSeed }: Pick<Plan, 'isEven' | 'schemaSeed'>): App {
  if (schemaSeed !== undefined) return randomApp(schemaSeed)
  return isEven ? { schema: evenSchema, earlier: earlierEven } : { schema: mixSchema, earlier: earlierMix }
}

/** A schema that there has always been. */
export function onlyApp(schema: Schema): App {
  return { schema, earlier: schema }
}

/** What rows have in the columns that the app of before did not know, until somebody writes to them; by collection. */
export function newColumns({ schema, earlier }: App): { readonly [collection: string]: Values } {
  const columns: Record<string, Values> = {}
  for (const { name, fields } of schema.collections.values()) {
    const known = earlier.collections.get(name)?.fieldsByName
    const added = known ? fields.filter((field) => !known.has(field.name)) : []
    columns[name] = Object.fromEntries(
      added.map((field): [string, Json] => [field.name, field.default ?? null]),
    )
  }
  return columns
}
