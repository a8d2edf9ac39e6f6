import type { Json } from './observation.ts'
import type { Decision } from './rule-breach.ts'

/** By field, in the order they were made; the result of the last one stands. */
export function decisionsOf(decisions: Json): ReadonlyMap<string, readonly Decision[]> {
  const byField = new Map<string, Decision[]>()
  if (!Array.isArray(decisions)) return byField
  for (const decision of decisions as readonly unknown[]) {
    if (decision === null || typeof decision !== 'object') continue
    // Only decisions are written there; a member that is missing shows as undefined.
    const { field, ...rest } = decision as Decision & { readonly field: string }
    const known = byField.get(field)
    if (known) known.push(rest)
    else byField.set(field, [rest])
  }
  return byField
}
