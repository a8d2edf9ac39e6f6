import type { Client, ClientCollection } from '@holdfast/client'
import {
  collection,
  counter,
  defineSchema,
  type Field,
  reference,
  type Schema,
  set,
  text,
} from '@holdfast/core'

/** Rows with something of everything that folds differently. */
const fields = {
  batch: text(),
  name: text({ default: 'A' }),
  note: text({ merge: 'latest', default: 'A' }),
  stock: counter(),
  tags: set(text()),
}

/** Whether neighbours in the outbox are folded: the folded collections, and their twins that never are. */
export const families = ['folded', 'raw'] as const

/** One of them. */
export type Family = (typeof families)[number]

/** Parents and children, once folded and once not. */
export const sequenceSchema: Schema = defineSchema({
  version: 1,
  collections: {
    foldedParents: collection({ fields, scope: 'site:{batch}' }),
    foldedChildren: collection({
      fields: { ...fields, parent: reference('foldedParents', { optional: true }) },
      scope: 'site:{batch}',
    }),
    rawParents: collection({ fields, scope: 'site:{batch}', outbox: 'preserve' }),
    rawChildren: collection({
      fields: { ...fields, parent: reference('rawParents', { optional: true }) },
      scope: 'site:{batch}',
      outbox: 'preserve',
    }),
  },
})

const rowSteps = ['create', 'name', 'note', 'count', 'tag', 'delete'] as const

/** What a person does to one of two rows, of which one may point to the other. */
export type SequenceStep =
  | { readonly row: 'parent'; readonly op: (typeof rowSteps)[number] }
  | { readonly row: 'child'; readonly op: (typeof rowSteps)[number] | 'point' }

/** Every step there is. */
export const sequenceSteps: readonly SequenceStep[] = [
  ...rowSteps.map((op) => ({ row: 'parent', op }) as const),
  ...[...rowSteps, 'point' as const].map((op) => ({ row: 'child', op }) as const),
]

/** Which rows are there, and whether the child points to the parent. */
interface Rows {
  readonly parent: boolean
  readonly child: boolean
  readonly points: boolean
}

function after(rows: Rows, { row, op }: SequenceStep): Rows | undefined {
  const isThere = rows[row]
  if (op === 'create') {
    if (isThere) return undefined
    return row === 'parent' ? { ...rows, parent: true } : { ...rows, child: true, points: rows.parent }
  }
  if (!isThere) return undefined
  if (op === 'point') return rows.parent ? { ...rows, points: !rows.points } : undefined
  if (op !== 'delete') return rows
  // A parent that is pointed to stays.
  if (row === 'parent') return rows.points ? undefined : { ...rows, parent: false }
  return { ...rows, child: false, points: false }
}

/** Every sequence of so many steps that makes sense from its beginning: with both rows there, or with none. */
export function sequencesOf(length: number, areThere: boolean): readonly (readonly SequenceStep[])[] {
  const start = { parent: areThere, child: areThere, points: areThere }
  const grow = (rows: Rows, left: number): readonly (readonly SequenceStep[])[] => {
    if (left === 0) return [[]]
    return sequenceSteps.flatMap((step) => {
      const next = after(rows, step)
      return next ? grow(next, left - 1).map((rest) => [step, ...rest]) : []
    })
  }
  return grow(start, length)
}

/** A client of `sequenceSchema`, whose collections are told apart by their names at run time. */
export type SequenceClient = Client<Schema>

type AnyCollection = ClientCollection<Readonly<Record<string, Field>>>

/** The two rows of one sequence in one family. */
export interface Pair {
  readonly family: Family
  readonly parent: string
  readonly child: string
}

/** Does a step to the rows of a pair. */
export async function takeSequenceStep(
  db: SequenceClient,
  pair: Pair,
  { row, op }: SequenceStep,
): Promise<void> {
  const api: AnyCollection = db.collection(collectionOf(pair.family, row))
  const id = pair[row]
  switch (op) {
    case 'create': {
      const created = { id, batch: 't0a', name: 'C', note: 'C', stock: 1, tags: ['c'] }
      await api.insert(row === 'child' ? { ...created, parent: await parentOf(db, pair) } : created)
      return
    }
    case 'name':
    case 'note': {
      const now = await api.get(id)
      await api.update(id, { [op]: following(now?.[op]) })
      return
    }
    case 'count':
      await api.increment(id, { stock: 3 })
      return
    case 'tag': {
      const now = await api.get(id)
      const isIn = Array.isArray(now?.['tags']) && now['tags'].includes('x')
      await (isIn ? api.remove(id, { tags: ['x'] }) : api.add(id, { tags: ['x'] }))
      return
    }
    case 'point': {
      const now = await api.get(id)
      await api.update(id, { parent: now?.['parent'] === pair.parent ? null : pair.parent })
      return
    }
    case 'delete':
      await api.delete(id)
      return
    default:
      op satisfies never
  }
}

/** The name of a collection. */
export function collectionOf(family: Family, row: SequenceStep['row']): string {
  return `${family}${row === 'parent' ? 'Parents' : 'Children'}`
}

async function parentOf(db: SequenceClient, { family, parent }: Pair): Promise<string | null> {
  const api: AnyCollection = db.collection(collectionOf(family, 'parent'))
  return (await api.get(parent)) ? parent : null
}

/** Three values, so that edits go on as well as come back to what was seen. */
function following(value: unknown): string {
  return value === 'A' ? 'B' : value === 'B' ? 'D' : 'A'
}
