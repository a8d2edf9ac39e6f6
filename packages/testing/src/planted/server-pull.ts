import type { Plant } from './plant.ts'

const pull = 'packages/server/src/pull'
const sqlite = 'packages/server/src/store/sqlite'

/** Pages small enough for a short run to need several. */
const smallPages = {
  file: `${pull}/read-page.ts`,
  find: `rows: pageRows(limit, limits)`,
  replace: `rows: Math.min(6, pageRows(limit, limits))`,
}

/** Bugs in capturing, paging, granting and forgetting on the server. */
export const serverPullPlants: readonly Plant[] = [
  {
    id: 'cursor-at-the-head',
    case: 'B06',
    file: `${sqlite}/read-pages.ts`,
    edits: [
      {
        find: `reachedBy(from, end.more ? end.last : head)`,
        replace: `reachedBy(from, Math.max(end.last, head))`,
      },
      smallPages,
    ],
    story: 'A device that was away for long gets the first page of what it missed and nothing else.',
    expect: ['convergence', 'liveness'],
  },
  {
    id: 'more-false-too-early',
    case: 'B04',
    file: `${sqlite}/read-pages.ts`,
    edits: [
      {
        find: `more: positions.length > rows, active }`,
        replace: `more: positions.length > rows + 1, active }`,
      },
      smallPages,
    ],
    story: 'When one row more than a page has changed, that row never arrives.',
    expect: ['convergence', 'bounds'],
  },
  {
    id: 'page-ends-inside-a-position',
    case: 'FE-26',
    file: `${sqlite}/read-pages.ts`,
    edits: [
      {
        find: `if (bytes >= bounds.bytes && at !== position)`,
        replace: `if (bytes >= Math.min(bounds.bytes, 500))`,
      },
    ],
    story:
      'A fat page ends between a row entering one scope and leaving another: the device never hears of the second.',
    expect: ['scope-isolation', 'convergence', 'bounds'],
  },
  {
    id: 'feed-read-from-one-too-far',
    case: 'B04',
    file: `${sqlite}/read-pages.ts`,
    edits: [
      {
        find: `return Math.max(from.position, from.ahead[scope] ?? 0)`,
        replace: `return Math.max(from.position, (from.ahead[scope] ?? -1) + 1)`,
      },
    ],
    story: 'The first change in a scope after somebody was let into it never reaches him.',
    expect: ['convergence', 'bounds'],
    seenBy: 'lane',
  },
  {
    id: 'snapshot-cursor-read-after-its-pages',
    case: 'B11',
    file: `${pull}/read-page.ts`,
    edits: [
      {
        find: `const cursor = endOf({ ...snapshot, scopes }, visibility)`,
        replace: `const cursor = endOf({ ...snapshot, scopes, position: state.head }, visibility)`,
      },
      smallPages,
    ],
    story: 'What changes while a new device reads its first copy is never told to it.',
    expect: ['convergence', 'bounds'],
  },
  {
    id: 'snapshot-skips-the-rest-of-a-scope',
    case: 'B07',
    file: `${sqlite}/read-pages.ts`,
    edits: [
      {
        find: `if (after && scope < after.scope) continue`,
        replace: `if (after && scope <= after.scope) continue`,
      },
      smallPages,
    ],
    story: 'A new device gets the first page of each warehouse and thinks that this is all.',
    expect: ['convergence', 'bounds'],
  },
  {
    id: 'snapshot-goes-on-after-a-revocation',
    case: 'B40',
    file: `${pull}/read-page.ts`,
    edits: [
      {
        find: `: snapshot.scopes.filter((scope) => granted.has(scope))`,
        replace: `: snapshot.scopes`,
      },
      smallPages,
    ],
    story: 'Rights are taken away while a device takes its first copy, and the copy is completed.',
    expect: ['scope-isolation'],
    seenBy: 'lane',
  },
  {
    id: 'entering-a-scope-skips-the-others',
    case: 'B39',
    file: `${pull}/read-page.ts`,
    edits: [
      {
        find: `return { ...base, scopes: [...new Set([...covered, ...explicit])], ahead }`,
        replace: `return { ...base, position, scopes: [...new Set([...covered, ...explicit])], ahead }`,
      },
    ],
    story: 'Whoever is let into one warehouse misses what happened in the others at that moment.',
    expect: ['bounds', 'convergence'],
    seenBy: 'lane',
  },
  {
    id: 'pull-serves-revoked-scopes',
    case: 'B40',
    file: `${pull}/read-page.ts`,
    edits: [
      {
        find: `'*' : cursor.scopes.filter((scope) => scopes.has(scope))`,
        replace: `'*' : cursor.scopes`,
      },
    ],
    story: 'A device goes on receiving a scope that was taken from its user.',
    expect: ['scope-isolation'],
  },
  {
    id: 'revocation-not-told',
    case: 'B37',
    file: `${pull}/read-page.ts`,
    edits: [
      {
        find: `visibility.scopes !== '*' && !visibility.scopes.has(scope)).sort(),`,
        replace: `visibility.scopes !== '*' && visibility.scopes.size <= visibility.implicit.length && scope !== '').sort(),`,
      },
    ],
    story: 'A scope is taken away, and its rows stay on the device as long as another scope is left.',
    expect: ['scope-isolation', 'convergence', 'revocation'],
  },
  {
    id: 'grants-remembered-for-a-minute',
    case: 'B40',
    file: 'packages/server/src/server.ts',
    edits: [
      {
        find: `grantsOf: async (user) => checkGrants(await scopes(user)),`,
        replace: `grantsOf: async (user) => {
      const known = remembered.get(user.id)
      if (known && env.now() - known.at < 60_000) return known.grants
      const grants = checkGrants(await scopes(user))
      remembered.set(user.id, { at: env.now(), grants })
      return grants
    },`,
      },
      {
        find: `const counts = new VerdictCounts()`,
        replace: `const counts = new VerdictCounts()
  const remembered = new Map<string, { at: number; grants: Awaited<ReturnType<typeof scopes>> }>()`,
      },
    ],
    story: 'Whoever was shown the door can read on for a minute.',
    expect: ['scope-isolation'],
  },
  {
    id: 'record-shown-to-anybody',
    case: 'B66',
    file: 'packages/server/src/server.ts',
    edits: [
      {
        find: `if (scopes.length === 0 || !sees(visibilityOf(caller.user, caller.grants), scopes)) return null`,
        replace: `if (scopes.length === 0) return null`,
      },
    ],
    story: 'Whoever knows an id reads a record of somebody else.',
    expect: ['scope-isolation'],
  },
  {
    id: 'mover-is-not-told-of-the-leave',
    case: 'B37',
    file: `${sqlite}/capture-triggers.ts`,
    edits: [
      {
        find: "maker = NULL, at = ${now}\n     WHERE ${ofRecord(collection, 'NEW')} AND op <> 'leave'",
        replace: "maker = ${maker}, at = ${now}\n     WHERE ${ofRecord(collection, 'NEW')} AND op <> 'leave'",
      },
      {
        file: `${sqlite}/read-pages.ts`,
        find: `CASE WHEN f.op <> 'put' THEN json_object`,
        replace: `CASE WHEN f.op = 'leave' AND f.maker = ?3 THEN NULL WHEN f.op <> 'put' THEN json_object`,
      },
    ],
    story: 'Who moves a record out of his own scope keeps it on his device for ever.',
    expect: ['scope-isolation', 'convergence', 'bounds'],
  },
  {
    id: 'returned-record-has-no-leave',
    case: 'FE-3',
    file: `${sqlite}/capture-triggers.ts`,
    edits: [
      {
        find: `isReturn, [...move, forgetTombstone(collection)]`,
        replace: `isReturn, [own, forgetTombstone(collection)]`,
      },
    ],
    story:
      'A deleted record comes back in another scope; where it was, its delete is told in place of its leave.',
    expect: ['convergence', 'scope-isolation'],
    seenBy: 'lane',
  },
  {
    id: 'delete-of-others-told-in-one-scope',
    case: 'B32',
    file: `${sqlite}/capture-triggers.ts`,
    edits: [
      {
        find: "WHERE ${ofRecord(collection, 'OLD')} AND op = 'put'`",
        replace: "WHERE ${ofRecord(collection, 'OLD')} AND op = 'put' AND maker IS NOT NULL`",
      },
    ],
    story: 'Records that were last merged, or written by another program, are deleted here and nowhere else.',
    expect: ['convergence', 'no-resurrection', 'bounds'],
  },
  {
    id: 'horizon-not-checked',
    case: 'B32',
    file: `${pull}/cursor.ts`,
    edits: [
      {
        find: `if (pull && Math.max(pull.position, pull.from ?? 0) < horizon)`,
        replace: `if (pull && Math.max(pull.position, pull.from ?? horizon) < horizon)`,
      },
    ],
    story: 'A tablet that was away too long keeps what was deleted meanwhile.',
    expect: ['convergence', 'no-resurrection', 'bounds'],
    seenBy: 'lane',
  },
  {
    id: 'horizon-moves-too-little',
    case: 'B32',
    file: `${sqlite}/write-ledger.ts`,
    edits: [{ find: `Number(row?.['position'] ?? 0)`, replace: `Number(row?.['n'] ?? 0)` }],
    story: 'Tombstones are dropped while devices may still ask for them: deleted records stay there.',
    expect: ['convergence', 'no-resurrection', 'bounds'],
    seenBy: 'lane',
  },
  {
    id: 'collects-what-is-fresh',
    case: 'B16',
    file: `${sqlite}/write-ledger.ts`,
    edits: [
      { find: `const old = \`op <> 'put' AND at < ?\``, replace: `const old = \`op <> 'put' AND at <> ?\`` },
      { find: `Number(row?.['position'] ?? 0)`, replace: `Number(row?.['position'] ?? 0) - 2` },
    ],
    story:
      'Deletes of the last minutes are forgotten with the old ones, and some devices never hear of them.',
    expect: ['convergence', 'no-resurrection', 'monotone', 'bounds'],
    seenBy: 'lane',
  },
  {
    id: 'cursor-of-a-lost-history',
    case: 'B14',
    file: `${pull}/cursor.ts`,
    edits: [
      {
        find: `if (newest > state.head || tag !== (shape['t'] ?? ''))`,
        replace: `if (newest < 0)`,
      },
    ],
    story:
      'The server was put back to a backup; devices that are ahead of it keep what is gone and miss what comes next.',
    expect: ['convergence', 'monotone', 'bounds'],
  },
  {
    id: 'outcomes-before-a-gap-not-told',
    case: 'B10',
    file: `${pull}/read-page.ts`,
    edits: [
      {
        find: `!feed.more ? await tx.outcomesText(device.n, device.open) : '[]'`,
        replace: `!feed.more ? await tx.outcomesText(device.n, device.open.slice(-1)) : '[]'`,
      },
    ],
    story: 'Verdicts on numbers before a gap are never told, and those edits stay in the outbox.',
    expect: ['liveness', 'no-lost-mutation', 'settled-by-pull'],
  },
]
