import {
  type Change,
  type EscrowEnding,
  type Outcome,
  parseRowData,
  type Schema,
  SyncError,
} from '@holdfast/core'

/** What is worth knowing of a staged page before it is applied, so that the flip runs no statement for nothing. */
export interface PageNote {
  /** Its number in `_staging`. */
  readonly page: number
  /** `put` changes that fit, by collection. */
  readonly puts: Readonly<Record<string, number>>
  /** True when it holds anything but `put`. */
  readonly hasOthers: boolean
  /** Scopes its changes name. */
  readonly scopes: readonly string[]
  /** Changes this device cannot read, by their place in the page. */
  readonly unfit: readonly Unfit[]
  /** Collections of which it says that we have records already, those that this app does not know among them. */
  readonly haves: readonly string[]
  /** What it says of this device's mutations; absent on leaves that the device adds to the last page. */
  readonly verdicts?: PageVerdicts
}

/** What a page says of this device's mutations: what older pages say is older. */
export interface PageVerdicts {
  readonly outcomes: readonly Outcome[]
  /** The server had nothing beyond the page: it names every outcome that was not acknowledged. */
  readonly isAll: boolean
  /** How edits in escrow stand; undefined where it does not say. */
  readonly escrow?: readonly EscrowEnding[] | undefined
  /** Numbers that were settled and that the server does not know; undefined where it does not say. */
  readonly lost?: string | undefined
}

/** A change that does not fit the schema, and why. */
interface Unfit {
  readonly index: number
  readonly reason: string
}

/** A `have` change: no data travels. */
export interface Have {
  readonly collection: string
  readonly record: string
  readonly scope: string
  readonly version: number
  readonly serverUpdatedAt: string
}

/** Reads through the changes of a page once, as it arrives. Rows that do not fit are named, never dropped. Rules: AP-5. */
export function notePage(schema: Schema, page: number, changes: readonly Change[]): PageNote {
  const puts: Record<string, number> = {}
  const scopes = new Set<string>()
  const unfit: Unfit[] = []
  const haves = new Set<string>()
  let otherCount = 0
  for (const [index, change] of changes.entries()) {
    scopes.add(change.scope)
    const reason = misfitOf(schema, change)
    if (reason !== undefined) unfit.push({ index, reason })
    else if (change.op === 'put') puts[change.collection] = (puts[change.collection] ?? 0) + 1
    else otherCount++
    if (change.op === 'have') haves.add(change.collection)
  }
  return { page, puts, hasOthers: otherCount > 0, scopes: [...scopes], unfit, haves: [...haves] }
}

function misfitOf(schema: Schema, change: Change): string | undefined {
  const collection = schema.collections.get(change.collection)
  if (!collection) return `this app has no collection ${change.collection}`
  if (change.op !== 'put') return undefined
  try {
    parseRowData(collection, change.data)
    return undefined
  } catch (error) {
    if (error instanceof SyncError) return error.message
    throw error
  }
}
