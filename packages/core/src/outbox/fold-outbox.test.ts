import { describe, expect, test } from 'vitest'
import { type Hlc, hlcOfTime } from '../hlc.ts'
import { canonicalJson, type Json, type Values } from '../json.ts'
import { forceMine } from '../merge/force-mine.ts'
import { mergeRecord } from '../merge/merge-record.ts'
import { absentRecord, emptyPayload, type Mutation, type RecordSnapshot } from '../mutation.ts'
import { collection, defineSchema } from '../schema/define-schema.ts'
import { counter, reference, set, text } from '../schema/field.ts'
import type { DeleteRule, Schema } from '../schema/schema.ts'
import { payloadOfUpdate } from '../values/payload-of-update.ts'
import { membersOf } from '../values/values-equal.ts'
import { foldOutbox } from './fold-outbox.ts'

/** The algebra of folding, tried on every sequence of local operations up to this length. */
const longest = process.env.HOLDFAST_NIGHTLY === '1' ? 6 : 4
const timeoutMs = process.env.HOLDFAST_NIGHTLY === '1' ? 3_600_000 : 60_000

const parent = '00000000-0000-7000-8000-00000000000a'
const child = '00000000-0000-7000-8000-00000000000b'

function givenSchema(onDelete: DeleteRule): Schema {
  const fields = {
    name: text({ default: 'A' }),
    note: text({ merge: 'latest', default: 'A' }),
    stock: counter(),
    tags: set(text()),
  }
  return defineSchema({
    version: 1,
    collections: {
      parents: collection({ fields, onDelete }),
      children: collection({
        fields: { ...fields, parent: reference('parents', { optional: true }) },
        onDelete,
      }),
    },
  })
}

const initialValues: Values = { name: 'A', note: 'A', stock: 5, tags: ['x'] }
const initialVersion = 7

const ops = ['name', 'note', 'increment', 'toggleX', 'toggleY', 'delete'] as const
type Op = (typeof ops)[number] | 'create' | 'point'
interface Step {
  readonly record: string
  readonly op: Op
}

/** What a device does: it keeps its own view of each record and writes the raw mutations of the outbox. */
class Device {
  readonly outbox: Mutation[] = []
  readonly #views = new Map<string, RecordSnapshot>()
  readonly #last = new Map<string, string>()

  readonly schema: Schema
  readonly start: ReadonlyMap<string, RecordSnapshot>
  readonly name: string

  constructor(schema: Schema, start: ReadonlyMap<string, RecordSnapshot>, name = 'a') {
    this.schema = schema
    this.start = start
    this.name = name
    for (const [record, snapshot] of start) this.#views.set(record, snapshot)
  }

  may({ record, op }: Step): boolean {
    const isLive = this.#view(record).kind === 'live'
    if (op === 'create') return !isLive
    if (op === 'point') return isLive && record === child && this.#view(parent).kind === 'live'
    // A device's own foreign key does not let a parent go while a child points to it.
    if (op === 'delete' && record === parent && this.#childPoints()) return false
    return isLive
  }

  write({ record, op }: Step, at?: Hlc): Mutation {
    const view = this.#view(record)
    const collectionName = record === parent ? 'parents' : 'children'
    const declared = this.schema.collections.get(collectionName)!
    const seq = this.outbox.length + 1
    const start = this.start.get(record) ?? absentRecord
    const mutation: Mutation = {
      ...emptyPayload,
      id: `${this.name}${seq}`,
      seq,
      covers: String(seq),
      group: null,
      collection: collectionName,
      record,
      op: op === 'create' ? 'create' : op === 'delete' ? 'delete' : 'update',
      baseVersion: start.kind === 'absent' ? 0 : start.version,
      after: this.#last.get(record) ?? null,
      at: at ?? stampOf(seq * 10, this.name),
      ats: {},
      resolves: null,
      schema: 1,
      ...this.#payload({ record, op }, view),
    }
    this.outbox.push(mutation)
    this.#last.set(record, mutation.id)
    this.#views.set(record, forceMine(declared, mutation, view))
    return mutation
  }

  #view(record: string): RecordSnapshot {
    return this.#views.get(record) ?? absentRecord
  }

  #childPoints(): boolean {
    const view = this.#view(child)
    return view.kind === 'live' && view.values.parent === parent
  }

  #payload({ record, op }: Step, view: RecordSnapshot): Partial<Mutation> {
    if (op === 'delete') return {}
    const declared = this.schema.collections.get(record === parent ? 'parents' : 'children')!
    const values = view.kind === 'live' ? view.values : {}
    if (op === 'create') {
      const pointsTo = this.#view(parent).kind === 'live' ? parent : null
      const created: Values = { name: 'C', note: 'C', stock: 1, tags: ['c'] }
      return { changes: record === child ? { ...created, parent: pointsTo } : created }
    }
    const wanted = (field: string, value: Json): Partial<Mutation> =>
      payloadOfUpdate(declared, values, { [field]: value })
    // Three values, so that edits go on as well as come back to what was seen.
    const following = (value: Json | undefined): Json => (value === 'A' ? 'B' : value === 'B' ? 'D' : 'A')
    switch (op) {
      case 'name':
        return wanted('name', following(values.name))
      case 'note':
        return wanted('note', following(values.note))
      case 'increment':
        return { increments: { stock: 3 } }
      case 'toggleX':
        return toggled(values.tags, 'x')
      case 'toggleY':
        return toggled(values.tags, 'y')
      case 'point':
        return wanted('parent', values.parent === parent ? null : parent)
      default:
        throw new Error(op)
    }
  }
}

