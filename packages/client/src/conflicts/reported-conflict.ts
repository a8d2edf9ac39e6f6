import { conflictsCollection, type ConflictReport, type Json, type Mutation } from '@holdfast/core'
import type { LocalTransaction } from '../local/local-database.ts'
import { statementsOf } from '../local/records.ts'
import { valuesToColumns } from '../local/tables.ts'
import type { Offer } from '../outbox/offer.ts'

interface Reported {
  readonly offer: Offer
  readonly result: { readonly conflict?: ConflictReport; readonly serverUpdatedAt: string | null }
}

/**
 * Keeps a conflict as soon as a push answer names it, so that the app can show it before the next pull brings the
 * real row, which then takes its place. Mutations of one group share one conflict. Rules: CF-1.
 */
export async function storeReportedConflict(
  tx: LocalTransaction,
  answers: readonly Reported[],
  author: { readonly account: string | null; readonly device: string },
): Promise<void> {
  const byConflict = Map.groupBy(
    answers.filter(({ result }) => result.conflict !== undefined),
    ({ result }) => result.conflict?.id ?? '',
  )
  for (const [id, reported] of byConflict) {
    const [first] = reported
    if (first) await storeConflict(tx, id, { ...author, reported, first: first.offer.mutation })
  }
}

async function storeConflict(
  tx: LocalTransaction,
  id: string,
  input: {
    readonly reported: readonly Reported[]
    readonly first: Mutation
    readonly account: string | null
    readonly device: string
  },
): Promise<void> {
  const [known] = await tx.all(statementsOf(conflictsCollection).select, [id])
  if (known) return
  const { first, reported, account, device } = input
  const parts = reported.flatMap(({ offer, result }) => partOf(offer.mutation, result.conflict))
  const report = reported[0]?.result.conflict
  const at = reported[0]?.result.serverUpdatedAt ?? first.at.slice(0, 24)
  const values = {
    collection: first.collection,
    record: first.record,
    kind: report?.mine === null || report?.theirs === null ? 'delete' : 'fields',
    status: 'open',
    fields: [...(report?.fields ?? [])],
    parts,
    mutation: first.id,
    author: account ?? '',
    device,
    createdAt: at,
    resolution: null,
    resolvedBy: null,
    resolvedAt: null,
  }
  const meta = [at, at, null, 0, 'clean', '']
  await tx.run(statementsOf(conflictsCollection).insert, [
    id,
    ...valuesToColumns(conflictsCollection, values),
    ...meta,
  ])
  tx.touch(conflictsCollection.name, id)
}

function partOf(mutation: Mutation, report: ConflictReport | undefined): Json[] {
  if (!report) return []
  const { collection, record, op } = mutation
  const { fields, base, mine, theirs } = report
  return [{ collection, record, op, fields: [...fields], base, mine, theirs, rules: {} }]
}
