import type { Json } from '../json.ts'

type Allowed = Readonly<Record<string, readonly string[]>>

/** Whether a state may follow another in one step. Anything may follow null: there was no state yet. */
export function mayFollow(allowed: Allowed, from: Json, to: Json): boolean {
  if (from === null) return true
  return typeof from === 'string' && typeof to === 'string' && nextStates(allowed, from).includes(to)
}

/**
 * Two states that met: mine if it may follow theirs, theirs if mine lies behind it and cannot come again, else a person
 * decides. Rules: ME-11.
 */
export function decideTransition(
  allowed: Allowed,
  { mine, theirs }: { readonly mine: Json; readonly theirs: Json },
): 'mine' | 'theirs' | 'ask' {
  if (mayFollow(allowed, theirs, mine)) return 'mine'
  return isReachable(allowed, mine, theirs) && !isReachable(allowed, theirs, mine) ? 'theirs' : 'ask'
}

function isReachable(allowed: Allowed, from: Json, to: Json): boolean {
  if (typeof from !== 'string' || typeof to !== 'string') return false
  const reached = new Set<string>(nextStates(allowed, from))
  // A set visits members added while it is walked, so that this ends once no new state is found.
  for (const state of reached) for (const next of nextStates(allowed, state)) reached.add(next)
  return reached.has(to)
}

function nextStates(allowed: Allowed, state: string): readonly string[] {
  return Object.hasOwn(allowed, state) ? (allowed[state] ?? []) : []
}
