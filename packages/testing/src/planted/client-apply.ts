import type { Plant } from './plant.ts'

const apply = 'packages/client/src/apply'
const sync = 'packages/client/src/sync'

/** Bugs in pulling, staging, applying and settling on a device. */
export const clientApplyPlants: readonly Plant[] = [
  {
    id: 'new-fields-never-fetched',
    case: 'AP-12',
    file: 'packages/client/src/local/open-database.ts',
    edits: [
      {
        find: `if (wasPulled && grown.length > 0) await noteGrown(tx, grown)`,
        replace: `if (!wasPulled && grown.length > 0) await noteGrown(tx, grown)`,
      },
    ],
    story: 'An app gains a field, and shows nothing in it until somebody writes to the record again.',
    expect: ['convergence', 'bounds'],
  },
  {
    id: 'new-collections-stay-unread',
    case: 'AP-5',
    file: `${apply}/retry-quarantine.ts`,
    edits: [{ find: `=== schema.version) return`, replace: `!== schema.version) return` }],
    story: 'An app learns of a collection, and its rows, which the app before put aside, are never shown.',
    expect: ['convergence', 'bounds'],
  },
  {
    id: 'unheard-outcomes-not-settled',
    case: 'B17',
    file: `${apply}/settle-outcomes.ts`,
    edits: [
      {
        find: `WHERE o.collection || ' ' || o.record NOT IN (SELECT value FROM json_each(?2))`,
        replace: `WHERE o.status = 'answered' AND o.collection || ' ' || o.record NOT IN (SELECT value FROM json_each(?2))`,
      },
      { find: `  await noteUnheard(tx, outcomes)\n`, replace: `  await noteUnheard(tx, [])\n` },
    ],
    story:
      'The answer is lost, the row comes with its effect, and the edit is replayed on top: counts double on screen.',
    expect: ['convergence', 'counters', 'liveness', 'settled-by-pull'],
  },
  {
    id: 'entries-end-before-their-shadow',
    case: 'B29',
    file: `${apply}/flip.ts`,
    edits: [{ find: `needed: unpromoted`, replace: `needed: []` }],
    story:
      'An own edit is settled before it is in the copy of the server: the device shows the old value again.',
    expect: ['convergence', 'read-your-writes', 'bounds'],
  },
  {
    id: 'further-scope-forgotten',
    case: 'CS-6',
    file: `${apply}/apply-pages.ts`,
    edits: [
      {
        find: `if (withEntries < count) await addScopes`,
        replace: `if (withEntries > count) await addScopes`,
      },
    ],
    story:
      'A row lies in two scopes and the device knows of one: when that one is taken away, the row goes with it.',
    expect: ['bounds', 'convergence', 'scope-isolation', 'revocation'],
  },
  {
    id: 'clone-settles-anothers-edit',
    case: 'B21',
    file: `${apply}/settle-outcomes.ts`,
    edits: [{ find: `(o.id = span.value ->> 2\n`, replace: `(span.value ->> 2 IS NOT NULL\n` }],
    story:
      'Two phones share a number after a restore; the outcome of the one ends the unsent edit of the other.',
    expect: ['no-lost-mutation', 'effect'],
  },
  {
    id: 'held-for-ever',
    case: 'CF-4',
    file: `${apply}/settle-outcomes.ts`,
    edits: [
      {
        find: `ended.filter((row) => row['status'] === 'held')`,
        replace: `ended.filter((row) => row['status'] === 'held' && row['conflict'] === 'closed')`,
      },
    ],
    story: 'A conflict is settled, and the edits that waited behind it wait for ever.',
    expect: ['liveness', 'no-lost-mutation', 'bounds'],
  },
  {
    id: 'settled-conflict-still-shown',
    case: 'CF-4',
    file: `${apply}/settle-outcomes.ts`,
    edits: [
      {
        find: `row['status'] === 'conflicted' && row['conflict'] === 'resolved'`,
        replace: `row['status'] === 'conflicted' && row['conflict'] === 'closed'`,
      },
    ],
    story: 'Somebody settled the conflict, but its author goes on seeing his own value.',
    expect: ['convergence', 'liveness'],
  },
  {
    id: 'superseded-conflict-lets-go',
    case: 'CF-12',
    file: 'packages/client/src/conflicts/open-conflicts.ts',
    edits: [
      { find: `SELECT line.first, c.resolution ->> '$.by'`, replace: `SELECT line.first, line.id` },
      {
        file: 'packages/server/src/push/judge-mutation.ts',
        find: `return isOwn || working.carriesOn(id)`,
        replace: `return isOwn`,
      },
    ],
    story:
      'Somebody takes a tag out again that is still in dispute; a decision of another person meets a new dispute, and settling that brings the tag back.',
    expect: ['set-members'],
    seenBy: 'lane',
  },
  {
    id: 'cursor-past-unapplied-pages',
    case: 'B09',
    file: `${apply}/flip.ts`,
    edits: [
      {
        find: `await replaceRanges(tx, schema, input, (pages) =>`,
        replace: `await writeMeta(tx, 'cursor', progress.step.cursor)
  await tx.run('COMMIT')
  await tx.run('BEGIN IMMEDIATE')
  await replaceRanges(tx, schema, input, (pages) =>`,
      },
    ],
    story: 'The app dies while it applies pages, and the rows in them never come again.',
    expect: ['convergence', 'no-resurrection', 'settled-by-pull'],
  },
  {
    id: 'flip-in-two-commits',
    case: 'B44',
    file: `${apply}/flip.ts`,
    edits: [
      {
        find: `await dropOvertaken(tx, { schema, ended, toRebase })`,
        replace: `await tx.run('COMMIT')
  await tx.run('BEGIN IMMEDIATE')
  await dropOvertaken(tx, { schema, ended, toRebase })`,
      },
    ],
    story:
      'The app dies in the middle of a flip: after the start it shows half of it, with old copies in the way.',
    expect: ['convergence', 'group-atomicity', 'read-your-writes', 'settled-by-pull'],
  },
  {
    id: 'pages-of-two-grants-mixed',
    case: 'B40',
    file: `${apply}/pull-progress.ts`,
    edits: [
      {
        find: `return progress.grants !== null && progress.grants !== page.scopes.version`,
        replace: `return progress.grants !== null && page.scopes.version === ''`,
      },
    ],
    story:
      'Rights are taken away in the middle of a pull, and rows of the scope that is gone are applied after all.',
    expect: ['scope-isolation', 'convergence', 'revocation', 'bounds'],
    seenBy: 'lane',
  },
  {
    id: 'have-without-knowing',
    case: 'AP-9',
    file: `${sync}/pull.ts`,
    edits: [
      { find: `if (await this.#hasAll(tx, notes, progress.replaces))`, replace: `if (notes.length > 0)` },
    ],
    story: 'The server says "you have it" of a row whose answer was lost, and the device never gets it.',
    expect: ['convergence', 'bounds'],
  },
  {
    id: 'entered-scope-not-fetched',
    case: 'B39',
    file: `${apply}/pull-progress.ts`,
    edits: [
      {
        find: `return nextSnapshot(cursor, page.scopes.entered) ?? { kind: 'ready', cursor }`,
        replace: `return { kind: 'ready', cursor }`,
      },
    ],
    story: 'Somebody is let into a warehouse and sees only what changes there from now on.',
    expect: ['convergence', 'liveness'],
  },
  {
    id: 'pages-shown-one-by-one',
    case: 'B44',
    file: `${apply}/pull-progress.ts`,
    edits: [
      { find: `if (page.more && pages < limits.pullPages)`, replace: `if (page.more && pages < 0)` },
      {
        file: `${sync}/pull.ts`,
        find: `const limit = Math.max(pageRowsLeast, Math.floor(limits.pullRows * this.#share))`,
        replace: `const limit = Math.max(2, Math.floor((limits.pullRows / 200) * this.#share))`,
      },
    ],
    story: 'To show something early, small pages are shown as they come: half of a transfer is seen.',
    expect: ['group-atomicity', 'settled-by-pull'],
  },
  {
    id: 'revocation-spares-edited-rows',
    case: 'B40',
    file: `${apply}/revoke-scopes.ts`,
    edits: [{ find: `await saveShadow(tx, { collection, record }, next)`, replace: `` }],
    story: 'A device keeps the rows of a scope it may no longer see, if somebody had just edited them.',
    expect: ['scope-isolation', 'convergence', 'revocation'],
  },
  {
    id: 'revocation-spares-tombstones',
    case: 'B40',
    file: `${apply}/revoke-scopes.ts`,
    edits: [
      {
        find: `UPDATE _deleted SET data = NULL WHERE version > 0`,
        replace: `UPDATE _deleted SET data = NULL WHERE version = 0`,
      },
    ],
    story: 'The last values of deleted rows stay in the file of a device that may not see them any more.',
    expect: ['scope-isolation', 'revocation'],
  },
  {
    id: 'file-not-rewritten',
    case: 'B37',
    file: `${apply}/flip.ts`,
    edits: [
      {
        find: `  if (hasGone) await oweRewriting(tx)\n`,
        replace: ``,
      },
    ],
    story: 'Rows that had to go are gone from every table and can still be read out of the file.',
    expect: ['revocation'],
  },
  {
    id: 'leave-must-be-newer',
    case: 'B37',
    file: `${apply}/change-shadow.ts`,
    edits: [
      {
        find: `return withoutScope(shadow, scope)`,
        replace: `return isNewer(shadow, change) ? withoutScope(shadow, scope) : shadow`,
      },
    ],
    story: 'A row moved from one scope to another; when that one is taken away, the device keeps the row.',
    expect: ['scope-isolation', 'convergence', 'bounds'],
  },
  {
    id: 'rows-in-flight-skipped',
    case: 'B29',
    file: `${apply}/apply-pages.ts`,
    edits: [
      {
        find: `o.collection = v ->> '$.collection'))`,
        replace: `o.collection = v ->> '$.collection' AND o.status = 'pending'))`,
      },
    ],
    story: 'What others change in a record while an own edit of it waits for its end never arrives.',
    expect: ['convergence', 'bounds'],
  },
  {
    id: 'reset-keeps-shadows',
    case: 'B14',
    file: `${apply}/flip.ts`,
    edits: [
      {
        find: `['_shadow', '_deleted', '_scopes', '_quarantine']`,
        replace: `['_deleted', '_scopes', '_quarantine']`,
      },
    ],
    story: 'The server was restored from a backup: edited rows keep showing what is no longer so.',
    expect: ['convergence', 'bounds'],
  },
  {
    id: 'reset-keeps-tombstones',
    case: 'B14',
    file: `${apply}/flip.ts`,
    edits: [
      {
        find: `['_shadow', '_deleted', '_scopes', '_quarantine']`,
        replace: `['_shadow', '_scopes', '_quarantine']`,
      },
    ],
    story: 'The server was restored to a time before a delete: on some devices the record stays deleted.',
    expect: ['bounds', 'convergence'],
    seenBy: 'lane',
  },
  {
    id: 'answered-entries-not-offered-again',
    case: 'B14',
    file: `${apply}/flip.ts`,
    edits: [
      {
        find: `if (isAll) await offerLostAgain(tx, toRebase, { isLost, nowMs })`,
        replace: ``,
      },
    ],
    story: 'The server lost an edit it had answered; the device still has it and never says so.',
    expect: ['no-lost-mutation', 'liveness', 'convergence', 'bounds'],
  },
  {
    id: 'settled-work-stays-kept',
    case: 'B14',
    file: 'packages/client/src/outbox/retained.ts',
    edits: [
      {
        find: `OR \${inSpans}`,
        replace: `OR FALSE`,
      },
    ],
    story: 'The server was put back, and the device that still has what it lost keeps it to itself.',
    expect: ['returned-work', 'bounds'],
  },
  {
    id: 'lone-delete-skipped',
    case: 'B33',
    file: `${apply}/page-note.ts`,
    edits: [{ find: `hasOthers: otherCount > 0`, replace: `hasOthers: otherCount > 1` }],
    story: 'A page with a single delete passes without it, and the record stays on the device for ever.',
    expect: ['convergence', 'no-resurrection', 'scope-isolation', 'bounds'],
  },
  {
    id: 'unreadable-rows-dropped',
    case: 'B09',
    file: `${apply}/apply-pages.ts`,
    edits: [
      {
        find: `if (hasParked) await quarantineUnfit(tx, note)`,
        replace: `if (parked !== undefined) await quarantineUnfit(tx, note)`,
      },
    ],
    story: 'A row that this version of the app cannot read is dropped, and missing after the update.',
    expect: ['convergence', 'bounds'],
    seenBy: 'lane',
  },
  {
    id: 'keeping-theirs-drops-the-rest',
    case: 'CF-3',
    file: 'packages/core/src/merge/settled-values.ts',
    edits: [
      {
        find: `return decision.kind === 'both' || mine === null || theirs === null ? {} : undisputed(part)`,
        replace: `return {}`,
      },
    ],
    story: 'Whoever accepts the other name also throws away the pieces that were counted in the same edit.',
    expect: ['decisions'],
  },
  {
    id: 'decision-without-its-conflict',
    case: 'CF-3',
    file: 'packages/client/src/conflicts/settle-conflict.ts',
    edits: [{ find: `resolves: conflict.id,`, replace: `resolves: op === 'delete' ? null : conflict.id,` }],
    story: 'A person decides that a record goes, and is asked again and again.',
    expect: ['liveness', 'no-lost-mutation'],
  },
]
