import { compileQuery, type QueryBuilder } from '@holdfast/client'

import { toErrorInfo, type ErrorInfo } from '../error-info.ts'

/** A query that was built, or why it cannot be. */
export type BuiltQuery =
  | { readonly key: string; readonly error: null }
  | { readonly key: null; readonly error: ErrorInfo | null }

/**
 * A query is known by its SQL and what is bound to it: two renders that build the same query share it, whatever the
 * functions that built it, and a value that changed makes another one. There is no list of dependencies to forget.
 * Rules: RE-1.
 */
export function buildQuery<Tables, Row>(build: QueryBuilder<Tables, Row> | null): BuiltQuery {
  if (build === null) return { key: null, error: null }
  try {
    const { sql, parameters } = compileQuery(build)
    return { key: `query ${sql} ${JSON.stringify(parameters.map(spell))}`, error: null }
  } catch (error) {
    return { key: null, error: toErrorInfo(error) }
  }
}

/** A value such that different values are spelled differently: JSON has one word for null and for every number it cannot hold. */
function spell(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (value instanceof Uint8Array) return [...value]
  // Anything else cannot be bound, and never gets as far as rows.
  const number = typeof value === 'number' || typeof value === 'bigint' ? ` ${value}` : ''
  return [`${typeof value}${number}`]
}
