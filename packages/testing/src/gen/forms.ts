import type { DeadLetter, Explanation } from '@holdfast/client'
import {
  type CollectionSchema,
  type Json,
  jsonEqual,
  membersOf,
  sortMembers,
  touchedFields,
  type Values,
  valuesEqual,
} from '@holdfast/core'

import type { FormStep } from '../check/observation.ts'
import type { OpenForm } from './form-memory.ts'
import { traitsOf } from './traits.ts'
import {
  type AnyCollection,
  collectionOf,
  find,
  make,
  mutationsOf,
  refused,
  tellEcho,
  type Turn,
  unlessRefused,
} from './turn.ts'
import { randomMembers, randomUpdate } from './values.ts'

/** Somebody opens a form of a record. */
export async function openForm(
  turn: Turn,
  { form, collection, hot }: { readonly form: number; readonly collection: string; readonly hot: boolean },
): Promise<number> {
  tell(turn, form, 'opening')
  const found = await find(turn, collection, hot)
  if (found === undefined) return 0
  const { record, row } = found
  tell(turn, form, 'opened')
  // Of some records what was refused is shown beside them, and is what they mend.
  const letter = form % 2 === 0 ? await letterAbout(turn, record) : null
  turn.world.forms.put(turn, form, { collection, id: record.id, row, letter })
  return 0
}

/** A refused mutation of a record that can be edited by itself; null where there is none. */
async function letterAbout(
  { client, world }: Turn,
  { collection, id }: { readonly collection: string; readonly id: string },
): Promise<string | null> {
  const letters = await client.deadLetters.list()
  const about = letters.flatMap((letter) =>
    isEditable(letter, world.pairs)
      ? letter.mutations.filter((each) => each.record === id && each.collection === collection)
      : [],
  )
  return about.at(-1)?.id ?? null
}

/** One half of a pair must not be edited alone. */
function isEditable({ mutations }: DeadLetter, pairs: string | undefined): boolean {
  return mutations.every(({ collection }) => collection !== pairs)
}

/** Somebody is shown what was refused, and the record with it. */
export async function openLetter(turn: Turn, { form }: { readonly form: number }): Promise<number> {
  const { client, world, random } = turn
  tell(turn, form, 'opening')
  const letters = await client.deadLetters.list()
  const letter = letters[random.below(letters.length)]
  const mutation = letter?.mutations[random.below(letter.mutations.length)]
  if (letter === undefined || mutation === undefined || !isEditable(letter, world.pairs)) return 0
  const { collection, record, id } = mutation
  const row = await client.collection(collection).get(record)
  tell(turn, form, 'opened')
  // A row holds what the schema says, which is JSON.
  if (row !== undefined)
    world.forms.put(turn, form, { collection, id: record, row: row as unknown as Values, letter: id })
  return 0
}

/** They save it, whatever has become of the record meanwhile: the whole form, or what they changed in it. */
export async function saveForm(
  turn: Turn,
  { number, fields }: { readonly number: number; readonly fields: number },
): Promise<number> {
  const { client, world, random } = turn
  const form = world.forms.take(turn, number)
  const collection = form && collectionOf(turn, form.collection)
  if (form === undefined || collection === undefined) return 0
  const api: AnyCollection = client.collection(form.collection)
  const changed = filledIn(turn, { collection, row: form.row, fields })
  const shown = random.below(2) === 0 ? untouched({ collection, row: form.row, fields }) : {}
  const changes = { ...shown, ...changed }
  const { id, row, letter } = form
  tell(turn, number, 'saving', form)
  if (letter !== null) {
    await saveLetter(turn, { number, form: { ...form, letter }, collection, changes, changed })
    return 0
  }
  // All three are asked for in one breath: nothing comes in between.
  const before = readNow(api, id)
  const writing = make(turn, {
    what: `form ${form.collection}`,
    run: () => api.update(id, changes, row),
    told: mutationsOf,
  })
  const after = readNow(api, id)
  const receipt = await writing
  const [stood, read] = await Promise.all([before, after])
  tell(turn, number, 'saved', form)
  if (receipt === refused || receipt.mutation === null) return 0
  if (stood && read !== undefined)
    tellEcho(turn, {
      collection: form.collection,
      id,
      wrote: outcomeOf({ collection, row, changed, stood }),
      row: read,
    })
  return 1
}

interface EditedLetter {
  readonly number: number
  readonly form: OpenForm & { readonly letter: string }
  readonly collection: CollectionSchema
  readonly changes: Values
  readonly changed: Values
}

/** The letter goes as it is edited, and the record shows it, but where later edits say otherwise. */
async function saveLetter(
  turn: Turn,
  { number, form, collection, changes, changed }: EditedLetter,
): Promise<void> {
  const { client } = turn
  const { letter, row, id } = form
  const api: AnyCollection = client.collection(form.collection)
  // All are asked for in one breath: nothing comes in between.
  const [before, standing] = [readNow(api, id), unlessRefused(whatStands(turn, form))]
  const writing = make(turn, {
    what: 'repair form',
    run: () => client.deadLetters.editAndRetry(letter, changes, row),
    expected: ['VALUE_INVALID', 'TRANSITION_REFUSED', 'ENTRY_UNREADABLE'],
  })
  const after = readNow(api, id)
  const receipt = await writing
  const [stood, around, read] = await Promise.all([before, standing, after])
  tell(turn, number, 'saved', form)
  if (receipt === refused || stood === undefined || read === undefined || around === undefined) return
  const { counters, sets } = traitsOf(collection)
  // What the letter did to what nobody changed in it stays.
  const kept = [...counters, ...sets].map(({ name }): [string, Json] => [name, stood[name] ?? null])
  const outcome = { ...Object.fromEntries(kept), ...outcomeOf({ collection, row, changed, stood }) }
  const { covered, server } = around
  const wrote = Object.fromEntries(
    Object.entries(outcome).filter(
      ([name]) => !covered.has(name) && isUpToIt(collection, name, { row, server }),
    ),
  )
  tellEcho(turn, { collection: form.collection, id, wrote, row: read })
}

