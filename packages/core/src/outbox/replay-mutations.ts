import type { Hlc } from '../hlc.ts'
import { hlcOfTime } from '../hlc.ts'
import { forceMine } from '../merge/force-mine.ts'
import type { MergeOutcome } from '../merge/merge-outcome.ts'
import { mergeRecord } from '../merge/merge-record.ts'
import type { Mutation, RecordSnapshot, ReturnedFate } from '../mutation.ts'
import type { CollectionSchema } from '../schema/schema.ts'
import { valuesEqual } from '../values/values-equal.ts'

/** A mutation that the server would not simply take, as far as a device can tell. A hint, never an outcome. */
export interface Foretold {
  readonly mutation: string
  readonly outcome: Extract<MergeOutcome, { kind: 'conflict' | 'reject' }>
}

/** The record as the app sees it, and what is foretold about it. */
export interface Replayed {
  readonly view: RecordSnapshot
  readonly foretold: readonly Foretold[]
  /** Stamp of the mutation that made the record, or made it anew; null when none of them did. */
  readonly madeAt: Hlc | null
}

/** A device does not know the stamps of its shadow: in what the app sees, its own `latest` edits stay until answered. */
const beforeAll: Hlc = hlcOfTime('1970-01-01T00:00:00.000Z')

/** Until it is settled again, its author sees what was settled before. */
const nothingInTheWay: ReadonlyMap<string, ReturnedFate> = new Map()

/**
 * Rebase: the shadow with every unsettled mutation of the record replayed on it, in the order written. Where the merge
 * says conflict or reject, the view shows the author's own values and the outcome is foretold. Pure and total: it
 * never throws for any shadow. Rules: RB-1 to RB-5.
 */
export function replayMutations(
  collection: CollectionSchema,
  shadow: RecordSnapshot,
  mutations: readonly Mutation[],
): Replayed {
  const foretold: Foretold[] = []
  let view = shadow
  let isOwnTombstone = false
  let madeAt: Hlc | null = null
  for (const mutation of mutations) {
    const outcome = mergeRecord({
      collection,
      mutation,
      current: view,
      concurrent: concurrentFields(collection, mutation, view),
      ownTombstone: isOwnTombstone || isAnew(mutation),
      clocks: {},
      fallbackStamp: beforeAll,
      returned: mutation.was && nothingInTheWay,
    })
    if (outcome.kind !== 'apply') foretold.push({ mutation: mutation.id, outcome })
    const next = outcome.kind === 'apply' ? outcome.next : forceMine(collection, mutation, view)
    isOwnTombstone = next.kind === 'deleted' && (isOwnTombstone || view.kind === 'live')
    // As on the server: what meets a record that is there, or brings one back as it was, does not make it.
    if (mutation.op === 'create' && view.kind !== 'live' && next.kind === 'live') madeAt = mutation.at
    view = next
  }
  return { view, foretold, madeAt }
}

/** A record made again was gone for its author, who had deleted it: that may have been settled since. */
function isAnew({ op, after }: Mutation): boolean {
  return op === 'create' && after !== null
}

/**
 * What others changed since the mutation was written. Its version moved: if no own mutation lies before it, somebody
 * else did that; otherwise only a base that no longer holds is evidence.
 */
function concurrentFields(
  collection: CollectionSchema,
  { after, base, was }: Mutation,
  view: RecordSnapshot,
): ReadonlySet<string> | 'unknown' {
  if (was) return new Set()
  if (after === null) return 'unknown'
  if (view.kind !== 'live') return new Set()
  const { values } = view
  const moved = collection.fields.filter(
    (field) => base?.[field.name] !== undefined && !valuesEqual(field, base[field.name], values[field.name]),
  )
  return new Set(moved.map((field) => field.name))
}
