import {
  type Environment,
  type Limits,
  type PullRequest,
  type PullResponse,
  type RowRange,
  type Schema,
} from '@holdfast/core'
import { type Comparison, compareDigests, type DigestsToCompare } from '../apply/compare-digests.ts'
import type { PullProgress } from '../apply/pull-progress.ts'
import { beginReset } from '../apply/staging.ts'
import type { LocalReader, LocalTransaction } from '../local/local-database.ts'
import { type MetaKey, writeMeta } from '../local/meta.ts'
import { countOne } from '../status/tally.ts'
import type { Run, Session } from './session.ts'

/** What a pull asks for beside what is new. */
export type Wishes = Pick<PullRequest, 'digests' | 'ranges' | 'grown'>

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

/** What is still to be fetched again. */
interface Left {
  /** Ranges that differ. */
  readonly todo: readonly RowRange[]
  /** Collections of which every row is, while nobody knows yet in which ranges the server has them. */
  readonly grown: readonly string[]
  /** Ranges of such collections. */
  readonly renewing: readonly RowRange[]
}

interface Plan extends Left {
  /** The interval in which the copies were last compared; 'now' when somebody asked for it; undefined before the first pull. */
  readonly done: number | 'now' | undefined
}

const nothing: Left = { todo: [], grown: [], renewing: [] }

/** Where it is remembered. */
const keys: Readonly<Record<keyof Left, MetaKey>> = {
  todo: 'sync.repair',
  grown: 'sync.grown',
  renewing: 'sync.renewal',
}

/**
 * Compares this device's copy with the server's, now and then and on demand, and has what differs fetched again. That it
 * ever differs is a bug: it is counted and told, never mended in silence. What an app before this one could not keep is
 * fetched again in the same way, and is no bug. Rules: CS-2 to CS-6, AP-12.
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

  /** What the next page is to be asked for. */
  async wishes(tx: LocalReader): Promise<Wishes> {
    const { done, todo, grown, renewing } = this.#known(await readPlan(tx))
    const { rangesAsked } = this.#parts.limits
    if (todo.length > 0) return { ranges: todo.slice(0, rangesAsked) }
    if (renewing.length > 0) return { ranges: renewing.slice(0, rangesAsked), grown: true }
    if (grown.length > 0) return { digests: true }
    return done === undefined || done === this.#interval() ? {} : { digests: true }
  }

  /** Ranges that the flip is to replace: those the page holds whole. */
  toReplace({ wishes, page }: Pick<AnsweredWishes, 'wishes' | 'page'>): readonly RowRange[] {
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
    let left = progress.replaces ? nothing : this.#left(this.#known(plan), answered)
    // A server that knows nothing of it, maybe an older one than the one that told which ranges there are.
    const isUnheard =
      isExact &&
      (wishes.grown === true
        ? !page.ranges
        : left.grown.length > 0 && wishes.digests === true && !page.digests)
    if (isUnheard) await beginReset(tx, this.#parts.schema.version)
    if (wishes.digests === true && isExact && page.digests) {
      const { grown } = left
      const { differing, renewed } = await this.#compare(tx, run, { digests: page.digests, grown })
      left = { todo: [...left.todo, ...differing], grown: [], renewing: [...left.renewing, ...renewed] }
    }
    await writeLeft(tx, plan, left)
    return isUnheard || isAny(left)
  }

  /** Without what is of collections that this app has not: one that has them again fetches all of them. */
  #known({ done, ...left }: Plan): Plan {
    const { collections } = this.#parts.schema
    const isKnown = ({ collection }: RowRange): boolean => collections.has(collection)
    return {
      done,
      todo: left.todo.filter(isKnown),
      grown: left.grown.filter((name) => collections.has(name)),
      renewing: left.renewing.filter(isKnown),
    }
  }

  #left(plan: Left, { wishes, page }: AnsweredWishes): Left {
    const asked = wishes.ranges ?? []
    if (page.more || asked.length === 0) return plan
    const replaced = this.toReplace({ wishes, page })
    // A server that gives none of them will not give them later: they left the device's scopes, or it is an older one.
    const over = replaced.length === 0 ? asked : replaced
    const which = wishes.grown === true ? 'renewing' : 'todo'
    return { ...plan, [which]: plan[which].filter((range) => !over.some(isSame(range))) }
  }

  async #compare(
    tx: LocalTransaction,
    run: Run,
    told: Pick<DigestsToCompare, 'digests' | 'grown'>,
  ): Promise<Comparison> {
    const { schema, session } = this.#parts
    const comparison = await compareDigests(tx, { schema, ...told })
    const { differing } = comparison
    this.latest = comparison
    if (differing.length === 0) return comparison
    await countOne(tx, 'repairs', differing.length)
    const collections = [...new Set(differing.map(({ collection }) => collection))]
    session.log('error', 'copy-differs', {
      syncRunId: run.id,
      collections,
      ranges: differing.length,
      compared: comparison.ranges,
    })
    return comparison
  }

  /** The interval it is now. Each device has its own, so that a fleet does not compare at the same moment. */
  #interval(): number {
    const { env, everyMs, session } = this.#parts
    const share = Number.parseInt(session.identity.device.slice(-8), 16) / 2 ** 32
    return Math.floor(env.now() / everyMs + share)
  }
}

function isAny({ todo, grown, renewing }: Left): boolean {
  return todo.length + grown.length + renewing.length > 0
}

function isSame(left: RowRange): (right: RowRange) => boolean {
  return (right) =>
    left.collection === right.collection &&
    left.scope === right.scope &&
    left.range === right.range &&
    left.of === right.of
}

/**
 * Every row of these collections is to be fetched again: the app has fields now of which the one before it kept nothing.
 * Added to those of which that was said before. Rules: AP-12.
 */
export async function noteGrown(tx: LocalTransaction, collections: readonly string[]): Promise<void> {
  const plan = await readPlan(tx)
  await writeLeft(tx, plan, { ...plan, grown: [...new Set([...plan.grown, ...collections])] })
}

const planSql = `SELECT key, value FROM _meta WHERE key IN ('sync.verify', '${Object.values(keys).join("', '")}')`

async function readPlan(tx: LocalReader): Promise<Plan> {
  const rows = await tx.all(planSql)
  const valueOf = (key: string): unknown => rows.find((row) => row.key === key)?.value
  const done = valueOf('sync.verify')
  // Written by `writeLeft` and by nobody else.
  const listOf = <T>(key: MetaKey): readonly T[] => {
    const text = valueOf(key)
    return typeof text === 'string' ? (JSON.parse(text) as readonly T[]) : []
  }
  return {
    done: done === undefined || done === 'now' ? done : Number(done),
    todo: listOf<RowRange>(keys.todo),
    grown: listOf<string>(keys.grown),
    renewing: listOf<RowRange>(keys.renewing),
  }
}

async function writeLeft(tx: LocalTransaction, before: Left, left: Left): Promise<void> {
  for (const name of ['todo', 'grown', 'renewing'] as const) {
    if (left[name].length === 0 && before[name].length === 0) continue
    await writeMeta(tx, keys[name], left[name].length > 0 ? JSON.stringify(left[name]) : null)
  }
}
