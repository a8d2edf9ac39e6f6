import type { Plant } from './plant.ts'

const sync = 'packages/client/src/sync'
const live = 'packages/client/src/live/live-queries.ts'

/** Bugs in the engine of a device: when it runs, what it waits for, and what it says. */
export const clientEnginePlants: readonly Plant[] = [
  {
    id: 'no-watchdog',
    case: 'B31',
    file: 'packages/client/src/transport/watchdog.ts',
    edits: [
      {
        find: `this.#cancelSilence = this.#arm(options.silenceMs)`,
        replace: `this.#cancelSilence = () => undefined`,
      },
      {
        find: `this.#cancelTotal = options.totalMs === undefined ? () => undefined : this.#arm(options.totalMs)`,
        replace: `this.#cancelTotal = () => undefined`,
      },
    ],
    story: 'A request into a dead network hangs for ever, and nothing is sent until the app is started anew.',
    expect: ['liveness'],
  },
  {
    id: 'body-not-watched',
    case: 'B31',
    file: 'packages/client/src/transport/transport.ts',
    edits: [
      {
        find: `    watchdog.feed()
    return response`,
        replace: `    watchdog.stop()
    return response`,
      },
    ],
    story: 'An answer that stops in its middle is waited for without end.',
    expect: ['liveness'],
    seenBy: 'lane',
  },
  {
    id: 'no-timer-behind-the-pokes',
    case: 'B62',
    file: `${sync}/sync-state.ts`,
    edits: [
      {
        find: `return { state: { kind: 'idle' }, effects: [{ kind: 'wake', delayMs }] }`,
        replace: `return { state: { kind: 'idle' }, effects: [] }`,
      },
    ],
    story: 'One hint is lost, and the device shows yesterday until somebody writes on it.',
    expect: ['liveness', 'convergence'],
    seenBy: 'lane',
  },
  {
    id: 'failure-loses-the-timer',
    case: 'B31',
    file: `${sync}/sync-engine.ts`,
    edits: [
      {
        find: `    this.#cancelWake()
    if (effect.kind === 'push') this.#cycle += 1`,
        replace: `    if (effect.kind === 'push') this.#cycle += 1`,
      },
      {
        find: `    this.#cancelWake = this.#options.env.setTimer(() => this.dispatch({ kind: 'due' }), delayMs)`,
        replace: `    if (this.#isAwake) return
    this.#isAwake = true
    this.#cancelWake = this.#options.env.setTimer(() => this.dispatch({ kind: 'due' }), delayMs)`,
      },
      { find: `  #cycle = 0\n`, replace: `  #cycle = 0\n  #isAwake = false\n` },
    ],
    story: 'The engine wakes once after a failure and never again.',
    expect: ['liveness'],
  },
  {
    id: 'backoff-forgets-failures',
    case: 'B24',
    file: `${sync}/sync-state.ts`,
    edits: [
      {
        find: `const failures = state.failures + 1`,
        replace: `const failures = Math.min(state.failures, 0)`,
      },
    ],
    story: 'A server that fails is asked twice a second by every device, all night.',
    expect: ['bounds'],
  },
  {
    id: 'offline-wait-without-cap',
    case: 'B31',
    file: `${sync}/retry-policy.ts`,
    edits: [
      {
        find: `const ceilingMs = Math.min(waits.probeIntervalMs, waits.retryBaseMs * 2 ** Math.min(failures, 30))`,
        replace: `const ceilingMs = waits.retryBaseMs * 2 ** Math.min(failures, 30)`,
      },
    ],
    story: 'After a long time offline the device looks for the network again next week.',
    expect: ['liveness'],
    seenBy: 'lane',
  },
  {
    id: 'fleet-comes-back-together',
    case: 'B60',
    file: `${sync}/retry-policy.ts`,
    edits: [
      {
        find: `const jittered = Math.floor(ceilingMs * failed.roll)`,
        replace: `const jittered = Math.floor(ceilingMs + failed.roll)`,
      },
    ],
    story: 'All devices that fell over together come back together, and the server falls over again.',
    expect: ['bounds'],
    seenBy: 'lane',
  },
  {
    id: 'refused-body-ends-the-engine',
    case: 'B23',
    file: `${sync}/push.ts`,
    edits: [
      {
        find: `if (!isAlone(offers)) {`,
        replace: `if (!isAlone(offers) && failure.kind === 'backoff') throw error
    if (!isAlone(offers)) {`,
      },
    ],
    story: 'A batch that the server cannot take at once is sent again as large as before, without end.',
    expect: ['liveness', 'bounds'],
    seenBy: 'lane',
  },
  {
    id: 'held-is-not-pending',
    case: 'B54',
    file: 'packages/client/src/status/sync-status.ts',
    edits: [
      {
        find: `FROM _outbox WHERE status IN ('pending', 'sending', 'held')"`,
        replace: `FROM _outbox WHERE status IN ('pending', 'sending')"`,
      },
    ],
    story: 'The status says that everything is sent while edits wait behind a conflict.',
    expect: ['status-honesty'],
  },
  {
    id: 'settled-conflicts-still-counted',
    case: 'B54',
    file: 'packages/client/src/status/sync-status.ts',
    edits: [
      {
        find: `(SELECT count(*) FROM _conflicts WHERE status = 'open') AS conflicts`,
        replace: `(SELECT count(*) FROM _conflicts) AS conflicts`,
      },
    ],
    story: 'The badge says that three decisions are asked for, and the list is empty.',
    expect: ['status-honesty'],
  },
  {
    id: 'dead-letters-uncounted',
    case: 'B54',
    file: 'packages/client/src/status/sync-status.ts',
    edits: [
      {
        find: `(SELECT count(*) FROM _outbox WHERE status = 'dead') AS dead`,
        replace: `(SELECT count(*) FROM _outbox WHERE status = 'dead' AND offer = seq) AS dead`,
      },
    ],
    story: 'Refused edits that were folded into others are not counted, and nobody looks for them.',
    expect: ['status-honesty'],
  },
  {
    id: 'live-query-misses-what-came',
    case: 'LQ-1',
    file: 'packages/client/src/apply/bulk-apply.ts',
    edits: [{ find: `for (const { id } of rows) tx.touch(collection.name, String(id))`, replace: `` }],
    story:
      'What others wrote is on the device, and an open list does not show it until somebody writes there.',
    expect: ['live-lists'],
    seenBy: 'lane',
  },
  {
    id: 'live-query-knows-one-table',
    case: 'LQ-1',
    file: 'packages/client/src/live/run-query.ts',
    edits: [
      {
        find: `tables: description.tables ?? tablesIn(compiled.query),`,
        replace: `tables: new Set([...(description.tables ?? tablesIn(compiled.query) ?? [])].slice(0, 1)),`,
      },
    ],
    story: 'A list of lines goes on showing the old name of an item that was renamed.',
    expect: ['live-lists'],
    seenBy: 'lane',
  },
  {
    id: 'live-query-patch-misses-arrivals',
    case: 'LQ-9',
    file: 'packages/client/src/live/patch-rows.ts',
    edits: [
      {
        find: `for (const row of arriving.values()) kept.splice(placeBehind(kept, row, order), 0, row)`,
        replace: `for (const row of arriving.values()) if (before.length === 0) kept.splice(placeBehind(kept, row, order), 0, row)`,
      },
    ],
    story: 'What others enter while a list is open is not in it until it is opened again.',
    expect: ['live-lists'],
    seenBy: 'lane',
  },
  {
    id: 'live-query-deaf-while-it-opens',
    case: 'LQ-1',
    file: live,
    edits: [
      {
        find: `if (tables !== undefined && ![...touched`,
        replace: `if (tables === undefined || ![...touched`,
      },
      {
        find: `this.#prepared ??= await this.#parts.prepare()
        const stored = await this.#read(this.#prepared, outdated)`,
        replace: `const prepared = this.#prepared ?? (await this.#parts.prepare())
        const stored = await this.#read(prepared, outdated)
        this.#prepared ??= await this.#parts.prepare()`,
      },
    ],
    story:
      'A list asks which tables it reads after it has read them: what is committed in between is missing in it.',
    expect: ['live-lists'],
    seenBy: 'lane',
  },
]
