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

/**
 * The algebra of folding, tried on every sequence of local operations up to this length; HOLDFAST_NIGHTLY=1 takes some
 * ten minutes for the long ones.
 */
const isNightly = process.env.HOLDFAST_NIGHTLY === '1'
const longest = isNightly ? 6 : 4
const timeoutMs = isNightly ? 3_600_000 : 60_000

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

interface Before {
  readonly outbox: readonly Mutation[]
  readonly views: ReadonlyMap<string, RecordSnapshot>
  readonly last: ReadonlyMap<string, string>
}

/** What a device does: it keeps its own view of each record and writes the raw mutations of the outbox. */
class Device {
  readonly outbox: readonly Mutation[] = []
  readonly #views: ReadonlyMap<string, RecordSnapshot>
  readonly #last: ReadonlyMap<string, string>

  readonly schema: Schema
  readonly start: ReadonlyMap<string, RecordSnapshot>
  readonly name: string

  constructor(schema: Schema, start: ReadonlyMap<string, RecordSnapshot>, name = 'a', before?: Before) {
    this.schema = schema
    this.start = start
    this.name = name
    this.outbox = before?.outbox ?? []
    this.#views = before?.views ?? start
    this.#last = before?.last ?? new Map()
  }

  may({ record, op }: Step): boolean {
    const isLive = this.#view(record).kind === 'live'
    if (op === 'create') return !isLive
    if (op === 'point') return isLive && record === child && this.#view(parent).kind === 'live'
    // A device's own foreign key does not let a parent go while a child points to it.
    if (op === 'delete' && record === parent && this.#childPoints()) return false
    return isLive
  }

  /** What it becomes by a step; itself it stays as it is. */
  after({ record, op }: Step, at?: Hlc): Device {
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
    return new Device(this.schema, this.start, this.name, {
      outbox: [...this.outbox, mutation],
      views: new Map([...this.#views, [record, forceMine(declared, mutation, view)]]),
      last: new Map([...this.#last, [record, mutation.id]]),
    })
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
  readonly snapshot: RecordSnapshot
  readonly clocks: Readonly<Record<string, Hlc>>
  readonly writes: readonly { readonly fields: readonly string[]; readonly device: string }[]
}

/** A server in a few lines: merge, versions, references as a database would check them. Conflicts are settled as mine at once. */
class Server {
  readonly #rows: Map<string, Row>
  readonly refused: string[]
  #version: number

  readonly schema: Schema

  constructor(schema: Schema, rows: ReadonlyMap<string, Row>, version: number, refused: readonly string[]) {
    this.schema = schema
    this.#rows = new Map(rows)
    this.#version = version
    this.refused = [...refused]
  }

  static of(schema: Schema, start: ReadonlyMap<string, RecordSnapshot>): Server {
    const rows = [...start].map(
      ([record, snapshot]) => [record, { snapshot, clocks: {}, writes: [] }] as const,
    )
    return new Server(schema, new Map(rows), initialVersion, [])
  }

  /** What it becomes by some mutations; itself it stays as it is. */
  after(sent: readonly Mutation[]): Server {
    const next = new Server(this.schema, this.#rows, this.#version, this.refused)
    for (const mutation of sent) next.#apply(mutation)
    return next
  }

  #apply(mutation: Mutation): void {
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
    const clocks = outcome.kind === 'apply' ? { ...row.clocks, ...outcome.clocks } : row.clocks
    if (canonicalJson(contentOf(next)) === canonicalJson(contentOf(row.snapshot))) {
      this.#rows.set(mutation.record, { ...row, clocks })
      return
    }
    this.#version += 1
    const snapshot = next.kind === 'absent' ? next : { ...next, version: this.#version }
    this.#rows.set(mutation.record, { snapshot, clocks, writes: [...row.writes, { fields, device }] })
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

function folded(schema: Schema, entries: readonly Mutation[]): readonly Mutation[] {
  return foldOutbox(schema, entries).map(({ mutation }) => mutation)
}

interface Sequence {
  readonly outbox: readonly Mutation[]
  /** The server after none, one, two … of these, each as it was written. */
  readonly servers: readonly [Server, ...Server[]]
}

/** Calls `visit` after every sequence of steps that the device allows, up to `length`; gives how many there were. */
function eachSequence(
  given: {
    readonly schema: Schema
    readonly start: ReadonlyMap<string, RecordSnapshot>
    readonly steps: readonly Step[]
  },
  length: number,
  visit: (sequence: Sequence) => void,
): number {
  let count = 0
  const walk = (device: Device, servers: Sequence['servers']): void => {
    for (const step of given.steps) {
      if (!device.may(step)) continue
      const next = device.after(step)
      const { outbox } = next
      const reached: Sequence['servers'] = [...servers, servers.at(-1)!.after(outbox.slice(-1))]
      count += 1
      visit({ outbox, servers: reached })
      if (outbox.length < length) walk(next, reached)
    }
  }
  walk(new Device(given.schema, given.start), [Server.of(given.schema, given.start)])
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
    ['nothing was there', nothingYet, isNightly ? 87_416 : 934],
    ['both were there', bothThere, isNightly ? 2_560_175 : 20_005],
  ])(
    '[FO-10] B28: a folded outbox leaves what the raw one leaves: %s',
    (_, start, sequenceCount) => {
      const schema = givenSchema('ask')
      const steps = [...parentSteps, ...childSteps]
      const differing: unknown[] = []
      const count = eachSequence({ schema, start, steps }, longest, ({ outbox, servers }) => {
        const raw = servers.at(-1)!
        const fold = servers[0].after(folded(schema, outbox))
        const isSame = raw.state() === fold.state() && raw.clocks() === fold.clocks()
        if (!isSame || raw.refused.length + fold.refused.length > 0) differing.push({ outbox, raw, fold })
      })
      expect(differing.slice(0, 1)).toEqual([])
      expect(count).toBe(sequenceCount)
    },
    timeoutMs,
  )

  test(
    '[FO-10] B27: entries that were offered stay raw, and folding the rest leaves the same',
    () => {
      const schema = givenSchema('ask')
      const differing: unknown[] = []
      const steps = [...parentSteps, ...childSteps]
      eachSequence({ schema, start: bothThere, steps }, longest, ({ outbox, servers }) => {
        const raw = servers.at(-1)!.state()
        for (let offered = 1; offered < outbox.length; offered++) {
          const fold = servers[offered]!.after(folded(schema, outbox.slice(offered)))
          if (raw !== fold.state() || fold.refused.length > 0) differing.push({ outbox, offered })
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
      const foreign = writerSteps.map((op) => givenForeignWrite(schema, only, op))
      eachSequence({ schema, start: only, steps: parentSteps }, longest, ({ outbox, servers }) => {
        const fold = folded(schema, outbox)
        if (fold.length === outbox.length) return
        const foldServers = [...fold.keys(), fold.length].map((count) =>
          servers[0].after(fold.slice(0, count)),
        )
        for (const write of foreign) {
          const possible = new Set(statesAtEachTiming(outbox, servers, write))
          const reached = statesAtEachTiming(fold, foldServers, write)
          const wrong = reached.filter((state) => !possible.has(state))
          if (wrong.length > 0) differing.push({ outbox, fold, write, wrong, possible: [...possible] })
        }
      })
      expect(differing.slice(0, 1)).toEqual([])
    },
    timeoutMs,
  )
})

/** A write of another device that saw the same start; its stamp lies between the second and third of ours. */
function givenForeignWrite(schema: Schema, start: ReadonlyMap<string, RecordSnapshot>, op: Op): Mutation {
  const [mutation] = new Device(schema, start, 'w').after({ record: parent, op }, stampOf(25, 'w')).outbox
  if (!mutation) throw new Error('nothing was written')
  const { changes } = mutation
  const own = Object.fromEntries(Object.keys(changes).map((name) => [name, 'W']))
  return { ...mutation, changes: own }
}

/** What the server has in the end, by how many of `sent` had arrived when somebody else wrote; `servers` after as many. */
function statesAtEachTiming(
  sent: readonly Mutation[],
  servers: readonly Server[],
  foreign: Mutation,
): readonly string[] {
  return servers.map((server, place) => server.after([foreign, ...sent.slice(place)]).state())
}
