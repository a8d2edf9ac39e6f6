import { SeededRandom } from '../seeded-random.ts'
import type { Step } from '../sim/plan.ts'

/** How long people look at a form before they save it, ms: a moment, a call, a break, a night. */
const lookMs = [300, 10_000, 600_000, 60_000_000] as const
/** Share of the edits beside which the same record is edited in a form, and of the repairs beside which one is made in it. */
const shares = [0, 0.1, 0.25] as const
const repairShare = 0.5

/**
 * Beside some edits of a plan somebody has a form of the same record open: from a little before or after the edit until some
 * time after. Drawn from a chance of their own, so that nothing else of a story is drawn otherwise for them.
 * Rules: SIM-102.
 */
export function formSteps(
  steps: readonly Step[],
  { seed, endMs }: { readonly seed: number; readonly endMs: number },
): readonly Step[] {
  const random = new SeededRandom(seed ^ 0x5f0a_31c7)
  const share = shares[random.below(shares.length)] ?? 0
  let form = 0
  return steps.flatMap(({ action, atMs, device, draw }): Step[] => {
    if (action.kind !== 'update' && action.kind !== 'repair') return []
    if (random.next() >= (action.kind === 'update' ? share : share * repairShare * 4)) return []
    form += 1
    const openMs = Math.max(0, atMs - 200 + random.below(400))
    const widthMs = lookMs[random.below(lookMs.length)] ?? 0
    const saveMs = Math.min(endMs, openMs + 1 + random.below(widthMs))
    const fields = 1 + random.below(4)
    const save: Step = {
      atMs: saveMs,
      device,
      action: { kind: 'save-form', form, fields },
      draw: draw - (draw % 256) + random.below(256),
    }
    const opened =
      action.kind === 'update'
        ? ({ kind: 'open-form', form, collection: action.collection, hot: action.hot } as const)
        : ({ kind: 'open-letter', form } as const)
    return [{ atMs: Math.min(openMs, saveMs), device, action: opened, draw }, save]
  })
}
