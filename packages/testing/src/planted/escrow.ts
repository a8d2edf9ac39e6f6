import type { Plant } from './plant.ts'

/** Bugs in what becomes of edits whose author lost the right to the record. */
export const escrowPlants: readonly Plant[] = [
  {
    id: 'escrowed-values-stay-in-the-file',
    case: 'ES-14',
    file: 'packages/client/src/sync/record-answers.ts',
    edits: [
      {
        find: `if (await settleEscrowed(tx, context.requeue)) await oweRewriting(tx)`,
        replace: `await settleEscrowed(tx, context.requeue)`,
      },
    ],
    story:
      'Somebody lost the right to a warehouse, and what they wrote about it can be read out of their phone for ever.',
    expect: ['revocation'],
  },
  {
    id: 'escrow-accepted-twice',
    case: 'ES-9',
    file: 'packages/server/src/escrow/decide-escrow.ts',
    edits: [{ find: `if (lead.status !== 'waiting')`, replace: `if (lead.status === 'refused')` }],
    story: 'Two operators accept the same sale, and the stock is two pieces too low.',
    expect: ['exactly-once', 'counters', 'effect', 'audit-completeness'],
  },
  {
    id: 'escrow-kept-by-nobody',
    case: 'ES-1',
    file: 'packages/server/src/push/push-batch.ts',
    edits: [{ find: `await tx.saveEscrow(session.effects.escrow)`, replace: `await tx.saveEscrow([])` }],
    story: 'The device forgets an edit, because the server says that it has it, and nobody has.',
    expect: ['no-lost-mutation'],
  },
  {
    id: 'reference-to-what-may-be-missing-is-folded',
    case: 'FO-8',
    file: 'packages/client/src/outbox/cut-batch.ts',
    edits: [
      {
        find: `return parent.escrow || !made.has(recordKey(entry))`,
        replace: `return needed.size < 0`,
      },
    ],
    story:
      'A good edit is refused with a later one that refers to a refused record, and a person has to mend it.',
    expect: ['expected-end'],
    seenBy: 'lane',
  },
  {
    id: 'view-taken-for-the-servers-copy',
    case: 'PR-1',
    file: 'packages/client/src/local/records.ts',
    edits: [
      {
        find: `if (entries.length > 0) await storeShadow(`,
        replace: `if (entries.length > 0 && shadow.snapshot.version < 0) await storeShadow(`,
      },
    ],
    story: 'An edit comes back from escrow and is refused or discarded; the phone shows its value for ever.',
    expect: ['convergence', 'bounds'],
  },
]
