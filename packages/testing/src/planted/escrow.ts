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
]
