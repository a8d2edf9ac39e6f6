import { assertNever, limits, type PullResponse } from '@holdfast/core'

/**
 * A pull under way, remembered with its staged pages so that it goes on after a restart. It is dropped, pages and
 * all, when the cursor it started from, the grants or the schema are no longer those it was begun with.
 */
export interface PullProgress {
  /** The device's cursor when it began; null for a first sync and a reset. */
  readonly base: string | null
  /** The snapshot stands for everything: what is not in it goes. */
  readonly replaces: boolean
  readonly schema: number
  /** `scopes.version` of its first page; null before that. */
  readonly grants: string | null
  readonly step: PullStep
  readonly revoked: readonly string[]
  readonly pages: number
  readonly rows: number
  /** Begun anew because the server said of records that we have them, and we could not build them: they come whole. */
  readonly isWhole: boolean
}

/** What to ask for next. */
type PullStep =
  | {
      readonly kind: 'snapshot'
      readonly cursor: string | null
      readonly scope: string | null
      readonly later: readonly string[]
    }
  | { readonly kind: 'pull'; readonly cursor: string }
  /** Everything is staged. */
  | { readonly kind: 'ready'; readonly cursor: string }

/** The first step from where the device is: a pull, or a snapshot of everything when it has no cursor. */
export function startPull(cursor: string | null, schema: number): PullProgress {
  return {
    base: cursor,
    replaces: cursor === null,
    schema,
    grants: null,
    step:
      cursor === null ? { kind: 'snapshot', cursor: null, scope: null, later: [] } : { kind: 'pull', cursor },
    revoked: [],
    pages: 0,
    rows: 0,
    isWhole: false,
  }
}

/**
 * The progress of a pull that goes on after an interruption: what was said of this device's mutations at its end is older
 * than answers that came since, so the end is read once more. Pure. Rules: AP-3.
 */
export function lookAgain(progress: PullProgress): PullProgress {
  const { step } = progress
  return step.kind === 'ready' ? { ...progress, step: { kind: 'pull', cursor: step.cursor } } : progress
}

/** Whether the grants changed since the first page: what is staged was chosen for others. */
export function hasOtherGrants(progress: PullProgress, page: PullResponse): boolean {
  return progress.grants !== null && progress.grants !== page.scopes.version
}

/** The progress with a further page. Pure. Rules: AP-3. */
export function advancePull(progress: PullProgress, page: PullResponse): PullProgress {
  return {
    ...progress,
    grants: page.scopes.version,
    step: stepAfter(progress, page),
    revoked: [...new Set([...progress.revoked, ...page.scopes.revoked])],
    pages: progress.pages + 1,
    rows: progress.rows + page.changes.length,
  }
}

function stepAfter({ step, pages }: PullProgress, page: PullResponse): PullStep {
  const { cursor } = page
  switch (step.kind) {
    case 'snapshot':
      return page.more ? { ...step, cursor } : (nextSnapshot(cursor, step.later) ?? { kind: 'pull', cursor })
    case 'pull':
      if (page.more && pages < limits.pullPages) return { kind: 'pull', cursor }
      return nextSnapshot(cursor, page.scopes.entered) ?? { kind: 'ready', cursor }
    case 'ready':
      return step
    default:
      return assertNever(step)
  }
}

function nextSnapshot(cursor: string, scopes: readonly string[]): PullStep | undefined {
  const [scope, ...later] = scopes
  return scope === undefined ? undefined : { kind: 'snapshot', cursor, scope, later }
}
