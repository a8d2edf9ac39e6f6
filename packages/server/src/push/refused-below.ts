import type { Mutation } from '@holdfast/core'
import type { User } from '../engine.ts'
import type { Session } from './session.ts'
import type { UnitResult, UnitView } from './unit-view.ts'

/**
 * The refused mutation that one stands on, directly or through others of the batch: of its record's making, or of a field
 * that it changes, and that nothing in between does. Rules: PU-13.
 */
export function refusedBelow<U extends User>(
  { claims, judged }: Session<U>,
  view: UnitView,
  mutation: Mutation,
): string | undefined {
  let names = Object.keys(mutation.changes)
  // Whoever makes mutations up may have them stand on each other.
  const passed = new Set<string>()
  for (let below = mutation.after; below !== null && !passed.has(below); ) {
    passed.add(below)
    const outcome = view.result(below) ? undefined : claims.outcomeOf(below)
    if (outcome?.status === 'rejected') {
      // A settlement that came second, or whose conflict is out of sight meanwhile, was not refused for what it says: what
      // was written on it is merged.
      if (outcome.code === 'CONFLICT_CLOSED' || outcome.code === 'CONFLICT_UNKNOWN') return undefined
      // What only adds stands on nothing but the record.
      if (outcome.op === 'create' || overlaps(outcome.fields, names)) return below
    }
    const between = judged.get(below)
    if (between === undefined) return undefined
    names = names.filter((name) => !Object.hasOwn(between.changes, name))
    below = between.after
  }
  return undefined
}

/**
 * What the mutation came to that one with this `after` stands on; where that is put off or waits for a decision, what it
 * stands on itself. Rules: PU-37.
 */
export function decidedBelow<U extends User>(
  { claims, judged }: Session<U>,
  after: string | null,
  view?: UnitView,
): UnitResult | undefined {
  const passed = new Set<string>()
  for (let below = after; below !== null && !passed.has(below); below = judged.get(below)?.after ?? null) {
    const made = view?.result(below) ?? claims.outcomeOf(below)
    if (made) return passed.size === 0 ? made : { ...made, exact: false }
    passed.add(below)
  }
  return undefined
}

/** Whether two lists of names share one. */
export function overlaps(left: readonly string[], right: readonly string[]): boolean {
  return left.some((name) => right.includes(name))
}
