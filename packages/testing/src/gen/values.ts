import {
  assertNever,
  type CollectionSchema,
  type FieldSchema,
  type Json,
  type MergeRuleName,
  sortMembers,
  type Values,
} from '@holdfast/core'

import type { SeededRandom } from '../seeded-random.ts'
import { placesOf } from './places.ts'
import { traitsOf } from './traits.ts'

/** What random values are made from. */
export interface ValueSource {
  readonly random: SeededRandom
  /** What every text begins with, so that whoever finds it knows whose it is. */
  readonly mark: string
  /** A text that no other value has. */
  readonly nonce: () => string
  readonly nowMs: () => number
  /** Scopes the writer has. */
  readonly scopes: readonly string[]
  /** The id of a record that may be referred to; undefined when there is none. */
  readonly pick: (collection: string) => string | undefined
  /** How many values of a unique key a tenant wants: 12 unless said, so that two people want the same one. */
  readonly codeCount?: number | undefined
}

/**
 * Values for a new record, all in stored form: `parseInsert` takes them as they are. Undefined when a field that must
 * have a value can have none: nothing is there to refer to, or its validator refuses whatever chance offers.
 * Rules: SIM-22.
 */
export function randomInsert(collection: CollectionSchema, source: ValueSource): Values | undefined {
  const { random } = source
  const values: Record<string, Json> = { ...randomPlace(collection, source) }
  for (const field of traitsOf(collection).given) {
    const isNeeded = !field.optional && field.default === undefined
    if (!isNeeded && random.next() < 0.5) continue
    const value = randomValue({ collection, field }, source)
    if (value !== undefined) values[field.name] = value
    else if (isNeeded) return undefined
  }
  // A place may be made of a field whose kind chance alone cannot spell.
  return traitsOf(collection).places.every((field) => field.optional || values[field.name] !== undefined)
    ? values
    : undefined
}

/** New values for `count` fields of a row, one after the other of those that can change. Rules: SIM-22. */
export function randomUpdate(
  collection: CollectionSchema,
  row: Values,
  {
    count,
    rule,
    source,
  }: { readonly count: number; readonly rule?: MergeRuleName; readonly source: ValueSource },
): Values {
  const all = traitsOf(collection).assigned
  const liked = all.filter((field) => (field.group ?? field).merge.rule === rule)
  const assigned = liked.length > 0 ? liked : all
  const values: Record<string, Json> = {}
  const first = source.random.below(assigned.length)
  for (let step = 0; step < assigned.length && step < count; step++) {
    const field = assigned[(first + step) % assigned.length]
    const value = field && randomValue({ collection, field, seen: row[field.name] }, source)
    if (field && value !== undefined) values[field.name] = value
  }
  return values
}

/** Values that hardly anybody has yet for those of the named fields that unique keys are made of. */
export function freshCodes(
  collection: CollectionSchema,
  names: readonly string[],
  source: ValueSource,
): Values {
  const codes = traitsOf(collection).codes.filter(({ name }) => names.includes(name))
  return Object.fromEntries(
    codes.flatMap((field): [string, Json][] => {
      const { name, kind } = field
      if (kind === 'text') return [[name, shortened(field, source.mark, source.nonce())]]
      return kind === 'integer' ? [[name, 1_000 + source.random.below(1_000_000)]] : []
    }),
  )
}

/** Values that put a row into one of the writer's scopes. */
export function randomPlace(collection: CollectionSchema, source: ValueSource): Values {
  const { random, scopes } = source
  const byTemplate = placesOf(collection, scopes)
  const values: Record<string, Json> = {}
  const first = random.below(byTemplate.length)
  for (let step = 0; step < byTemplate.length; step++) {
    const places = byTemplate[(first + step) % byTemplate.length] ?? []
    const place = places[random.below(places.length)]
    for (const [name, value] of Object.entries(place ?? {})) {
      const isFree = collection.fieldsByName.get(name)?.optional === true && step > 0
      if (values[name] === undefined && !(isFree && random.next() < 0.6)) values[name] = value
    }
  }
  for (const field of traitsOf(collection).places) {
    if (values[field.name] !== undefined || field.optional) continue
    const value = randomValue({ collection, field }, source)
    if (value !== undefined) values[field.name] = value
  }
  return values
}

