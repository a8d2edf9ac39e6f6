import type { Plan } from './plan.ts'

/** A stretch of virtual time, ms. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** A device nobody touches for longer is put away, virtual ms. */
const putAwayMs = 600_000

/** Phones in pockets: between bursts of work a device sleeps, or a week would be nothing but idle wake-ups. */
export function pocketTimes(
  { steps, chaosMs }: Pick<Plan, 'steps' | 'chaosMs'>,
  device: number,
): readonly Span[] {
  const times = steps.filter((step) => step.device === device).map(({ atMs }) => atMs)
  return [0, ...times].flatMap((atMs, place): readonly Span[] => {
    const nextMs = times[place] ?? chaosMs
    return nextMs - atMs < putAwayMs ? [] : [{ fromMs: atMs + 120_000, toMs: nextMs - 20_000 }]
  })
}
