import type { QueryBuilder } from '@holdfast/client'
import type { TablesOf } from '@holdfast/core'

import type { schema } from '../warehouse/schema.ts'

type Tables = TablesOf<typeof schema>
type Query = Parameters<QueryBuilder<Tables, unknown>>[0]

/** An item as the whole of it. */
export type Item = Tables['items']

/** What the list of items is narrowed to. */
export interface ItemFilter {
  readonly search: string
  readonly category: string | null
  readonly tag: string | null
  readonly show: 'all' | 'low' | 'unsent'
}

/** The items of a filter by name, with what a line of the list shows. */
export const itemList =
  ({ search, category, tag, show }: ItemFilter) =>
  (q: Query) => {
    let items = q
      .selectFrom('items')
      .select(['id', 'name', 'sku', 'location', 'price', 'stock', 'minimum', 'tags', '_state'])
    for (const word of search.trim().split(/\s+/).filter(Boolean)) {
      const pattern = `%${word.replaceAll(/[%_]/g, '')}%`
      items = items.where((is) =>
        is.or([is('name', 'like', pattern), is('sku', 'like', pattern), is('location', 'like', pattern)]),
      )
    }
    if (category !== null) items = items.where('category', '=', category)
    // A set is stored as a list of JSON.
    if (tag !== null) items = items.where((is) => is(is.cast<string>('tags', 'text'), 'like', `%"${tag}"%`))
    if (show === 'low') items = items.whereRef('stock', '<', 'minimum')
    if (show === 'unsent') items = items.where('_state', '<>', 'clean')
    return items.orderBy('name')
  }

/** The items of an aisle, or of a part of it, in the order one walks. */
export const countSheet = (place: string) => (q: Query) =>
  q
    .selectFrom('items')
    .select(['id', 'name', 'sku', 'location', 'stock', 'minimum', '_state'])
    .where('location', 'like', `${place}%`)
    .orderBy('location')
    .orderBy('name')

/** The newest movements, with what was moved. */
export const newestMovements = (limit: number) => (q: Query) =>
  q
    .selectFrom('movements')
    // An item may be gone since; that it was moved is no less true.
    .leftJoin('items', 'items.id', 'movements.item')
    .select([
      'movements.id',
      'movements.kind',
      'movements.amount',
      'movements.person',
      'movements.at',
      'movements._state',
      'movements.item',
      'items.name',
      'items.location',
    ])
    .orderBy('movements.at', 'desc')
    .orderBy('movements.id', 'desc')
    .limit(limit)

/** What the office looks at first. */
export const totals = (q: Query) =>
  q
    .selectFrom('items')
    .select((of) => [
      of.fn.countAll<number>().as('items'),
      of.fn.sum<number>('stock').as('pieces'),
      of.fn.countAll<number>().filterWhere('stock', '<', of.ref('minimum')).as('low'),
    ])

/** How much there is of each category. */
export const byCategory = (q: Query) =>
  q
    .selectFrom('items')
    .select((of) => [
      'category',
      of.fn.countAll<number>().as('items'),
      of.fn.sum<number>('stock').as('pieces'),
      of.fn.countAll<number>().filterWhere('stock', '<', of.ref('minimum')).as('low'),
    ])
    .groupBy('category')
    .orderBy('category')
