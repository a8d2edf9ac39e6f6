import { conflictsCollection, type ConflictReport, type Values } from '@holdfast/core'
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
    const lead = reported.find(({ result }) => result.conflict?.parts !== undefined)
    if (lead) await storeConflict(tx, id, { ...author, reported, lead })
  }
}

async function storeConflict(
  tx: LocalTransaction,
  id: string,
  input: {
    readonly reported: readonly Reported[]
    /** The one that began the dispute: its answer has what the row will say. */
    readonly lead: Reported
    readonly account: string | null
    readonly device: string
  },
): Promise<void> {
  const [known] = await tx.all(statementsOf(conflictsCollection).select, [id])
  if (known) return
  const { lead, reported, account, device } = input
  const { mutation } = lead.offer
  const at = lead.result.serverUpdatedAt ?? mutation.at.slice(0, 24)
  const values: Values = {
    collection: mutation.collection,
    record: mutation.record,
    kind: lead.result.conflict?.kind ?? 'fields',
    status: 'open',
    fields: [...new Set(reported.flatMap(({ result }) => result.conflict?.fields ?? []))],
    parts: lead.result.conflict?.parts ?? [],
    mutation: mutation.id,
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
