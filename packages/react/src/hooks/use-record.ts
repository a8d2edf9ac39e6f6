import type { QueryBuilder } from '@holdfast/client'
import { useMemo } from 'react'

import type { LiveState } from './live-list.ts'
import { useLiveQuery, useSuspenseLiveQuery } from './use-live-query.ts'

/** A record that follows every write to it. */
export interface RecordResult<Row> extends LiveState {
  /** Undefined while pending, and when there is no such record. */
  readonly record: Row | undefined
}

/** Untyped: see `Hooks.useRecord`. */
export function useRecord<Row>(collection: string, id: string | null): RecordResult<Row> {
  const { rows, status, error } = useLiveQuery(id === null ? null : recordQuery<Row>(collection, id))
  return useMemo(() => ({ record: rows[0], status, error }), [rows, status, error])
}

/** Untyped: see `Hooks.useSuspenseRecord`. */
export function useSuspenseRecord<Row>(collection: string, id: string): Row | undefined {
  return useSuspenseLiveQuery(recordQuery<Row>(collection, id))[0]
}

/** One table with an id, which is all that this query needs to know of a schema. */
type Table = Record<string, { readonly id: string }>

function recordQuery<Row>(collection: string, id: string): QueryBuilder<Table, Row> {
  return (q) => {
    // The rows of a collection are of the type that the schema infers for it.
    return q.selectFrom(collection).selectAll().where('id', '=', id)
  }
}
