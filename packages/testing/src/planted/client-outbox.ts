import type { Plant } from './plant.ts'

const outbox = 'packages/client/src/outbox'
const sync = 'packages/client/src/sync'

/** Bugs in writing, keeping and sending mutations. */
export const clientOutboxPlants: readonly Plant[] = [
  {
    id: 'seq-reused-after-settling',
    case: 'B20',
    file: `${outbox}/outbox.ts`,
    edits: [
      {
        find: `"max(coalesce((SELECT max(seq) FROM _outbox), 0), coalesce((SELECT value FROM _meta WHERE key = 'seq'), 0)) + 1"`,
        replace: `"coalesce((SELECT max(seq) FROM _outbox), 0) + 1"`,
      },
    ],
    story:
      'Once the outbox is empty, new edits take numbers of old ones, and the server takes them for repeats.',
    expect: ['monotone', 'no-lost-mutation', 'liveness'],
  },
  {
    id: 'clock-runs-back',
    case: 'WR-9',
    file: 'packages/client/src/local/meta.ts',
    edits: [
      {
        find: `coalesce((SELECT value FROM _meta WHERE key = 'clock'), '')) AS newest`,
        replace: `'') AS newest`,
      },
    ],
    story:
      'After the clock was put back, a later edit carries an older stamp and loses against the earlier one.',
    expect: ['monotone', 'read-your-writes'],
  },
  {
    id: 'edit-in-flight-becomes-the-shadow',
    case: 'B27',
    file: 'packages/client/src/write/write-session.ts',
    edits: [
      {
        find: `if (row._state !== 'clean') return this.#standOnLast`,
        replace: `if (row._state === 'pending') return this.#standOnLast`,
      },
    ],
    story:
      'An edit made while the one before is on its way is stored as if the server had said so: counts add up twice.',
    expect: ['convergence', 'counters', 'read-your-writes'],
  },
  {
    id: 'form-saves-what-stands',
    case: 'WR-14',
    file: 'packages/client/src/write/collection-writes.ts',
    edits: [
      {
        find: `updatePayload(collection, values, wanted, seen), version)`,
        replace: `updatePayload(collection, values, wanted), version)`,
      },
    ],
    story:
      'Who saves a form puts a counter back to what it showed, and replaces what others have written since.',
    expect: ['read-your-writes', 'needless-loss'],
  },
  {
    id: 'pairs-lose-their-group',
    case: 'WR-7',
    file: 'packages/client/src/write/writer.ts',
    edits: [{ find: `if (session.count === 1) await`, replace: `if (session.count <= 2) await` }],
    story: 'A transaction of two writes is sent as two: half of a transfer arrives.',
    expect: ['group-atomicity'],
  },
  {
    id: 'refused-write-stays',
    case: 'B50',
    file: 'packages/client/src/local/local-database.ts',
    edits: [{ find: `await this.#connection.run('ROLLBACK TO shared')\n`, replace: `\n` }],
    story: 'A write that was refused because the disk was full leaves a row that no mutation stands for.',
    expect: ['convergence', 'no-lost-mutation', 'live-lists'],
    seenBy: 'lane',
  },
  {
    id: 'call-resolves-before-the-commit',
    case: 'B35',
    file: 'packages/client/src/local/local-database.ts',
    edits: [
      {
        find: `finished.push(await this.#runJob(tx, job, jobs.length > 1))`,
        replace: `(await this.#runJob(tx, job, jobs.length > 1))()`,
      },
    ],
    story: 'The app is told that an edit is safe, the commit fails, and the edit is gone.',
    expect: ['no-lost-mutation', 'durability'],
  },
  {
    id: 'commit-without-sync',
    case: 'B51',
    file: 'packages/client/src/local/local-database.ts',
    edits: [
      {
        find: `const isFull = jobs.some(({ options }) => options.durable ?? this.#durability === 'full')`,
        replace: `const isFull = jobs.some(({ options }) => options.durable === true)`,
      },
    ],
    story: 'A write that was promised to survive power loss is gone after one.',
    expect: ['no-lost-mutation', 'durability', 'monotone'],
  },
  {
    id: 'offer-not-durable',
    case: 'B20',
    file: `${sync}/push.ts`,
    edits: [{ find: `{ durable: true },`, replace: `{ durable: false },` }],
    story:
      'Power is lost after an edit was sent: its number is given to another edit, which the server refuses.',
    expect: ['durability', 'monotone', 'exactly-once'],
  },
  {
    id: 'fence-not-checked',
    case: 'B49',
    file: 'packages/client/src/local/local-database.ts',
    edits: [
      { find: `if (lease?.fence === fence) return`, replace: `if (Number(lease?.fence) >= fence) return` },
      // The second line of defence.
      {
        file: 'packages/client/src/apply/flip.ts',
        find: `if (!progress.replaces) assert(progress.base === (await readCursor(tx)), 'a flip from another cursor')`,
        replace: `await readCursor(tx)`,
      },
    ],
    story:
      'A tab that was frozen in its first sync goes on beside the one that took over: newer values are gone from the screen for good.',
    expect: ['convergence', 'monotone'],
    seenBy: 'lane',
  },
  {
    id: 'lease-of-another-process-taken',
    case: 'B26',
    file: `${sync}/lease.ts`,
    edits: [
      {
        find: `const isCurrent = expiresAt > nowMs &&`,
        replace: `const isCurrent = expiresAt < nowMs &&`,
      },
    ],
    story: 'Two processes of one app sync one database at the same time and send everything twice.',
    expect: ['monotone', 'exactly-once', 'liveness'],
    seenBy: 'lane',
  },
  {
    id: 'lease-of-a-future-clock',
    case: 'B15',
    file: `${sync}/lease.ts`,
    edits: [{ find: `expiresAt > nowMs && expiresAt <= nowMs + leaseMs`, replace: `expiresAt > nowMs` }],
    story: 'The clock was wrong for a minute when the app died: it does not sync again for years.',
    expect: ['liveness'],
  },
  {
    id: 'restart-forgets-what-was-offered',
    case: 'B27',
    file: 'packages/client/src/local/open-database.ts',
    edits: [
      {
        find: `return bindIdentity(tx, options)`,
        replace: `if ((await tx.all("SELECT 1 FROM _meta WHERE key = 'device'")).length > 0) {
        const rows = await tx.all("SELECT seq FROM _outbox WHERE status = 'sending' ORDER BY seq")
        await requeue(tx, options, rows.map((row) => Number(row.seq)))
      }
      return bindIdentity(tx, options)`,
      },
      {
        find: `import { type Durability, LocalDatabase, type`,
        replace: `import { requeue } from '../outbox/requeue.ts'
import { type Durability, LocalDatabase, type`,
      },
    ],
    story:
      'The app dies while sending; after the start the same edits go out under new keys and count twice.',
    expect: ['exactly-once', 'counters'],
  },
  {
    id: 'repeat-is-not-the-same-bytes',
    case: 'B22',
    file: `${outbox}/cut-batch.ts`,
    edits: [{ find: `await tx.run('UPDATE _outbox SET wire = ? WHERE seq = ?', [text, lead])`, replace: `` }],
    story:
      'The answer to several edits in one is lost; the repeat carries only the first, and the others count twice.',
    expect: ['exactly-once', 'counters', 'status-honesty'],
  },
  {
    id: 'batch-splits-a-transaction',
    case: 'OB-7',
    file: `${outbox}/cut-batch.ts`,
    edits: [
      {
        find: `if (!batch.take(unit.map(offerOf))) return`,
        replace: `if (!unit.map(offerOf).every((offer) => batch.take([offer]))) return`,
      },
    ],
    story: 'On a bad link batches get small, and half of a transaction arrives.',
    expect: ['group-atomicity'],
  },
  {
    id: 'repeat-tells-success',
    case: 'WR-11',
    file: `${outbox}/cut-batch.ts`,
    edits: [
      {
        find: `await keepBytes(tx, offers.slice(repeated))`,
        replace: `for (const { mutation } of offers.slice(0, repeated))
    tx.announce(mutation.id, { status: 'applied', version: null })
  await keepBytes(tx, offers.slice(repeated))`,
      },
    ],
    story: 'The app says "saved on the server" of an edit that never got there.',
    expect: ['no-lost-mutation', 'status-honesty'],
  },
  {
    id: 'timeout-means-not-applied',
    case: 'B17',
    file: `${sync}/push.ts`,
    edits: [
      {
        find: `if (!isAlone(offers)) {`,
        replace: `if (failure.code === 'TIMEOUT') {
      const seqs = offers.flatMap((offer) => offer.seqs)
      await this.#context.session.write(run, (tx) => requeue(tx, this.#context, seqs))
      throw error
    }
    if (!isAlone(offers)) {`,
      },
      {
        find: `import type { Offer } from '../outbox/offer.ts'`,
        replace: `import type { Offer } from '../outbox/offer.ts'
import { requeue } from '../outbox/requeue.ts'`,
      },
    ],
    story: 'An answer is lost: the edits are sent again under new keys, and a sale counts twice.',
    expect: ['exactly-once', 'counters'],
  },
  {
    id: 'expired-token-ends-entries',
    case: 'B25',
    file: `${sync}/push.ts`,
    edits: [
      {
        find: `if (failure.kind !== 'refused' && failure.kind !== 'backoff') throw error`,
        replace: `if (failure.kind === 'pause') await this.#context.session.write(run, (tx) => settle(tx, offers.flatMap((offer) => offer.seqs)))
    if (failure.kind !== 'refused' && failure.kind !== 'backoff') throw error`,
      },
      {
        find: `import { cutBatch } from '../outbox/cut-batch.ts'`,
        replace: `import { cutBatch } from '../outbox/cut-batch.ts'
import { settle } from '../outbox/outbox.ts'`,
      },
    ],
    story: 'The token expires in mid-push, and what was in that push is gone.',
    expect: ['no-lost-mutation', 'convergence'],
  },
  {
    id: 'failed-request-ends-entries',
    case: 'B24',
    file: `${sync}/count-attempt.ts`,
    edits: [
      {
        find: `attempts >= limits.entryAttempts &&`,
        replace: `attempts > 0 &&`,
      },
    ],
    story: 'A server that failed once makes a good edit a dead letter, although nobody ruled on it.',
    expect: ['no-lost-mutation', 'bounds'],
  },
  {
    id: 'attempts-of-whole-requests',
    case: 'SY-11',
    file: `${sync}/push.ts`,
    edits: [
      {
        find: `if (!isAlone(offers)) {`,
        replace: `const tried = { nowMs: this.#context.env.now(), roll: this.#context.env.random(), limits: this.#context.limits, error: { code: failure.code, message: 'the request failed' }, retryAfterMs: failure.retryAfterMs }
    await this.#context.session.write(run, (tx) => countAttempt(tx, offers.flatMap((offer) => offer.seqs), tried))
    if (!isAlone(offers)) {`,
      },
    ],
    story:
      'A bad night of the network counts against every single edit: they wait for minutes, and in the end die.',
    expect: ['counted-attempts', 'liveness', 'no-lost-mutation'],
  },
  {
    id: 'refusal-forgotten',
    case: 'B23',
    file: `${sync}/record-answers.ts`,
    edits: [
      { find: `return markDead(tx, seqs, reason)`, replace: `return settle(tx, seqs)` },
      { find: `markDead, markHeld } from`, replace: `markHeld, settle } from` },
    ],
    story: 'The server refuses an edit, and it is gone without anybody being told.',
    expect: ['no-lost-mutation', 'convergence'],
  },
  {
    id: 'refusal-of-a-lost-answer-forgotten',
    case: 'B23',
    file: 'packages/client/src/apply/settle-outcomes.ts',
    edits: [
      {
        find: `await markDead(tx, seqs, { code, message })`,
        replace: `await settle(tx, seqs)`,
      },
    ],
    story: 'The answer with a refusal is lost on the way, and so is the edit.',
    expect: ['no-lost-mutation'],
  },
  {
    id: 'clone-edits-die',
    case: 'B21',
    file: `${sync}/record-reuse.ts`,
    edits: [
      {
        find: `else await holdForIdentity(tx, foreign)`,
        replace: `else await markDead(tx, foreign, { code: error?.code ?? 'SEQ_REUSED', message: '' })`,
      },
    ],
    story: 'A phone was restored from a backup of another: its new edits end as dead letters.',
    expect: ['no-lost-mutation', 'effect', 'status-honesty'],
  },
  {
    id: 'fold-of-a-clone-swallows-neighbours',
    case: 'B21',
    file: `${sync}/record-reuse.ts`,
    edits: [
      {
        find: `[outcome, within(parseRanges(outcome.covers))] as const`,
        replace: `[outcome, offer.seqs] as const`,
      },
    ],
    story: 'Two copies of one database fold differently: edits that only one of them has are taken for sent.',
    expect: ['no-lost-mutation', 'effect', 'expected-end'],
    seenBy: 'lane',
  },
  {
    id: 'edited-letter-loses-its-counts',
    case: 'B18',
    file: `${outbox}/dead-letters.ts`,
    edits: [
      {
        find: `increments: { ...others(old.increments), ...edit.increments },`,
        replace: `increments: edit.increments,`,
      },
    ],
    story: 'A person repairs the name in a refused edit, and the ten sold pieces in it are forgotten.',
    expect: ['counters', 'no-lost-mutation'],
  },
  {
    id: 'edited-letter-has-seen-what-stands',
    case: 'OB-17',
    file: `${outbox}/dead-letters.ts`,
    edits: [
      {
        find: `Object.entries({ ...edit.base, ...old.base })`,
        replace: `Object.entries({ ...old.base, ...edit.base })`,
      },
    ],
    story: 'Who repairs a refused edit of last week overwrites what others have written in that field since.',
    expect: ['due-question'],
  },
  {
    id: 'edited-letter-takes-a-count-for-its-own',
    case: 'OB-17',
    file: `${outbox}/dead-letters.ts`,
    edits: [
      {
        find: `if (!field || !addsUp(field)) return wanted`,
        replace: `if (field?.kind !== 'set') return wanted`,
      },
    ],
    story:
      'Who repairs a refused edit in a form counts once more whatever was counted since the form was opened.',
    expect: ['expected-end'],
    seenBy: 'lane',
  },
]
