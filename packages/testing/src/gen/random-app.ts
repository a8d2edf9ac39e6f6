import {
  attachment,
  boolean,
  collection,
  type CollectionDeclaration,
  counter,
  decimal,
  defineSchema,
  type Field,
  integer,
  json,
  real,
  reference,
  type Schema,
  set,
  SyncError,
  text,
  timestamp,
  transitions,
} from '@holdfast/core'

import { SeededRandom } from '../seeded-random.ts'

type Collections = Readonly<Record<string, CollectionDeclaration>>

const scalarRules = ['ask', 'ask', 'latest', 'server'] as const
const orderedRules = [...scalarRules, 'max', 'min'] as const
const textRules = [
  ...scalarRules,
  'paragraphs',
  transitions({ new: ['open', 'void'], open: ['done', 'void'], done: ['open'], void: [] }),
] as const
const scopes = ['site:{site}', 'site:{site}', ['site:{site}', 'site:{with}']] as const
const collectionMax = 7
const fieldMax = 9

/** An app, and the one of before. */
export interface App {
  readonly schema: Schema
  readonly earlier: Schema
}

/**
 * An app that nobody thought of: a few collections with whatever fields and options `defineSchema` takes together. Rows lie
 * in the scopes of their sites, as in the mix schema. The app of before knows some of the fields, and perhaps not the last
 * collection. The same seed always gives the same. Rules: SIM-106.
 */
export function randomApp(seed: number): App {
  const random = new SeededRandom(seed)
  let collections: Collections = {}
  for (let place = 0, count = 2 + random.below(collectionMax - 1); place < count; place++)
    collections = { ...collections, [`c${place}`]: drawCollection(random, { place, collections }) }
  const earlier = defineSchema({ version: 1, collections: withoutSome(random, collections) })
  return { schema: defineSchema({ version: 2, collections }), earlier }
}

/** Share of the fields that the app of before does not know, where a row can do without them. */
const newShare = 0.3

function withoutSome(random: SeededRandom, all: Collections): Collections {
  let kept = all
  const last = Object.keys(all).at(-1)
  const { [last ?? '']: _, ...others } = all
  if (random.next() < newShare && isTaken(others)) kept = others
  for (const [name, { fields }] of Object.entries(kept)) {
    for (const [field, { optional, default: value }] of Object.entries(fields)) {
      if ((!optional && value === undefined) || random.next() >= newShare) continue
      const { [field]: __, ...rest } = kept[name]?.fields ?? {}
      const fewer = { ...kept, [name]: { ...kept[name], fields: rest } }
      if (isTaken(fewer)) kept = fewer
    }
  }
  return kept
}

interface Place {
  readonly place: number
  /** Those before it. */
  readonly collections: Collections
}

function drawCollection(random: SeededRandom, { place, collections }: Place): CollectionDeclaration {
  const scope = oneOf(random, scopes)
  const fields: Record<string, Field> = { site: text() }
  if (Array.isArray(scope)) fields['with'] = text({ optional: true })
  for (let number = 0, count = 1 + random.below(fieldMax); number < count; number++)
    fields[`f${number}`] = drawField(random, place)
  let drawn: CollectionDeclaration = collection({ fields, scope })
  for (const options of drawOptions(random, Object.keys(fields))) {
    const wider = { ...drawn, ...options }
    if (isTaken({ ...collections, [`c${place}`]: wider })) drawn = wider
  }
  return drawn
}

/** Whether a schema may be like that. */
function isTaken(collections: Collections): boolean {
  try {
    defineSchema({ version: 1, collections })
    return true
  } catch (error) {
    if (error instanceof SyncError && error.code === 'SCHEMA_INVALID') return false
    throw error
  }
}

/** Each by itself: what does not go together is left out. */
function drawOptions(
  random: SeededRandom,
  names: readonly string[],
): readonly Partial<CollectionDeclaration>[] {
  const chance = (share: number): boolean => random.next() < share
  const some = (most: number): readonly string[] => {
    const from = random.below(names.length)
    return names.slice(from, from + 1 + random.below(most))
  }
  const options: Partial<CollectionDeclaration>[] = [
    { onDelete: oneOf(random, ['ask', 'ask', 'edit', 'delete']) },
    { priority: oneOf(random, [0, 0, 0, 1, 5]) },
  ]
  if (chance(0.3)) options.push({ deletes: 'hard' })
  if (chance(0.2)) options.push({ strict: true })
  if (chance(0.2)) options.push({ outbox: 'preserve' })
  if (chance(0.1)) options.push({ review: true })
  if (chance(0.3)) options.push({ indexes: [some(2)] })
  if (chance(0.3)) {
    const onConflict = oneOf(random, ['reject', 'rename', 'ask'] as const)
    options.push({ unique: [{ fields: some(3), onConflict, ignoreCase: chance(0.3) }] })
  }
  if (chance(0.3))
    options.push({ groups: { g0: { fields: some(3), merge: oneOf(random, ['ask', 'latest', 'server']) } } })
  return options
}

const kinds = ['text', 'text', 'text', 'number', 'number', 'counter', 'set', 'reference', 'other'] as const

function drawField(random: SeededRandom, place: number): Field {
  // What is optional needs no default, and the rest has one half of the time.
  const isOptional = random.below(3) === 0
  const hasDefault = !isOptional && random.below(2) === 0
  const owner = random.below(12) === 0 ? 'server' : 'anyone'
  const optional = isOptional || (owner === 'server' && !hasDefault)
  const common = { optional, owner } as const
  const rule = oneOf(random, scalarRules)
  const ordered = oneOf(random, orderedRules)
  switch (oneOf(random, kinds)) {
    case 'text': {
      const merge = oneOf(random, textRules)
      // Of a state there is always one.
      if (typeof merge === 'object') return text({ owner, merge, default: 'new' })
      return text({ ...common, merge, ...(hasDefault && { default: '' }) })
    }
    case 'number':
      return oneOf(random, [
        integer({ ...common, merge: ordered, ...(hasDefault && { default: 3 }) }),
        real({ ...common, merge: ordered, ...(hasDefault && { default: 0.5 }) }),
        decimal({ ...common, merge: ordered, ...(hasDefault && { default: '7.50' }) }),
      ])
    case 'counter':
      return counter({ owner })
    case 'set':
      return oneOf(random, [set(text()), set(integer())])
    case 'reference': {
      // A record of its own collection may be there before it or not; of an earlier one it can be had.
      const to = random.below(place + 1)
      const isOwn = to === place
      return reference(`c${to}`, { optional: isOwn || random.below(2) === 0, merge: rule })
    }
    case 'other':
      return oneOf<Field>(random, [
        boolean({ ...common, merge: rule, ...(hasDefault && { default: false }) }),
        timestamp({ ...common, merge: ordered, ...(hasDefault && { default: '2026-01-01T00:00:00.000Z' }) }),
        json({ ...common, merge: rule, ...(hasDefault && { default: { a: [] } }) }),
        attachment({ merge: rule }),
      ])
    default:
      throw new Error('a kind of field without a way to draw it')
  }
}

function oneOf<Item>(random: SeededRandom, items: readonly [Item, ...Item[]] | readonly Item[]): Item {
  // The lists above hold at least one item.
  return items[random.below(items.length)] as Item
}