/** A field that is to have a value. */
export interface Spot {
  readonly collection: CollectionSchema
  readonly field: FieldSchema
  /** What it has now, if there is something. */
  readonly seen?: Json
}

/**
 * A value for a field, in stored form. Undefined when there is none: nothing to refer to, no step that is allowed, or a
 * validator that says no again and again.
 */
export function randomValue(spot: Spot, source: ValueSource): Json | undefined {
  const { field } = spot
  if (field.optional && source.random.next() < 0.15) return null
  for (let attempt = 0; attempt < (field.validate ? attemptMax : 1); attempt++) {
    const value = valueOfKind(spot, source)
    if (value === undefined || isValid(field, value)) return value
  }
  return undefined
}

/** Values a validator is offered before it is left alone. */
const attemptMax = 8

function isValid(field: FieldSchema, value: Json): boolean {
  if (!field.validate) return true
  const result = field.validate['~standard'].validate(value)
  return !(result instanceof Promise) && result.issues === undefined
}

function valueOfKind({ collection, field, seen }: Spot, source: ValueSource): Json | undefined {
  const { random } = source
  const isCode = traitsOf(collection).codes.includes(field)
  switch (field.kind) {
    case 'text':
      if (field.merge.rule === 'transitions') return nextState(field, random, seen)
      if (isCode) return randomCode(field, source)
      return field.merge.rule === 'paragraphs' ? paragraphs(field, source, seen) : text(field, source)
    case 'integer':
      return isCode ? random.below(source.codeCount ?? usualCodeCount) : integer(random)
    case 'counter':
      return random.below(40)
    case 'real':
      return real(random)
    case 'decimal':
      return isCode ? `${random.below(source.codeCount ?? usualCodeCount)}.50` : decimal(random)
    case 'boolean':
      return random.next() < 0.5
    case 'timestamp':
      return timestamp(random, source.nowMs())
    case 'json':
      return json(source, 2)
    case 'set':
      return randomMembers(field, source)
    case 'reference':
      return source.pick(field.references ?? '')
    case 'attachment':
      return attachment(source)
    default:
      return assertNever(field.kind)
  }
}

const usualCodeCount = 12

/** One of the few codes a tenant has, now and then in another spelling of the same. A short field has it without the words. */
function randomCode(field: FieldSchema, { random, mark, codeCount = usualCodeCount }: ValueSource): string {
  const number = String(random.below(codeCount))
  const code = `${mark}Clé ${number}`
  const dice = random.below(20)
  // The longest spelling is the one that takes é apart.
  if (code.length >= (field.maxLength ?? Number.POSITIVE_INFINITY)) return shortened(field, mark, number)
  if (dice === 0) return code.normalize('NFD')
  return dice === 1 ? code.toLowerCase() : code
}

/** A step the rule allows from here; the start of the machine when there is no state yet. */
function nextState(field: FieldSchema, random: SeededRandom, seen: Json | undefined): Json | undefined {
  if (field.merge.rule !== 'transitions') return undefined
  const { allowed } = field.merge
  const next = typeof seen === 'string' ? (allowed[seen] ?? []) : [field.default, Object.keys(allowed)[0]]
  const states = next.filter((state) => typeof state === 'string')
  return seen === undefined ? states[0] : states[random.below(states.length)]
}

/** What tells a code from another is its end: that stays where there is no room for all of it. */
function shortened({ maxLength = Number.POSITIVE_INFINITY }: FieldSchema, mark: string, end: string): string {
  if (mark.length + end.length <= maxLength) return `${mark}${end}`
  return end.slice(-maxLength)
}

const words = ['bolt', 'north', 'valve', 'grey', 'pump', 'gate', 'level', 'seal', 'west', 'rope']
/** What has gone wrong somewhere before: quotes, marks of direction, letters of two units, forms that look the same. */
const oddities = [
  'ñandú',
  '日本語',
  '👩‍🔧',
  'e\u0301',
  'שלום',
  `'"\\%_`,
  'a\tb',
  '\u200b',
  'İı',
  '\u2028',
  '{"x":1}',
  '𝒳',
]

