import type { ErrorReport, Mutation, Payload, Verdict } from '@holdfast/core'
import type { EscrowStatus, StoredEscrow } from '../store/escrow-store.ts'

/** An edit in escrow, as an operator sees it: one mutation, or those of one user transaction. */
export interface EscrowedEdit {
  readonly id: string
  readonly status: EscrowStatus
  readonly author: string
  readonly device: string
  /** ISO time at which the server took it. */
  readonly receivedAt: string
  readonly decidedBy: string | null
  readonly decidedAt: string | null
  /** What was said when it was refused. */
  readonly reason: string | null
  readonly mutations: readonly EscrowedMutation[]
}

/** One mutation of such an edit. */
export interface EscrowedMutation
  extends Pick<Mutation, 'id' | 'collection' | 'record' | 'op' | 'baseVersion' | 'after' | 'resolves'>,
    Payload {
  /** ISO time at which it was made. */
  readonly madeAt: string
  /** What came of it once it was accepted. */
  readonly verdict: Extract<Verdict, 'applied' | 'merged' | 'conflict'> | null
  readonly version: number | null
  readonly conflict: string | null
}

/** What a list of edits in escrow is asked for. */
export interface EscrowQuery {
  /** All unless said. */
  readonly status?: EscrowStatus
  readonly limit?: number
  /** `next` of the page before. */
  readonly after?: string
}

/** Edits in escrow, in the order in which they came. */
export interface EscrowPage {
  /** Those in sight; there may be fewer than asked for, also none, before the end. */
  readonly edits: readonly EscrowedEdit[]
  /** null at the end. */
  readonly next: string | null
}

/** What an operator decides about an edit in escrow. */
export type EscrowDecision =
  | { readonly kind: 'accept' }
  /** The reason is told to the author. */
  | { readonly kind: 'refuse'; readonly reason: string | null }

/** The edit as it stands then, and why it was not decided, if it was not. */
export interface EscrowAnswer {
  readonly edit: EscrowedEdit
  readonly error?: ErrorReport
}

/** Members of units, of which those of one follow each other, as edits. */
export function editsOf(members: readonly StoredEscrow[]): readonly EscrowedEdit[] {
  const units = Map.groupBy(members, ({ unit }) => unit)
  return [...units.values()].flatMap((unit) => editOf(unit) ?? [])
}

function editOf(unit: readonly StoredEscrow[]): EscrowedEdit | undefined {
  const [lead] = unit
  if (!lead) return undefined
  const { unit: id, status, user, device, at, decidedBy, decidedAt, reason } = lead
  const decided = { decidedBy, decidedAt, reason }
  return { id, status, author: user, device, receivedAt: at, ...decided, mutations: unit.map(memberOf) }
}

function memberOf({ mutation, verdict, version, conflict }: StoredEscrow): EscrowedMutation {
  const { at, ...rest } = parseEscrowed(mutation)
  const { id, collection, record, op, baseVersion, after, resolves } = rest
  const { changes, base, increments, additions, removals } = rest
  const payload = { changes, base, increments, additions, removals }
  const ruling = { verdict, version, conflict }
  return {
    id,
    collection,
    record,
    op,
    baseVersion,
    after,
    resolves,
    ...payload,
    madeAt: at.slice(0, 24),
    ...ruling,
  }
}

/** A mutation as it was kept. */
export function parseEscrowed(text: string): Mutation {
  // Written by keepInEscrow from the same type.
  return JSON.parse(text) as Mutation
}
