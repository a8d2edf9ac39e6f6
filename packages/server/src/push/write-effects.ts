import type { User } from '../engine.ts'
import type { RecordWrite } from '../store/store.ts'
import type { MemberVerdict } from './judge-mutation.ts'
import type { Session, TouchedRecord } from './session.ts'
import type { CurrentRecord } from './working-set.ts'

/**
 * Writes what a batch came to: conflicts, audit, unique keys, rows (capture writes the feed). Conflicts go first, so
 * that those of a record that moves in the same batch move with it. Errors: ConstraintError. Rules: PR-3.
 */
export async function writeEffects<U extends User>(session: Session<U>, firstVersion: number): Promise<void> {
  const { tx, effects, now } = session
  const count = session.nextVersion - firstVersion
  await tx.reserve(count, now)
  for (const { conflict, scopes } of effects.conflicts.values()) await tx.writeConflict(conflict, scopes)
  const writes: RecordWrite[] = []
  for (const touched of effects.records.values()) {
    const write = recordWrite(session, touched)
    if (write) writes.push(write)
  }
  // Before the rows: what triggers of the host make of them comes later, with lines of its own.
  await tx.writeAudit(effects.audit)
  await tx.writeUnique(effects.unique)
  await tx.writeRecords(writes)
}

function recordWrite<U extends User>(session: Session<U>, touched: TouchedRecord): RecordWrite | undefined {
  const { collection: name, id, changed, clocksChanged, hasRowChange } = touched
  const record = session.working.record(name, id)
  const { snapshot } = record
  const stored = session.working.stored(name, id)
  if (snapshot.kind === 'absent') return undefined
  const collection = session.working.collection(name)
  const isInTable = stored?.isInTable === true
  const isGone = snapshot.kind === 'deleted' && collection.deletes === 'hard'
  const write = isGone ? 'delete' : isInTable ? 'update' : 'insert'
  const { createdAt, updatedAt, serverUpdatedAt, deletedAt, clocks, maker } = record
  return {
    collection: name,
    id,
    version: snapshot.version,
    values: snapshot.values ?? {},
    isInTable,
    createdAt,
    updatedAt,
    serverUpdatedAt,
    deletedAt,
    clocks,
    clocksChanged,
    maker,
    write: hasRowChange ? write : 'none',
    changed,
  }
}

/** What triggers of the host made of the rows: the verdicts say what is there now. Rules: PU-22. */
export async function followTriggers<U extends User>(
  session: Session<U>,
  verdicts: readonly MemberVerdict[],
): Promise<readonly MemberVerdict[]> {
  if (!(await session.tx.hostWrote())) return verdicts
  const current = new Map<string, CurrentRecord>()
  const byCollection = Map.groupBy(session.effects.records.values(), ({ collection }) => collection)
  for (const [collection, touched] of byCollection) {
    for (const stored of await session.tx.records(
      collection,
      touched.map(({ id }) => id),
    )) {
      const { version, values, deletedAt } = stored
      const kind = deletedAt === null ? 'live' : 'deleted'
      current.set(`${stored.id} ${collection}`, {
        ...stored,
        snapshot: { kind, version, values },
        maker: null,
      })
    }
  }
  return verdicts.map((verdict) => {
    const { mutation } = verdict.offer
    const now = mutation && current.get(`${mutation.record} ${mutation.collection}`)
    const made = verdict.record?.snapshot
    if (!now || verdict.version === null || !made || made.kind === 'absent' || now.snapshot.kind === 'absent')
      return verdict
    const last = verdicts.findLast(
      ({ offer, version }) =>
        version !== null &&
        offer.mutation?.record === mutation.record &&
        offer.mutation.collection === mutation.collection,
    )
    if (last !== verdict || now.snapshot.version === made.version) return verdict
    return { ...verdict, version: now.snapshot.version, isExact: false, record: now }
  })
}
