import { SyncError } from '@holdfast/core'

/** `limit` of a query; undefined when it is not there. Errors: REQUEST_INVALID. */
export function parseLimit(query: URLSearchParams, max: number): number | undefined {
  const text = query.get('limit')
  if (text === null || text === '') return undefined
  const limit = /^[1-9]\d{0,8}$/.test(text) ? Number(text) : Number.NaN
  if (limit <= max) return limit
  throw new SyncError('REQUEST_INVALID', `limit is a whole number from 1 to ${max}.`)
}
