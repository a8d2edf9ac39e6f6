import { type CollectionSchema, globalScope, type Schema, type ScopeTemplate } from '@holdfast/core'

import { marksOf } from '../check/scope-marks.ts'

/** A record that a scope is named after, such as the warehouse of `warehouse:{warehouseId}`. */
export interface NamedRecord {
  readonly collection: string
  readonly id: string
  readonly tenant: number
  /** Somebody who may see it. */
  readonly user: number
}

/** Who is assumed to see what, for a schema whose rights nobody has told the simulator. */
export interface AssumedScopes {
  /** Whether there can be more than one team: not where everybody sees the rows of a collection. */
  readonly hasTeams: boolean
  /** What a person of a team is granted; for people of one team without scopes of their own always the same list. */
  readonly scopesOf: (tenant: number, user: number) => readonly string[]
  /** Records that must be there before anybody writes, where scopes are named after records. */
  readonly namedRecords: (people: readonly Place[]) => readonly NamedRecord[]
  /** One sentence for each template: what was assumed. */
  readonly sentences: readonly string[]
}

/** Where somebody stands. */
export interface Place {
  readonly tenant: number
  readonly user: number
}

/** A name in a scope: what stands before it in the template decides which values it has, whatever the field is called. */
interface Slot {
  /** The text before it, such as `warehouse:`. */
  readonly literal: string
  readonly kind: 'text' | 'integer' | 'reference'
  /** The collection whose records are meant; only for references. */
  readonly references: string | undefined
  /** One for each person rather than some for each team. */
  readonly isPersonal: boolean
}

/** Scopes a team has of each template. */
const placeCount = 2

/** Words in a template by which everybody is assumed to have one of their own. */
const personalWords = new Set(['user', 'owner', 'person', 'author', 'assignee', 'employee', 'driver', 'me'])

/**
 * Turns the scope templates of a schema round: which scopes would people have for its rows to be seen as their fields
 * say? Of `warehouse:{warehouseId}` each team has two; of `user:{ownerId}` everybody has one. Rules: SIM-70.
 */
export function assumeScopes(schema: Schema): AssumedScopes {
  const collections = [...schema.collections.values()]
  const slots = slotsOf(collections)
  const templates = new Map(
    collections.flatMap(({ scopes }) => scopes.map((each) => [each.text, each] as const)),
  )
  const isOpen = collections.some(({ scopes }) => scopes.length === 0)
  const known = new Map<string, readonly string[]>()
  const hasPersonal = [...slots.values()].some(({ isPersonal }) => isPersonal)
  return {
    hasTeams: !isOpen && [...templates.values()].every(({ fields }) => fields.length > 0),
    scopesOf: (tenant, user) => {
      const key = hasPersonal ? `${tenant} ${user}` : `${tenant}`
      let scopes = known.get(key)
      if (!scopes) known.set(key, (scopes = grantsOf([...templates.values()], slots, { tenant, user })))
      return scopes
    },
    namedRecords: (people) => namedRecords([...slots.values()], people),
    sentences: [
      ...(isOpen ? [`no scope (\`${globalScope}\`): everybody sees every row.`] : []),
      ...[...templates.values()].map((template) => sentenceOf(template, slots)),
      ...collections.flatMap(({ name, review }) =>
        review ? [`\`${name}\` has \`review\`: everybody may decide about what they see.`] : [],
      ),
    ],
  }
}

/** By the literal before them. A name that some collection takes from a reference is a record's id everywhere. */
function slotsOf(collections: readonly CollectionSchema[]): ReadonlyMap<string, Slot> {
  const slots = new Map<string, Slot>()
  for (const collection of collections) {
    for (const template of collection.scopes) {
      for (const [index, name] of template.fields.entries()) {
        const literal = template.literals[index] ?? ''
        const field = collection.fieldsByName.get(name)
        const kind = field?.kind === 'reference' || field?.kind === 'integer' ? field.kind : 'text'
        const isPersonal = template.fields.length === 1 && wordsOf(`${literal} ${name}`).some(isPersonalWord)
        const before = slots.get(literal)
        if (before && (before.kind !== 'text' || kind === 'text')) continue
        slots.set(literal, { literal, kind, references: field?.references, isPersonal })
      }
    }
  }
  return slots
}

