import { SeededRandom } from '../seeded-random.ts'
import type { DevicePlan, Step } from '../sim/plan.ts'

/** Devices that begin with the app of before, and when they and the server are updated. */
export interface AppUpdates {
  readonly isServerEarlier: boolean
  readonly devices: readonly DevicePlan[]
  readonly steps: readonly Step[]
}

/**
 * In one seed of three some devices have the app of before, and get the next one in the middle of their work; in half of
 * these the server, too, knows no more at first, and apps may be updated before it is. Drawn from a chance of its own, so that nothing else of a story is drawn otherwise for it. Rules: SIM-105.
 */
export function drawUpdates(
  devices: readonly DevicePlan[],
  { seed, endMs }: { readonly seed: number; readonly endMs: number },
): AppUpdates {
  const random = new SeededRandom(seed ^ 0x3c6e_f372)
  if (random.below(3) > 0) return { devices, steps: [], isServerEarlier: false }
  const isServerEarlier = random.below(2) === 0
  const share = isServerEarlier ? 1 : 0.3 + 0.7 * random.next()
  const steps: Step[] = []
  const updateAt = (device: number, kind: 'app-update' | 'server-update', reach = 1): void => {
    const downMs = Math.round(500 + 20_000 * random.next() ** 3)
    steps.push({ atMs: Math.round(endMs * reach * random.next()), device, action: { kind, downMs }, draw: 0 })
  }
  // Where it is late, apps are ahead of it for a while.
  if (isServerEarlier) updateAt(-1, 'server-update', 0.7)
  const planned = devices.map((device, index): DevicePlan => {
    if (random.next() >= share) return device
    // Some never come to it before everything is over.
    if (random.below(5) > 0) updateAt(index, 'app-update')
    return { ...device, isEarlier: true }
  })
  return { devices: planned, steps, isServerEarlier }
}
