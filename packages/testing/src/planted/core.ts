import type { Plant } from './plant.ts'

const fold = 'packages/core/src/outbox/fold-mutations.ts'
const merge = 'packages/core/src/merge'

/** Bugs in folding, replaying and merging. */
export const corePlants: readonly Plant[] = [
  {
    id: 'counts-folded-like-values',
    case: 'B18',
    file: fold,
    edits: [
      { find: `increments[name] = (increments[name] ?? 0) + amount`, replace: `increments[name] = amount` },
    ],
    story: 'Two sales made offline are sent as one, with the count of the second.',
    expect: ['counters', 'convergence', 'exactly-once'],
  },
  {
    id: 'removal-lost-in-a-fold',
    case: 'B28',
    file: fold,
    edits: [
      {
        find: `const removals = laterMembers(first.removals, second.removals, second.additions)`,
        replace: `const removals = second.removals`,
      },
    ],
    story: 'A tag that was taken off offline is back after the sync.',
    expect: ['effect', 'convergence', 'audit-completeness'],
  },
  {
    id: 'delete-folded-into-an-edit',
    case: 'B28',
    file: fold,
    edits: [{ find: `    op: second.op,\n`, replace: `` }],
    story: 'A record that was edited and then deleted offline is edited on the server and stays.',
    expect: ['no-resurrection', 'exactly-once', 'audit-completeness', 'effect'],
  },
  {
    id: 'create-and-delete-leave-the-create',
    case: 'B35',
    file: fold,
    edits: [
      {
        find: `    const bare = { ...joined(collection, first, second), ...emptyPayload, op: second.op, ats: {} }`,
        replace: `    const bare = joined(collection, first, second)`,
      },
    ],
    story: 'What was made and deleted offline appears on every other device.',
    expect: ['no-resurrection', 'convergence', 'audit-completeness', 'effect'],
  },
  {
    id: 'fold-covers-only-its-first',
    case: 'B27',
    file: fold,
    edits: [{ find: `return { ...first, covers,`, replace: `return { ...first,` }],
    story: 'Several edits go as one; when the answer is lost, all but the first stay in the outbox for ever.',
    expect: ['liveness', 'counters', 'monotone', 'status-honesty'],
  },
  {
    id: 'group-member-folded-away',
    case: 'B28',
    file: fold,
    edits: [
      { find: `    second.group === null &&\n`, replace: `` },
      {
        file: 'packages/core/src/outbox/fold-outbox.ts',
        find: `last && groupPlace < last.place && !isLinked`,
        replace: `last && !isLinked`,
      },
    ],
    story: 'An edit from inside a transaction is folded into one before it: a transfer arrives by halves.',
    expect: ['group-atomicity'],
  },
  {
    id: 'fold-passes-its-parent',
    case: 'B28',
    file: 'packages/core/src/outbox/fold-outbox.ts',
    edits: [
      {
        find: `!isLinked(schema, entry, () => entries.slice(last.place + 1, place))`,
        replace: `true`,
      },
    ],
    story: 'An edit that points to a new record is sent before it, and refused.',
    expect: ['effect', 'no-lost-mutation'],
  },
  {
    id: 'fold-makes-old-edits-new',
    case: 'FO-6',
    file: `${merge}/merge-fields.ts`,
    edits: [
      {
        find: `return mutation.ats[field.name] ?? mutation.at`,
        replace: `return mutation.at`,
      },
    ],
    story:
      'A note of this morning beats one of noon, because its author changed another field in the evening.',
    expect: ['latest-stands', 'effect', 'audit-completeness'],
  },
  {
    id: 'stamp-not-kept',
    case: 'ME-5',
    file: `${merge}/merge-fields.ts`,
    edits: [
      {
        find: `if (clock === undefined || mine > clock) merge.clocks[field.name] = mine`,
        replace: `if (clock === undefined) merge.clocks[field.name] = mine`,
      },
    ],
    story: 'The newest value is not remembered as the newest, and an older one that comes late replaces it.',
    expect: ['latest-stands', 'effect', 'audit-completeness'],
  },
  {
    id: 'settlement-overwrites',
    case: 'CF-3',
    file: `${merge}/merge-fields.ts`,
    edits: [
      {
        find: `if (!knowsBase(field, merging)) return`,
        replace: `if (input.mutation.resolves !== null) return true
  if (!knowsBase(field, merging)) return`,
      },
    ],
    story: 'Whoever settles a conflict silently overwrites what a third person wrote meanwhile.',
    expect: ['audit-completeness', 'effect'],
  },
  {
    id: 'conflicts-lose-to-the-second',
    case: 'PR-3',
    file: `${merge}/merge-fields.ts`,
    edits: [
      {
        find: `if (!knowsBase(field, merging)) return input.mutation.baseVersion === current.version
  return valuesEqual`,
        replace: `if (!knowsBase(field, merging)) return input.mutation.baseVersion === current.version
  if (input.mutation.baseVersion >= current.version - 1) return true
  return valuesEqual`,
      },
    ],
    story:
      'Two people change the same field within one version, and the first change is gone without a trace.',
    expect: ['audit-completeness', 'effect'],
  },
  {
    id: 'paragraph-lost',
    case: 'ME-10',
    file: `${merge}/merge-paragraphs.ts`,
    edits: [
      {
        find: `if (previous && isSameEdit(previous, edit)) continue`,
        replace: `if (previous && previous.start === edit.start && previous.end === edit.end) continue`,
      },
    ],
    story: 'Two people add a paragraph at the same place, and one of them is missing.',
    expect: ['effect', 'audit-completeness'],
  },
  {
    id: 'version-decides-what-was-seen',
    case: 'ME-1',
    file: `${merge}/merge-fields.ts`,
    edits: [{ find: `if (!knowsBase(field, merging)) return`, replace: `if (field.name !== '') return` }],
    story:
      'Two people fill in different fields of one form, and are asked to decide between what nobody disputes.',
    expect: ['needless-loss'],
  },
  {
    id: 'max-keeps-the-smaller',
    case: 'ME-9',
    file: `${merge}/decide-field.ts`,
    edits: [{ find: `outranks(meeting, 1)`, replace: `outranks(meeting, -1)` }],
    story: 'The highest reading of the day is replaced by a lower one.',
    expect: ['audit-completeness', 'effect'],
  },
  {
    id: 'counter-totals-replace',
    case: 'B18',
    file: 'packages/core/src/values/payload-of-update.ts',
    edits: [{ find: `increments[name] = value - seen`, replace: `changes[name] = value` }],
    story: 'Somebody types a new stock over the old one, and what others sold meanwhile is forgotten.',
    expect: ['counters', 'audit-completeness'],
  },
  {
    id: 'set-rebuilt-from-what-was-seen',
    case: 'ME-7',
    file: `${merge}/apply-payload.ts`,
    edits: [
      {
        find: `for (const member of payload.removals[name] ?? []) members.delete(member)`,
        replace: `for (const member of (payload.additions[name] ?? []).length > 0 ? [] : (payload.removals[name] ?? [])) members.delete(member)`,
      },
    ],
    story: 'Whoever puts one tag on and takes another off finds both on the record.',
    expect: ['effect', 'audit-completeness'],
  },
  {
    id: 'stale-edit-revives',
    case: 'B34',
    file: `${merge}/merge-record.ts`,
    edits: [
      {
        find: `if (mutation.baseVersion === current.version || input.ownTombstone)`,
        replace: `if (mutation.baseVersion <= current.version || input.ownTombstone)`,
      },
    ],
    story: 'A record that was deleted is back because somebody had edited it offline, and nobody was asked.',
    expect: ['no-resurrection', 'audit-completeness'],
  },
  {
    id: 'future-stamps-stay',
    case: 'B15',
    file: 'packages/core/src/hlc.ts',
    edits: [
      {
        find: `const ms = Math.min(Math.max(0, shifted), clock.serverMs + clock.skewMs)`,
        replace: `const ms = Math.max(0, shifted)`,
      },
    ],
    story: 'One device had the year 2036 for a minute, and its values win until then.',
    expect: ['bounds', 'effect', 'audit-completeness'],
  },
  {
    id: 'dispute-hides-what-would-be-deleted',
    case: 'CF-1',
    file: 'packages/core/src/merge/merge-record.ts',
    edits: [
      {
        find: `theirs: theirs && mutation.op !== 'delete' ? pick(theirs, touched) : theirs,`,
        replace: `theirs: theirs && pick(theirs, touched),`,
      },
    ],
    story: 'Whoever decides whether a record goes is not shown what is in it.',
    expect: ['both-sides'],
  },
]
