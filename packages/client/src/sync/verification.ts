import {
  type Environment,
  type Limits,
  type PullRequest,
  type PullResponse,
  type RowRange,
  type Schema,
} from '@holdfast/core'
import { type Comparison, compareDigests } from '../apply/compare-digests.ts'
import type { PullProgress } from '../apply/pull-progress.ts'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { writeMeta } from '../local/meta.ts'
import { countOne } from '../status/tally.ts'
import type { Run, Session } from './session.ts'

/** What a pull asks for beside what is new. */
export type Wishes = Pick<PullRequest, 'digests' | 'ranges'>

/** What a verification is made from. */
export interface VerificationParts {
  readonly env: Pick<Environment, 'now'>
  readonly schema: Schema
  readonly session: Session
  readonly limits: Pick<Limits, 'rangesAsked'>
  /** Time between two comparisons, ms. */
  readonly everyMs: number
}

/** The last page of a pull, and what it was asked for. */
export interface AnsweredWishes {
  readonly wishes: Wishes
  readonly page: Pick<PullResponse, 'digests' | 'ranges' | 'more'>
  readonly progress: PullProgress
}

interface Plan {
  /** The interval in which the copies were last compared; 'now' when somebody asked for it; undefined before the first pull. */
  readonly done: number | 'now' | undefined
  /** Ranges that differ and were not yet fetched again. */
  readonly todo: readonly RowRange[]
}

/**
 * Compares this device's copy with the server's, now and then and on demand, and has what differs fetched again. That it
 * ever differs is a bug: it is counted and told, never mended in silence. Rules: CS-2 to CS-6.
 */
export class Verification {
  readonly #parts: VerificationParts
  /** What came of the newest comparison since `demand`. */
  latest: Comparison | undefined

  constructor(parts: VerificationParts) {
    this.#parts = parts
  }

  /** The next pull compares, whenever the last one was. */
  async demand(tx: LocalTransaction): Promise<void> {
    this.latest = undefined
    await writeMeta(tx, 'sync.verify', 'now')
  }

  /** Whether there are ranges that differ and were not yet fetched again. */
  async isRepairing(tx: LocalReader): Promise<boolean> {
    return (await readPlan(tx)).todo.length > 0
  }

  /** What the next page is to be asked for. */
  async wishes(tx: LocalReader): Promise<Wishes> {
    const { done, todo } = await readPlan(tx)
    if (todo.length > 0) return { ranges: todo.slice(0, this.#parts.limits.rangesAsked) }
    return done === undefined || done === this.#interval() ? {} : { digests: true }
  }

  /** Ranges that the flip is to replace: those the page holds whole. */
  toReplace({ wishes, page }: AnsweredWishes): readonly RowRange[] {
    const asked = wishes.ranges ?? []
    return (page.ranges ?? []).filter((range) => asked.some(isSame(range)))
  }

  /** After the flip, in its transaction. Returns whether something is to be fetched again. */
  async settle(tx: LocalTransaction, run: Run, answered: AnsweredWishes): Promise<boolean> {
    const { wishes, page, progress } = answered
    const plan = await readPlan(tx)
    const isExact = !page.more
    if (plan.done === undefined || (wishes.digests === true && isExact))
      await writeMeta(tx, 'sync.verify', this.#interval())
    const todo = progress.replaces ? [] : this.#left(plan, answered)
    if (wishes.digests === true && isExact && page.digests)
      todo.push(...(await this.#compare(tx, run, page.digests)))
    if (todo.length > 0 || plan.todo.length > 0)
      await writeMeta(tx, 'sync.repair', todo.length > 0 ? JSON.stringify(todo) : null)
    return todo.length > 0
  }

  #left({ todo }: Plan, answered: AnsweredWishes): RowRange[] {
    if (answered.wishes.ranges === undefined || answered.page.more) return [...todo]
    // A server that gives none of them will not give them later: they left the device's scopes, or it is an older one.
    const replaced = this.toReplace(answered)
    return replaced.length === 0 ? [] : todo.filter((range) => !replaced.some(isSame(range)))
  }

  async #compare(
    tx: LocalTransaction,
    run: Run,
    digests: NonNullable<PullResponse['digests']>,
  ): Promise<readonly RowRange[]> {
    const { schema, session } = this.#parts
    const comparison = await compareDigests(tx, schema, digests)
    const { differing } = comparison
    this.latest = comparison
    if (differing.length === 0) return differing
    await countOne(tx, 'repairs', differing.length)
    const collections = [...new Set(differing.map(({ collection }) => collection))]
    session.log('error', 'copy-differs', {
      syncRunId: run.id,
      collections,
      ranges: differing.length,
      compared: comparison.ranges,
    })
    return differing
  }

  /** The interval it is now. Each device has its own, so that a fleet does not compare at the same moment. */
  #interval(): number {
    const { env, everyMs, session } = this.#parts
    const share = Number.parseInt(session.identity.device.slice(-8), 16) / 2 ** 32
    return Math.floor(env.now() / everyMs + share)
  }
}

function isSame(left: RowRange): (right: RowRange) => boolean {
  return (right) =>
    left.collection === right.collection &&
    left.scope === right.scope &&
    left.range === right.range &&
    left.of === right.of
}

async function readPlan(tx: LocalReader): Promise<Plan> {
  const rows = await tx.all("SELECT key, value FROM _meta WHERE key IN ('sync.verify', 'sync.repair')")
  const valueOf = (key: string): unknown => rows.find((row) => row.key === key)?.value
  const [done, todo] = [valueOf('sync.verify'), valueOf('sync.repair')]
  return {
    done: done === undefined || done === 'now' ? done : Number(done),
    // Written by `settle` and by nobody else.
    todo: typeof todo === 'string' ? (JSON.parse(todo) as readonly RowRange[]) : [],
  }
}
