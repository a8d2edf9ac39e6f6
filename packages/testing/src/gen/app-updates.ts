import { SeededRandom } from '../seeded-random.ts'
import type { DevicePlan, Step } from '../sim/plan.ts'

/** Devices that begin with the app of before, and when they are updated. */
export interface AppUpdates {
  readonly devices: readonly DevicePlan[]
  readonly steps: readonly Step[]
}

/**
 * In one seed of three some devices have the app of before, and get the next one in the middle of their work. Drawn from a
 * chance of its own, so that nothing else of a story is drawn otherwise for it. Rules: SIM-105.
 */
export function drawUpdates(
  devices: readonly DevicePlan[],
  { seed, endMs }: { readonly seed: number; readonly endMs: number },
): AppUpdates {
  const random = new SeededRandom(seed ^ 0x3c6e_f372)
  if (random.below(3) > 0) return { devices, steps: [] }
  const share = 0.3 + 0.7 * random.next()
  const steps: Step[] = []
  const planned = devices.map((device, index): DevicePlan => {
    if (random.next() >= share) return device
    // Some never come to it before everything is over.
    if (random.below(5) > 0) {
      const atMs = Math.round(endMs * random.next())
      const downMs = Math.round(500 + 20_000 * random.next() ** 3)
      steps.push({ atMs, device: index, action: { kind: 'app-update', downMs }, draw: 0 })
    }
    return { ...device, isEarlier: true }
  })
  return { devices: planned, steps }
}
