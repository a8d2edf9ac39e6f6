import type { Plant } from './plant.ts'

const push = 'packages/server/src/push'
const sqlite = 'packages/server/src/store/sqlite'

/** Bugs in deciding and storing mutations on the server. */
export const serverPushPlants: readonly Plant[] = [
  {
    id: 'answer-in-spite-of-a-failed-commit',
    case: 'B17',
    file: `${sqlite}/sqlite-store.ts`,
    edits: [
      {
        find: ` db.exec('COMMIT')\n`,
        replace: ` try {
      db.exec('COMMIT')
    } catch {
      if (db.isInTransaction) db.exec('ROLLBACK')
    }
`,
      },
    ],
    story: 'The disk of the server is full, and devices are told that their edits were applied.',
    expect: ['no-lost-mutation', 'liveness'],
  },
  {
    id: 'effect-and-outcome-in-two-commits',
    case: 'B17',
    file: `${sqlite}/write-ledger.ts`,
    edits: [
      {
        find: `  const report = pending === null`,
        replace: `  db.exec('COMMIT')
  db.exec('BEGIN IMMEDIATE')
  const report = pending === null`,
      },
    ],
    story: 'The server dies between the effect and its outcome; the repeat counts the sale twice.',
    expect: ['exactly-once', 'counters', 'audit-completeness'],
  },
  {
    id: 'known-key-with-another-body',
    case: 'B22',
    file: `${push}/claims.ts`,
    edits: [
      {
        find: `known.seq === seq && known.hash === hash`,
        replace: `known.seq === seq || known.hash === hash`,
      },
    ],
    story: 'A copy of a database folds one edit more under the same key: it is told "applied" and is not.',
    expect: ['no-lost-mutation', 'counters', 'expected-end'],
    seenBy: 'lane',
  },
  {
    id: 'covers-overlap-unchecked',
    case: 'PU-6',
    file: `${push}/claims.ts`,
    edits: [
      {
        find: `if (finalCount < countRanges(covers)) return { kind: 'refused', code: 'COVERS_OVERLAP' }`,
        replace: `if (finalCount < countRanges(covers)) return { kind: 'new' }`,
      },
    ],
    story: 'Two copies of a database fold differently, and what both have is applied twice.',
    expect: ['exactly-once', 'counters'],
  },
  {
    id: 'only-the-newest-finals',
    case: 'B17',
    file: `${push}/push-batch.ts`,
    edits: [{ find: `finals: session.claims.finals,`, replace: `finals: session.claims.finals.slice(-1),` }],
    story:
      'Numbers before a gap are forgotten: edits whose answer was lost are refused, and count twice under a new name.',
    expect: ['exactly-once', 'monotone', 'liveness', 'settled-by-pull'],
  },
  {
    id: 'refusals-not-stored',
    case: 'B17',
    file: `${push}/push-batch.ts`,
    edits: [
      {
        find: `return verdict.status !== 'held'`,
        replace: `return verdict.status !== 'held' && verdict.status !== 'rejected'`,
      },
    ],
    story: 'A refusal is decided anew for each repeat: refused on the device, applied on the server.',
    expect: ['no-lost-mutation', 'audit-completeness', 'liveness'],
  },
  {
    id: 'held-is-final',
    case: 'PU-15',
    file: `${push}/push-batch.ts`,
    edits: [{ find: `return verdict.status !== 'held'`, replace: `return verdict.status.length > 0` }],
    story: 'An edit that waited behind a conflict is never taken, because it was counted as answered.',
    expect: ['liveness', 'no-lost-mutation'],
  },
  {
    id: 'acknowledgement-deletes-the-outcome',
    case: 'B14',
    file: `${sqlite}/write-ledger.ts`,
    edits: [
      {
        find: `for (const [first, last] of seqs) db.run(sql, device, first, last)`,
        replace: `for (const [first, last] of seqs)
        db.run(sql && 'DELETE FROM holdfast_outcomes WHERE device = ? AND seq BETWEEN ? AND ?', device, first, last)`,
      },
    ],
    story:
      'A phone is put back to its backup: all that it sends again ends as dead letters, although it was applied.',
    expect: ['no-lost-mutation', 'exactly-once', 'monotone'],
  },
  {
    id: 'number-taken-for-the-mutation',
    case: 'B22',
    file: `${push}/claims.ts`,
    edits: [{ find: `([, key]) => keys.has(key)`, replace: `() => keys.size > 0` }],
    story:
      'A device is told that its edit was applied, and it was the one of another device with the same name.',
    expect: ['no-lost-mutation', 'effect', 'exactly-once', 'status-honesty'],
  },
  {
    id: 'acknowledged-what-was-not-final',
    case: 'PU-23',
    file: `${push}/push-batch.ts`,
    edits: [
      {
        find: `[...device.acked, ...parseRanges(batch.ack)]`,
        replace: `[...device.acked, ...parseRanges(batch.ack), ...session.claims.finals]`,
      },
    ],
    story:
      'The server stops repeating a verdict before the device has it: a lost answer leaves an edit in the outbox.',
    expect: ['liveness', 'convergence', 'counters', 'settled-by-pull'],
  },
  {
    id: 'large-transactions-split',
    case: 'PU-11',
    file: `${push}/push-batch.ts`,
    edits: [
      {
        find: `if (last && offer.group !== null && last[0]?.group === offer.group) last.push(offer)`,
        replace: `if (last && last.length < 2 && offer.group !== null && last[0]?.group === offer.group) last.push(offer)`,
      },
    ],
    story: 'A transaction of three is decided as two and one: part of it is refused, the rest stands.',
    expect: ['group-atomicity', 'audit-completeness'],
  },
  {
    id: 'transaction-applied-up-to-the-refusal',
    case: 'B44',
    file: `${push}/decide-unit.ts`,
    edits: [
      {
        find: `if (judgement.kind === 'reject') return reject(session, members, { ...judgement, index })`,
        replace: `if (judgement.kind === 'reject') {
      const kept = keepUnit(session, view, { applied, finding: { kind: 'fine', changes: [], renames: [] } })
      return [...kept, ...reject(session, members.slice(index), { ...judgement, index: 0 })]
    }`,
      },
    ],
    story: 'The second half of a transfer is refused and the first half stands.',
    expect: ['group-atomicity', 'audit-completeness'],
  },
  {
    id: 'later-edits-not-held',
    case: 'PU-15',
    file: `${push}/judge-mutation.ts`,
    edits: [
      {
        find: `if (mutation.resolves !== null) return undefined\n`,
        replace: `if (mutation.resolves !== null || touchedFields(mutation).length === 1) return undefined\n`,
      },
    ],
    story: 'Every further edit of a disputed field opens one more conflict about the same thing.',
    expect: ['one-dispute'],
  },
  {
    id: 'conflict-of-a-transaction-not-stored',
    case: 'PU-14',
    file: `${push}/open-conflict.ts`,
    edits: [
      {
        find: `effects.conflicts.set(id, { conflict, scopes: [`,
        replace: `if (members.length === 1) effects.conflicts.set(id, { conflict, scopes: [`,
      },
    ],
    story: 'A transaction is said to wait for a decision, and there is nothing to decide.',
    expect: ['liveness', 'no-lost-mutation', 'convergence'],
  },
  {
    id: 'conflict-keeps-one-field-of-two',
    case: 'CF-1',
    file: `${push}/open-conflict.ts`,
    edits: [
      {
        find: `    mine,
    theirs,
    ...(theirs === null`,
        replace: `    mine: mine && fields[1] ? { ...mine, [fields[1]]: base?.[fields[1]] ?? null } : mine,
    theirs,
    ...(theirs === null`,
      },
    ],
    story:
      'Whoever keeps theirs of two fields in dispute keeps one: of the other nothing is left but what they had seen.',
    expect: ['both-sides'],
  },
  {
    id: 'conflict-seen-by-its-author-alone',
    case: 'SC-4',
    file: `${push}/open-conflict.ts`,
    edits: [
      {
        find: `scopes: [...scopes, personalScope(author)]`,
        replace: `scopes: scopes.filter(() => false).concat(personalScope(caller.user.id))`,
      },
    ],
    story: 'The colleagues who could settle a conflict never hear of it.',
    expect: ['convergence'],
  },
  {
    id: 'settlement-leaves-the-conflict-open',
    case: 'PU-21',
    file: `${push}/open-conflict.ts`,
    edits: [
      {
        find: `  if (!conflict) return\n  const kind`,
        replace: `  if (!conflict || members.length > 1) return\n  const kind`,
      },
    ],
    story: 'A disputed transaction is settled, and stays disputed for ever.',
    expect: ['liveness', 'convergence'],
  },
  {
    id: 'unique-keys-not-kept-within-a-batch',
    case: 'B42',
    file: `${push}/keep-unit.ts`,
    edits: [{ find: `    working.changeOwner(change)\n`, replace: `` }],
    story: 'Two articles made offline with one code are both accepted, when they come in one batch.',
    expect: ['references-and-unique'],
  },
  {
    id: 'rename-only-in-the-answer',
    case: 'PU-19',
    file: `${push}/check-unique.ts`,
    edits: [{ find: `    view.put(collection.name, id, renamed.record)\n`, replace: `` }],
    story: 'A device is told that its record has another name now; on the server two have the same.',
    expect: ['references-and-unique', 'convergence', 'audit-completeness'],
  },
  {
    id: 'reference-unchecked-in-updates',
    case: 'PU-17',
    file: `${push}/decide-unit.ts`,
    edits: [
      {
        find: `if (snapshot.kind !== 'live' || !judgement.hasEffect) continue`,
        replace: `if (snapshot.kind !== 'live' || !judgement.hasEffect || offer.mutation.op === 'update') continue`,
      },
    ],
    story: 'A line is moved to an order that was deleted, and is seen by nobody.',
    expect: ['references-and-unique'],
  },
  {
    id: 'create-lands-in-a-foreign-scope',
    case: 'PU-9',
    file: `${push}/judge-mutation.ts`,
    edits: [
      {
        find: `    before.snapshot.kind !== 'live' &&\n`,
        replace: `    before.snapshot.kind === 'deleted' &&\n`,
      },
    ],
    story: 'Somebody who lost a scope still writes new records into it.',
    expect: ['write-rights'],
  },
  {
    id: 'invisible-record-edited',
    case: 'B66',
    file: `${push}/judge-mutation.ts`,
    edits: [
      {
        find: `const unseen = isSeen ? undefined`,
        replace: `const unseen = isSeen || snapshot.kind === 'live' ? undefined`,
      },
    ],
    story: 'Whoever knows an id changes a record he may not see, and is shown it in the answer.',
    expect: ['write-rights'],
  },
  {
    id: 'have-of-a-merged-version',
    case: 'B10',
    file: `${push}/judge-mutation.ts`,
    edits: [{ find: `    isBase &&\n`, replace: `` }],
    story:
      'Two devices edit two fields of a record; the second is told it has everything and never sees the first edit.',
    expect: ['convergence'],
  },
  {
    id: 'losers-not-kept',
    case: 'PR-7',
    file: `${push}/keep-unit.ts`,
    edits: [{ find: `decisions: explained,`, replace: `decisions: explained.slice(1),` }],
    story: 'A value that lost is not in the history, and nobody can bring it back.',
    expect: ['audit-completeness', 'effect'],
  },
  {
    id: 'restored-value-of-the-winner',
    case: 'AU-5',
    file: 'packages/server/src/audit/read-history.ts',
    edits: [
      { find: `value: decision.mine, user: entry.user`, replace: `value: decision.theirs, user: entry.user` },
    ],
    story: 'Whoever brings back his lost value gets the one that had replaced it.',
    expect: ['expected-end'],
    seenBy: 'lane',
  },
  {
    id: 'audit-without-refusals',
    case: 'AU-2',
    file: `${push}/decide-unit.ts`,
    edits: [{ find: `    if (mutation) {\n`, replace: `    if (mutation && at === index) {\n` }],
    story: 'Of a refused transaction only one edit is in the history.',
    expect: ['audit-completeness'],
  },
  {
    id: 'foreign-keys-unseen',
    case: 'FE-1',
    file: `${sqlite}/sqlite-store.ts`,
    edits: [{ find: `        await tx.readForeignNotes()\n`, replace: `` }],
    story: 'A code that another program wrote into the table can be taken a second time.',
    expect: ['references-and-unique', 'expected-end'],
    seenBy: 'lane',
  },
  {
    id: 'deletion-asks-nobody',
    case: 'ME-16',
    file: `${push}/concurrent-fields.ts`,
    edits: [
      {
        find: `const isAsked = mutation.op === 'delete' || collection.strict`,
        replace: `const isAsked = collection.strict`,
      },
    ],
    story: 'Somebody deletes a record offline, and what others wrote in it meanwhile is gone without a word.',
    expect: ['due-question'],
  },
  {
    id: 'strict-asks-its-fields-alone',
    case: 'ME-18',
    file: `${push}/concurrent-fields.ts`,
    edits: [
      {
        find: `const isAsked = mutation.op === 'delete' || collection.strict`,
        replace: `const isAsked = mutation.op === 'delete'`,
      },
    ],
    story:
      'Of a permit one changes the level and another the holder, and nobody is asked whether both may be.',
    expect: ['due-question'],
  },
]
