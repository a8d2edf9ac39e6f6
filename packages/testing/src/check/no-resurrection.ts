import type { Checker } from './checker.ts'
import { AuditModel } from './model.ts'
import type { Json, Observation, ServerAudit, ServerOutcome } from './observation.ts'
import { type Commit, type Item, RunBook } from './run-book.ts'

/**
 * What was deleted stays deleted, unless somebody who knew of the deletion brings it back, a conflict about it is
 * settled, or the rule of the collection says that an edit wins, and then the log says so; or the author of an edit
 * returns it to a server that was put back to before the record was brought back, where it had been taken. Rules: SIM-84.
 */
export const noResurrection: Checker = {
  name: 'no-resurrection',
  promise: 'A deleted record only comes back by a line that says so.',
  start: (fail) => {
    const watch = new DeletionWatch(fail)
    return (o) => watch.observe(o)
  },
}

class DeletionWatch {
  readonly #fail: (message: string) => void
  readonly #book: RunBook
  readonly #model = new AuditModel()
  /** What lost histories had made of mutations, of each the first answer, which it keeps (SY-25): what is in dispute has none. */
  readonly #lost = new Map<string, LostAnswer>()
  /** The newest line that was left, by restore. */
  readonly #cuts: number[] = []

  constructor(fail: (message: string) => void) {
    this.#fail = fail
    this.#book = new RunBook((commit) => this.#commit(commit))
  }

  observe(o: Observation): void {
    this.#book.observe(o)
    this.#model.follow(o)
    if (o.kind !== 'server-restored') return
    for (const { id, version, status } of o.forgotten)
      if (isTaken(status) && !this.#lost.has(id)) this.#lost.set(id, { restore: this.#cuts.length, version })
    this.#cuts.push(o.auditN)
  }

  #commit({ lines }: Commit): void {
    for (const line of lines) {
      const row = this.#model.row(line.collection, line.record)
      const deletion = row && !row.isLive ? row.deletion : null
      const version = row?.version ?? 0
      this.#model.apply(line)
      if (line.op === 'none') continue
      const why = deletion && line.op !== 'delete' ? this.#whyNot(line, deletion, version) : undefined
      if (deletion && why !== undefined) {
        this.#fail(
          `${line.collection}/${line.record}, deleted in line ${deletion.n}, is back in line ${line.n}: ${why}`,
        )
      }
    }
  }

  /** Why a line may not bring back what was deleted and is at `version`; undefined when it may. */
  #whyNot(line: ServerAudit, deletion: ServerAudit, version: number): string | undefined {
    const { op, device, mutation, user } = line
    // Beside the server anybody may do anything, and who writes without a device asks for what he gets.
    if (user === null || device === null || mutation === null) return undefined
    if (op === 'update') return 'by an update'
    if (winsOverDeletion(line.decisions)) return undefined
    const outcome = this.#book.outcomeOf(device, mutation)
    const items = outcome && this.#book.membersOf(outcome)
    const first = items?.[0]?.write.first
    // What copies of a disk offered under one key cannot be told apart.
    if (!first) return undefined
    const isOwn = deletion.user === user && (deletion.device === device || this.#isFrom(items, deletion))
    // Somebody beside the server may have edited it since, and it stayed deleted.
    const isSeen = first.baseVersion === deletion.version || first.baseVersion === version
    const isReturned = this.#isNewer(this.#lost.get(mutation), deletion)
    const isKnown = isSeen || first.resolves !== null || isOwn || isReturned
    if (isKnown) return undefined
    // Once its tombstone is collected, nobody knows of a deletion; who then makes the record anew must do so after it.
    const isLater = op === 'create' && first.op === 'create' && first.atMs >= deletion.atMs
    return isLater
      ? undefined
      : `${first.op} ${mutation} saw version ${first.baseVersion} and knew of no deletion`
  }

  /** Whether the disk wrote that deletion, or is a copy of the one that did, under whatever name it was sent. */
  #isFrom(items: readonly Item[] | undefined, { mutation }: ServerAudit): boolean {
    const [item] = items ?? []
    return item !== undefined && mutation !== null && this.#book.itemOf(item.disk, mutation) !== undefined
  }

  /** Whether what a lost history had answered is newer than a deletion: one of before the backup, or one that was returned as well. */
  #isNewer(mine: LostAnswer | undefined, { n, mutation }: ServerAudit): boolean {
    if (mine === undefined || mine.version === null) return false
    if (n <= (this.#cuts[mine.restore] ?? 0)) return true
    const theirs = this.#lost.get(mutation ?? '')
    // What had made no version overrules nothing (PU-42).
    if (theirs?.version === null) return true
    if (theirs === undefined || theirs.restore > mine.restore) return false
    return theirs.restore < mine.restore || theirs.version < mine.version
  }
}

/** What a history had answered before the restore of that number. */
interface LostAnswer {
  readonly restore: number
  readonly version: number | null
}

function isTaken(status: ServerOutcome['status']): boolean {
  return status === 'applied' || status === 'merged'
}

function winsOverDeletion(decisions: Json): boolean {
  return (
    Array.isArray(decisions) &&
    decisions.some(
      (decision: Json) =>
        decision !== null &&
        typeof decision === 'object' &&
        'rule' in decision &&
        decision.rule === 'onDelete.edit',
    )
  )
}