/** Text that nobody else writes, and that says whose it is. */
function text(field: FieldSchema, source: ValueSource): string {
  const { random, mark, nonce } = source
  const word = words[random.below(words.length)] ?? ''
  const dice = random.below(50)
  const oddity = dice < 6 ? ` ${oddities[random.below(oddities.length)]}` : ''
  const tail = dice === 49 ? ` ${word}`.repeat(200 + random.below(400)) : ''
  return fitted(field, `${mark}${nonce()} ${word}${oddity}${tail}`)
}

/** Some lines more or other ones, as people write notes. */
function paragraphs(field: FieldSchema, source: ValueSource, seen: Json | undefined): string {
  const line = text({ ...field, maxLength: 60 }, source)
  const lines = typeof seen === 'string' && seen !== '' ? seen.split('\n\n') : []
  const at = source.random.below(lines.length + 1)
  const isNew = lines.length < 12 && source.random.next() < 0.6
  return fitted(field, lines.toSpliced(at, isNew ? 0 : 1, line).join('\n\n'))
}

/** A text that its field can hold: never cut in the middle of a letter. */
function fitted({ maxLength }: FieldSchema, value: string): string {
  if (maxLength === undefined || value.length <= maxLength) return value
  const cut = value.slice(0, maxLength)
  return cut.isWellFormed() ? cut : cut.slice(0, -1)
}

const integers = [0, 1, -1, 2 ** 31, -(2 ** 31) - 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]
const reals = [0, -1.5, 0.1 + 0.2, 1e-7, 5e-324, 1.7976931348623157e308, 2 ** 53, 123456.789012]
const decimals = ['0', '-0.01', '0.00', '9'.repeat(34), `-0.${'0'.repeat(32)}1`, '1.10', '1.1']
const timestamps = ['0001-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999Z', '1969-12-31T23:59:59.999Z']

function integer(random: SeededRandom): number {
  return random.below(12) === 0 ? oneOf(integers, random) : random.below(2_000) - 500
}

function real(random: SeededRandom): number {
  return random.below(8) === 0 ? oneOf(reals, random) : (random.below(200_000) - 100_000) / 64
}

function decimal(random: SeededRandom): string {
  if (random.below(12) === 0) return oneOf(decimals, random)
  return `${random.below(5_000)}.${String(random.below(100)).padStart(2, '0')}`
}

function timestamp(random: SeededRandom, nowMs: number): string {
  if (random.below(20) === 0) return oneOf(timestamps, random)
  return new Date(nowMs + random.below(2_592_000_000) - 1_296_000_000).toISOString()
}

function oneOf<Item>(items: readonly [Item, ...Item[]] | readonly Item[], random: SeededRandom): Item {
  // The lists above hold at least one item.
  return items[random.below(items.length)] as Item
}

function json(source: ValueSource, depth: number): Json {
  const { random, mark, nonce } = source
  const label = `${mark}${nonce()}`
  const dice = random.below(10)
  if (dice === 0) return label
  if (dice === 1) return [label, real(random), null, true]
  const inner = depth > 0 && dice < 4 ? json(source, depth - 1) : random.below(9)
  return { label, inner, z: dice < 6 ? integer(random) : [], a: dice === 9 ? {} : random.next() < 0.5 }
}

function attachment({ random, mark, nonce }: ValueSource): Json {
  let hash = ''
  while (hash.length < 64)
    hash += random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return { hash, size: random.below(5_000_000), name: `${mark}${nonce()}.jpg`, mediaType: 'image/jpeg' }
}

/** Members for a set, from a small pool, so that people add and remove the same ones. Sorted, each once. */
export function randomMembers(
  field: FieldSchema,
  { random, mark }: Pick<ValueSource, 'random' | 'mark'>,
): readonly (string | number)[] {
  const members = new Set<string | number>()
  for (let count = 1 + random.below(3); count > 0; count--) {
    const member = random.below(10)
    members.add(field.of === 'integer' ? member : fitted(field, `${mark}tag ${member}`))
  }
  return sortMembers(members)
}