/**
 * Whether a field of a record that was shown as `row` reads as a letter says: not where edits yield to the deletion that the
 * server has, nor where the rule of the field decides between the letter and what nobody was shown.
 */
export function isUpToIt(
  collection: CollectionSchema,
  name: string,
  { row, server }: { readonly row: Values; readonly server: Standing['server'] },
): boolean {
  if (server.kind === 'deleted') return collection.onDelete !== 'delete'
  const field = collection.fieldsByName.get(name)
  if (!field || field.kind === 'counter' || field.kind === 'set') return true
  const { rule } = field.group?.merge ?? field.merge
  // Where the server has nothing, earlier letters may say something else.
  if (rule === 'ask' || server.kind === 'absent') return rule === 'ask'
  return valuesEqual(field, server.values[name] ?? null, row[name] ?? null)
}

/** What there is of a record beside a letter. */
interface Standing {
  /** Fields of which edits that were made since the first of the letter, beside it, say something. */
  readonly covered: ReadonlySet<string>
  /** The server's copy. */
  readonly server: Explanation['shadow']['snapshot']
}

/** Undefined where the letter is gone. */
async function whatStands(
  { client }: Turn,
  { letter, id, collection }: OpenForm & { readonly letter: string },
): Promise<Standing | undefined> {
  const [letters, { mutations, shadow }] = await Promise.all([
    client.deadLetters.list(),
    client.explain(collection, id),
  ])
  const entries = mutations.map(({ entry }) => entry)
  const whole = letters.find((each) => each.mutations.some((mutation) => mutation.id === letter))
  const own = new Set(whole?.mutations.map((each) => each.id))
  const first = entries.find((entry) => own.has(entry.id))
  if (first === undefined) return undefined
  // Written since, or standing behind it so far: a letter that is mended goes last.
  const later = entries.filter(
    (entry) => !own.has(entry.id) && (entry.at > first.at || entry.seq > first.seq),
  )
  return {
    covered: new Set(later.flatMap(({ payload }) => touchedFields(payload))),
    server: shadow.snapshot,
  }
}

function tell({ disk, observe, nowMs }: Turn, form: number, step: FormStep['step'], of?: OpenForm): void {
  const record = of ? `${of.collection}/${of.id}` : null
  observe({ kind: 'form', atMs: nowMs(), disk, form, step, record })
}

function readNow(api: AnyCollection, id: string): Promise<Values | undefined> {
  // A row holds what the schema says, which is JSON.
  return unlessRefused(api.get(id) as Promise<Values | undefined>)
}

interface Filling {
  readonly collection: CollectionSchema
  readonly row: Values
  readonly fields: number
}

/** What somebody changes in a form: some values, and now and then a count and the members of a set. */
function filledIn({ random, source }: Turn, { collection, row, fields }: Filling): Values {
  const { counters, sets } = traitsOf(collection)
  const values: Record<string, Json> = { ...randomUpdate(collection, row, { count: fields, source }) }
  const counter = counters[random.below(counters.length * 2)]
  if (counter) values[counter.name] = numberIn(row, counter.name) + random.below(14) - 3
  const set = sets[random.below(sets.length * 2)]
  if (set) {
    const members = membersOf(row[set.name]).filter(() => random.below(4) > 0)
    values[set.name] = [...sortMembers(new Set([...members, ...randomMembers(set, source)]))]
  }
  // A draft that an app of before kept has no more than that knew.
  return Object.fromEntries(Object.entries(values).filter(([name]) => name in row))
}

/** All that a form shows as it was, but what decides where the row lies. */
function untouched({ collection, row }: Filling): Values {
  const names = traitsOf(collection).given.map(({ name }) => name)
  return Object.fromEntries(
    names.flatMap((name): [string, Json][] => (name in row ? [[name, row[name] ?? null]] : [])),
  )
}

/** What a record holds of what was changed in a form of `row`, where `stood` was there when it was saved. */
function outcomeOf({ collection, row, changed, stood }: Saved): Values {
  const fields = new Map(traitsOf(collection).given.map((field) => [field.name, field.kind]))
  return Object.fromEntries(
    Object.entries(changed).flatMap(([name, wanted]): [string, Json][] => {
      if (fields.get(name) === 'counter')
        return [[name, numberIn(stood, name) + Number(wanted) - numberIn(row, name)]]
      if (fields.get(name) === 'set') {
        const [had, has] = [membersOf(row[name]), membersOf(wanted)]
        const stays = membersOf(stood[name]).filter((member) => has.includes(member) || !had.includes(member))
        return [
          [name, [...sortMembers(new Set([...stays, ...has.filter((member) => !had.includes(member))]))]],
        ]
      }
      // What was typed in again as it was is no change.
      const field = collection.fieldsByName.get(name)
      const isSame = field
        ? valuesEqual(field, row[name] ?? null, wanted)
        : jsonEqual(row[name] ?? null, wanted)
      return isSame ? [] : [[name, wanted]]
    }),
  )
}

interface Saved extends Omit<Filling, 'fields'> {
  readonly changed: Values
  readonly stood: Values
}

function numberIn(row: Values, name: string): number {
  return Number(row[name] ?? 0)
}