/** The words of `assignedDriverId` or `assigned_driver_id`, in lower case. */
function wordsOf(name: string): readonly string[] {
  return name
    .replaceAll(/[A-Z]/g, ' $&')
    .toLowerCase()
    .split(/[^a-z]+/)
}

function isPersonalWord(word: string): boolean {
  return personalWords.has(word)
}

function grantsOf(
  templates: readonly ScopeTemplate[],
  slots: ReadonlyMap<string, Slot>,
  place: Place,
): readonly string[] {
  const scopes = new Set(templates.flatMap((template) => fill(template, slots, place)))
  const mark = `t${place.tenant}`
  // Whoever looks for foreign values must be told the team by some scope: no template can spell this one.
  return hasMark(marksOf([...scopes]), mark) ? [...scopes] : [...scopes, `team:${mark}`]
}

function hasMark(marks: ReadonlySet<string> | '*', mark: string): boolean {
  return marks !== '*' && marks.has(mark)
}

/** Every scope a template gives with the values its names have at a place. */
function fill(template: ScopeTemplate, slots: ReadonlyMap<string, Slot>, place: Place): readonly string[] {
  let scopes = [template.literals[0] ?? '']
  for (const [index] of template.fields.entries()) {
    const slot = slots.get(template.literals[index] ?? '')
    if (!slot) continue
    const all = valuesOf(slot, place)
    // Of `org:{orgId}/site:{siteId}` a team has one org with its sites, not all there could be.
    const values = index < template.fields.length - 1 ? all.slice(0, 1) : all
    const tail = template.literals[index + 1] ?? ''
    scopes = scopes.flatMap((scope) => values.map((value) => `${scope}${value}${tail}`))
  }
  return scopes
}

function valuesOf(slot: Slot, place: Place): readonly string[] {
  const { tenant, user } = place
  const numbers = slot.isPersonal ? [user] : Array.from({ length: placeCount }, (_, index) => index)
  return numbers.map((number) => {
    if (slot.kind === 'integer') return String(slot.isPersonal ? 1_000 + number : tenant * 10 + number + 1)
    if (slot.kind === 'reference') return idOf(slot, tenant, number)
    return slot.isPersonal ? `t${tenant}u${number}` : `t${tenant}${String.fromCharCode(97 + number)}`
  })
}

/** An id that says nothing but where it belongs; of version 7, as the ids people make. */
function idOf({ references = '' }: Slot, tenant: number, number: number): string {
  let hash = 0x811c9dc5
  for (const letter of references) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193)
  const group = (hash >>> 0).toString(16).padStart(8, '0')
  return `${group}-0000-7000-8000-${tenant.toString(16).padStart(4, '0')}${number.toString(16).padStart(8, '0')}`
}

function namedRecords(slots: readonly Slot[], people: readonly Place[]): readonly NamedRecord[] {
  const records = new Map<string, NamedRecord>()
  for (const slot of slots) {
    if (slot.references === undefined) continue
    for (const place of people) {
      for (const id of valuesOf(slot, place))
        if (!records.has(id)) records.set(id, { collection: slot.references, id, ...place })
    }
  }
  return [...records.values()]
}

function sentenceOf(template: ScopeTemplate, slots: ReadonlyMap<string, Slot>): string {
  const last = slots.get(template.literals[template.fields.length - 1] ?? '')
  if (!last) return `\`${template.text}\`: everybody sees these rows.`
  if (last.isPersonal) return `\`${template.text}\`: everybody has one of their own.`
  return `\`${template.text}\`: each team has ${placeCount} of them, and everybody in it sees both.`
}