function stampOf(tick: number, device: string): Hlc {
  return `2026-11-20T10:00:00.${String(tick).padStart(3, '0')}Z-0000-${device}` as Hlc
}

function toggled(tags: Json | undefined, member: string): Partial<Mutation> {
  const isIn = membersOf(tags).includes(member)
  return isIn ? { removals: { tags: [member] } } : { additions: { tags: [member] } }
}

interface Row {
  snapshot: RecordSnapshot
  clocks: Readonly<Record<string, Hlc>>
  writes: { readonly fields: readonly string[]; readonly device: string }[]
}

/** A server in a few lines: merge, versions, references as a database would check them. Conflicts are settled as mine at once. */
class Server {
  readonly #rows = new Map<string, Row>()
  readonly refused: string[] = []
  #version = initialVersion

  readonly schema: Schema

  constructor(schema: Schema, start: ReadonlyMap<string, RecordSnapshot>) {
    this.schema = schema
    for (const [record, snapshot] of start) this.#rows.set(record, { snapshot, clocks: {}, writes: [] })
  }

  apply(mutation: Mutation): void {
    const declared = this.schema.collections.get(mutation.collection)!
    const device = mutation.id.slice(0, 1)
    const row = this.#rows.get(mutation.record) ?? { snapshot: absentRecord, clocks: {}, writes: [] }
    const unseen = row.writes.filter((write) => write.device !== device).flatMap((write) => write.fields)
    const outcome = mergeRecord({
      collection: declared,
      mutation,
      current: row.snapshot,
      concurrent: new Set(unseen),
      ownTombstone: row.snapshot.kind === 'deleted' && row.writes.at(-1)?.device === device,
      clocks: row.clocks,
      fallbackStamp: hlcOfTime('2026-11-20T09:00:00.000Z'),
    })
    if (outcome.kind === 'reject') return this.#refuse(`${mutation.id} ${outcome.code}`)
    // Where a delete lost by rule, only the edit it carried is in dispute.
    const op =
      outcome.kind === 'conflict' && outcome.mine !== null && mutation.op === 'delete'
        ? 'update'
        : mutation.op
    const next =
      outcome.kind === 'apply' ? outcome.next : forceMine(declared, { ...mutation, op }, row.snapshot)
    if (next.kind === 'live' && this.#pointsNowhere(next.values))
      return this.#refuse(`${mutation.id} points nowhere`)
    if (next.kind === 'deleted' && mutation.record === parent && this.#isPointedTo()) {
      return this.#refuse(`${mutation.id} has children`)
    }
    const fields = outcome.kind === 'apply' ? outcome.changed : Object.keys(mutation.changes)
    if (canonicalJson(contentOf(next)) !== canonicalJson(contentOf(row.snapshot))) {
      this.#version += 1
      row.writes.push({ fields, device })
      row.snapshot = next.kind === 'absent' ? next : { ...next, version: this.#version }
    }
    if (outcome.kind === 'apply') row.clocks = { ...row.clocks, ...outcome.clocks }
    this.#rows.set(mutation.record, row)
  }

  /** Records by id; those that are gone do not tell whether the server ever heard of them. */
  state(): string {
    const records = [parent, child].map((record) =>
      contentOf(this.#rows.get(record)?.snapshot ?? absentRecord),
    )
    return canonicalJson(records)
  }

  clocks(): string {
    const live = [...this.#rows].filter(([, row]) => row.snapshot.kind === 'live')
    return canonicalJson(Object.fromEntries(live.map(([record, row]) => [record, row.clocks])))
  }

  #refuse(reason: string): void {
    this.refused.push(reason)
  }

  #pointsNowhere(values: Values): boolean {
    return values.parent === parent && this.#rows.get(parent)?.snapshot.kind !== 'live'
  }

  #isPointedTo(): boolean {
    const row = this.#rows.get(child)?.snapshot
    return row?.kind === 'live' && row.values.parent === parent
  }
}

function contentOf(snapshot: RecordSnapshot): Json {
  return snapshot.kind === 'live' ? snapshot.values : 'gone'
}

function serverAfter(
  schema: Schema,
  start: ReadonlyMap<string, RecordSnapshot>,
  sent: readonly Mutation[],
): Server {
  const server = new Server(schema, start)
  for (const mutation of sent) server.apply(mutation)
  return server
}

function folded(schema: Schema, entries: readonly Mutation[]): readonly Mutation[] {
  return foldOutbox(schema, entries).flatMap(({ mutation }) => (mutation ? [mutation] : []))
}

/** Calls `visit` with the outbox after every sequence of steps that the device allows, up to `length`. */
function eachSequence(
  given: {
    readonly schema: Schema
    readonly start: ReadonlyMap<string, RecordSnapshot>
    readonly steps: readonly Step[]
  },
  length: number,
  visit: (outbox: readonly Mutation[]) => void,
): number {
  let count = 0
  const walk = (trail: readonly Step[]): void => {
    const device = new Device(given.schema, given.start)
    for (const step of trail) device.write(step)
    if (trail.length > 0) visit(device.outbox)
    count += 1
    if (trail.length === length) return
    for (const step of given.steps) if (device.may(step)) walk([...trail, step])
  }
  walk([])
  return count
}

const nothingYet: ReadonlyMap<string, RecordSnapshot> = new Map()
const bothThere: ReadonlyMap<string, RecordSnapshot> = new Map([
  [parent, { kind: 'live', version: initialVersion, values: initialValues }],
  [child, { kind: 'live', version: initialVersion, values: { ...initialValues, parent } }],
])
const parentSteps = [...ops, 'create' as const].map((op): Step => ({ record: parent, op }))
const childSteps = [...ops, 'create' as const, 'point' as const].map((op): Step => ({ record: child, op }))

describe('two rows with a reference between them', () => {
  test.each([
    ['nothing was there', nothingYet],
    ['both were there', bothThere],
  ])(
    '[FO-10] B28: a folded outbox leaves what the raw one leaves: %s',
    (_, start) => {
      const schema = givenSchema('ask')
      const steps = [...parentSteps, ...childSteps]
      const differing: unknown[] = []
      const count = eachSequence({ schema, start, steps }, longest, (outbox) => {
        const raw = serverAfter(schema, start, outbox)
        const fold = serverAfter(schema, start, folded(schema, outbox))
        const isSame = raw.state() === fold.state() && raw.clocks() === fold.clocks()
        if (!isSame || raw.refused.length + fold.refused.length > 0) differing.push({ outbox, raw, fold })
      })
      expect(differing.slice(0, 1)).toEqual([])
      expect(count).toBeGreaterThan(longest ** 4)
    },
    timeoutMs,
  )

  test(
    '[FO-10] B27: entries that were offered stay raw, and folding the rest leaves the same',
    () => {
      const schema = givenSchema('ask')
      const differing: unknown[] = []
      const steps = [...parentSteps, ...childSteps]
      eachSequence({ schema, start: bothThere, steps }, longest - 1, (outbox) => {
        const raw = serverAfter(schema, bothThere, outbox)
        for (let offered = 1; offered < outbox.length; offered++) {
          const sent = [...outbox.slice(0, offered), ...folded(schema, outbox.slice(offered))]
          const fold = serverAfter(schema, bothThere, sent)
          if (raw.state() !== fold.state() || fold.refused.length > 0) differing.push({ outbox, offered })
        }
      })
      expect(differing.slice(0, 1)).toEqual([])
    },
    timeoutMs,
  )
})

describe('a second device writes the same record', () => {
  const only: ReadonlyMap<string, RecordSnapshot> = new Map([[parent, bothThere.get(parent)!]])
  const writerSteps: readonly Step['op'][] = ops

  test.each(['ask', 'delete', 'edit'] as const)(
    '[FO-10] B28: what a fold leaves is what the raw outbox leaves at some timing: onDelete %s',
    (onDelete) => {
      const schema = givenSchema(onDelete)
      const differing: unknown[] = []
      eachSequence({ schema, start: only, steps: parentSteps }, longest, (outbox) => {
        const fold = folded(schema, outbox)
        if (fold.length === outbox.length) return
        for (const op of writerSteps) {
          const foreign = givenForeignWrite(schema, only, op)
          const possible = new Set(
            timings(outbox, foreign).map((sent) => serverAfter(schema, only, sent).state()),
          )
          for (const sent of timings(fold, foreign)) {
            const state = serverAfter(schema, only, sent).state()
            if (!possible.has(state)) differing.push({ outbox, sent, state, possible: [...possible] })
          }
        }
      })
      expect(differing.slice(0, 1)).toEqual([])
    },
    timeoutMs,
  )
})

/** A write of another device that saw the same start; its stamp lies between the second and third of ours. */
function givenForeignWrite(schema: Schema, start: ReadonlyMap<string, RecordSnapshot>, op: Op): Mutation {
  const device = new Device(schema, start, 'w')
  const mutation = device.write({ record: parent, op }, stampOf(25, 'w'))
  const { changes } = mutation
  const own = Object.fromEntries(Object.keys(changes).map((name) => [name, 'W']))
  return { ...mutation, changes: own }
}

function timings(sent: readonly Mutation[], foreign: Mutation): readonly (readonly Mutation[])[] {
  return Array.from({ length: sent.length + 1 }, (_, place) => [
    ...sent.slice(0, place),
    foreign,
    ...sent.slice(place),
  ])
}
