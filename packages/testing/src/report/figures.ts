import { type CollectionSchema, errorTable, isErrorCode, ruleOf, type Schema } from '@holdfast/core'

import { Latency } from './latency.ts'
import type {
  DeadLetterFigures,
  DeleteFigures,
  FieldFigures,
  LostFigures,
  SimulationReport,
  UniqueFigures,
} from './report.ts'

type Mutable<Figures> = { -readonly [Name in keyof Figures]: Figures[Name] }

/** What runs are counted into: one for all runs of a report. */
export class Figures {
  readonly verdict: { readonly online: Latency; readonly overall: Latency } = pair()
  readonly visible: { readonly online: Latency; readonly overall: Latency } = pair()
  edits = 0
  requests = 0
  bytesUp = 0
  bytesDown = 0
  readonly #schema: Schema
  readonly #written = new Set<string>()
  readonly #fields = new Map<string, Mutable<FieldFigures>>()
  readonly #deletes = new Map<string, Mutable<DeleteFigures>>()
  readonly #unique = new Map<string, Mutable<UniqueFigures>>()
  readonly #lost = new Map<string, Mutable<LostFigures>>()
  readonly #dead = new Map<string, { count: number; readonly collections: Set<string> }>()

  constructor(schema: Schema) {
    this.#schema = schema
  }

  collection(name: string): CollectionSchema | undefined {
    return this.#schema.collections.get(name)
  }

  /** Somebody wrote a record of it, also before the first day of work. */
  write(collection: string): void {
    this.#written.add(collection)
  }

  /** undefined for what the schema does not have. */
  field(collection: string, name: string): Mutable<FieldFigures> | undefined {
    const key = `${collection}.${name}`
    const known = this.#fields.get(key)
    if (known) return known
    const schema = this.collection(collection)
    const field = schema?.fieldsByName.get(name)
    if (!schema || !field) return undefined
    const rule = schema.strict ? 'strict' : ruleOf(field).rule
    const figures = { collection, field: name, rule, edits: 0, met: 0, merged: 0, asked: 0 }
    this.#fields.set(key, figures)
    return figures
  }

  deletes(collection: string): Mutable<DeleteFigures> | undefined {
    const known = this.#deletes.get(collection)
    const schema = this.collection(collection)
    if (known || !schema) return known
    const figures = { collection, rule: schema.onDelete, deletes: 0, merged: 0, asked: 0 }
    this.#deletes.set(collection, figures)
    return figures
  }

  /** A record was refused a key that another one has: one that says so, or one that had no room for a number. */
  refuse(collection: string): void {
    const keys = this.collection(collection)?.unique ?? []
    this.collide(collection, keys.some((key) => key.onConflict === 'reject') ? 'reject' : 'rename')
  }

  /** A record wanted a key that another one has; `field`: one of the key, where that is known. */
  collide(collection: string, policy: UniqueFigures['policy'], field?: string): void {
    const keys = this.collection(collection)?.unique.filter(
      (key) => key.onConflict === policy && (field === undefined || key.fields.includes(field)),
    )
    const fields = keys?.length === 1 ? (keys[0]?.fields ?? []) : []
    const name = `${collection} ${policy} ${fields.join()}`
    const figures = this.#unique.get(name) ?? { collection, fields, policy, count: 0 }
    figures.count += 1
    this.#unique.set(name, figures)
  }

  lose(collection: string, field: string, rule: string): void {
    const name = `${collection}.${field} ${rule}`
    const figures = this.#lost.get(name) ?? { collection, field, rule, count: 0 }
    figures.count += 1
    this.#lost.set(name, figures)
  }

  die(code: string, collection: string): void {
    const figures = this.#dead.get(code) ?? { count: 0, collections: new Set() }
    figures.count += 1
    figures.collections.add(collection)
    this.#dead.set(code, figures)
  }

  /** What was counted so far. */
  counted(): Pick<
    SimulationReport,
    'unwritten' | 'fields' | 'deletes' | 'unique' | 'lost' | 'deadLetters' | 'traffic' | 'latency'
  > {
    const { edits, requests, bytesUp, bytesDown, verdict, visible } = this
    const dead = [...this.#dead].map(([code, { count, collections }]): DeadLetterFigures => {
      const meaning = isErrorCode(code) ? errorTable[code].meaning : ''
      return { code, meaning, count, collections: [...collections].sort() }
    })
    return {
      unwritten: [...this.#schema.collections.keys()].filter((name) => !this.#written.has(name)),
      fields: sorted(this.#fields, ({ met, asked, edits: all }) => [met, asked, all]),
      deletes: sorted(this.#deletes, ({ asked, merged, deletes }) => [asked + merged, deletes]),
      unique: sorted(this.#unique, ({ count }) => [count]),
      lost: sorted(this.#lost, ({ count }) => [count]),
      deadLetters: dead.sort((left, right) => right.count - left.count || (left.code < right.code ? -1 : 1)),
      traffic: { edits, requests, bytesUp, bytesDown },
      latency: {
        verdict: { online: verdict.online.figures(), overall: verdict.overall.figures() },
        visible: { online: visible.online.figures(), overall: visible.overall.figures() },
      },
    }
  }
}

function pair(): { readonly online: Latency; readonly overall: Latency } {
  return { online: new Latency(), overall: new Latency() }
}

/** The largest first; equal ones by name. */
function sorted<Each>(
  byName: ReadonlyMap<string, Each>,
  sizes: (each: Each) => readonly number[],
): readonly Each[] {
  return [...byName]
    .sort(([leftName, left], [rightName, right]) => {
      const theirs = sizes(right)
      const difference = sizes(left).map((size, place) => (theirs[place] ?? 0) - size)
      return difference.find((each) => each !== 0) ?? (leftName < rightName ? -1 : 1)
    })
    .map(([, each]) => each)
}
