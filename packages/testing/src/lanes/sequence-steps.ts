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

/** Sequences that begin alike. */
export interface SequenceStart {
  /** Both rows are there, or none is. */
  readonly areThere: boolean
  /** The steps they begin with; none unless said. */
  readonly first?: readonly SequenceStep[]
}

/** Every sequence of so many steps in all that makes sense from its beginning, one after the other. */
export function* sequencesOf(
  length: number,
  { areThere, first = [] }: SequenceStart,
): Generator<readonly SequenceStep[], void, void> {
  const rows = rowsAfter(areThere, first)
  if (rows) yield* grown(rows, first, length)
}

function* grown(
  rows: Rows,
  steps: readonly SequenceStep[],
  length: number,
): Generator<readonly SequenceStep[], void, void> {
  if (steps.length >= length) return yield steps
  for (const step of sequenceSteps) {
    const next = after(rows, step)
    if (next) yield* grown(next, [...steps, step], length)
  }
}

/** How many there are, without making them. */
export function countSequences(length: number, { areThere, first = [] }: SequenceStart): number {
  const rows = rowsAfter(areThere, first)
  return rows ? countFrom(rows, length - first.length) : 0
}

function countFrom(rows: Rows, left: number): number {
  if (left <= 0) return 1
  return sequenceSteps.reduce((sum, step) => {
    const next = after(rows, step)
    return next ? sum + countFrom(next, left - 1) : sum
  }, 0)
}

function rowsAfter(areThere: boolean, steps: readonly SequenceStep[]): Rows | undefined {
  let rows: Rows | undefined = { parent: areThere, child: areThere, points: areThere }
  for (const step of steps) rows = rows && after(rows, step)
  return rows
}

/** Edits, in the order in which representatives have those that stand side by side. */
const plainSteps: ReadonlyMap<string, number> = new Map(
  ['parent', 'child'].flatMap((row, high) =>
    ['name', 'note', 'count', 'tag'].map((op, low) => [`${row} ${op}`, high * 4 + low] as const),
  ),
)

/**
 * Whether a sequence stands for those that are worth the same: where `name` and `note`, two texts that nobody else
 * writes, change places on a row, or where edits of different rows or fields that stand side by side do. One of each such
 * family is its representative.
 */
export function isRepresentative(steps: readonly SequenceStep[]): boolean {
  const isInOrder = steps.every((step, index) => {
    const next = steps[index + 1]
    const [place, nextPlace] = [placeOf(step), next && placeOf(next)]
    return place === undefined || nextPlace === undefined || place <= nextPlace
  })
  return isInOrder && firstText(steps, 'parent') !== 'note' && firstText(steps, 'child') !== 'note'
}

function placeOf({ row, op }: SequenceStep): number | undefined {
  return plainSteps.get(`${row} ${op}`)
}

function firstText(
  steps: readonly SequenceStep[],
  which: SequenceStep['row'],
): SequenceStep['op'] | undefined {
  return steps.find(({ row, op }) => row === which && (op === 'name' || op === 'note'))?.op
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
