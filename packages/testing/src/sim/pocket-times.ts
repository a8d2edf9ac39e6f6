import type { Plan } from './plan.ts'
import type { Scheduler } from './scheduler.ts'
import type { SimDevice } from './sim-device.ts'

/** A stretch of virtual time, ms. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** A device nobody touches for longer is put away, virtual ms. */
const putAwayMs = 240_000

/** It stays in the hand for so long after it was last used, virtual ms. */
const inHandMs = 60_000

/** Phones in pockets: between bursts of work a device sleeps, or a week would be nothing but idle wake-ups. */
export function pocketTimes(
  { steps, chaosMs }: Pick<Plan, 'steps' | 'chaosMs'>,
  device: number,
): readonly Span[] {
  const times = steps.filter((step) => step.device === device).map(({ atMs }) => atMs)
  return [0, ...times].flatMap((atMs, place): readonly Span[] => {
    const nextMs = times[place] ?? chaosMs
    return nextMs - atMs < putAwayMs ? [] : [{ fromMs: atMs + inHandMs, toMs: nextMs - 20_000 }]
  })
}

/** Plans when a device is put away and taken out again, from now on. */
export function planPockets(
  { plan, scheduler }: { readonly plan: Plan; readonly scheduler: Scheduler },
  device: SimDevice,
  index: number,
): void {
  for (const { fromMs, toMs } of pocketTimes(plan, index)) {
    if (toMs <= scheduler.nowMs) continue
    scheduler.at(Math.max(fromMs, scheduler.nowMs + inHandMs), () => {
      if (scheduler.nowMs < toMs) device.putAway()
    })
    scheduler.at(toMs, () => device.takeOut())
  }
}
