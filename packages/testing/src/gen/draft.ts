import type { SeededRandom } from '../seeded-random.ts'
import type { Action, Step } from '../sim/plan.ts'
import type { DrawnAction } from './person.ts'
import type { Swarm } from './swarm.ts'

/** One stretch of work on one device. */
export interface Stretch {
  readonly device: number
  readonly startMs: number
  /** When the device has a network again; the start where it had one all the time. */
  readonly onlineMs: number
  readonly endMs: number
}

/** A plan while it is made. */
export interface Draft {
  readonly random: SeededRandom
  readonly swarm: Swarm
  readonly steps: Step[]
  readonly stretches: Stretch[]
  /** Collections an action can be done in, by kind; the first ones come most often. */
  readonly collections: { readonly [Kind in DrawnAction['kind']]?: readonly string[] }
  /** Devices by number, clones included. */
  deviceCount: number
  nowMs: number
}

/** Adds a step with a draw of its own, unless it is told which records it is about. */
export function addStep(
  { random, steps }: Pick<Draft, 'random' | 'steps'>,
  step: { readonly atMs: number; readonly device: number; readonly action: Action; readonly theme?: number },
): void {
  const { atMs, device, action, theme = random.below(2 ** 24) } = step
  // The upper 24 bits decide which record, all of them what is done to it: see `takeTurn`.
  const draw = theme * 256 + random.below(256)
  steps.push({ atMs: Math.round(atMs), device, action, draw })
}
