import { type RunOptions, runPlan } from './run-plan.ts'
import { type Plan, type StorageFaults, type Step } from './plan.ts'
import { healthy } from './network.ts'

/** How to run a candidate, and where to tell how far it is. */
export interface ShrinkOptions extends RunOptions {
  readonly say?: (text: string) => void
}

/** Runs a shrink may take. */
const runMax = 600

/**
 * The smallest plan found that breaks the same promise: spans of steps are taken out, long ones first, then whole kinds
 * of faults, then single steps; what is left is kept only if the promise still breaks. Rules: SIM-8. Source of the
 * search: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002.
 */
export async function shrink(plan: Plan, invariant: string, options: ShrinkOptions = {}): Promise<Plan> {
  const { say = () => undefined, ...runOptions } = options
  let best = plan
  let runs = 0
  const breaks = async (candidate: Plan): Promise<boolean> => {
    runs += 1
    if (runs > runMax) return false
    const { violations } = await runPlan(candidate, runOptions)
    return violations.some((violation) => violation.invariant === invariant)
  }
  const attempt = async (candidate: Plan): Promise<boolean> => {
    if (!(await breaks(candidate))) return false
    best = candidate
    return true
  }
  for (let size = best.steps.length; size >= 1 && runs < runMax; size = Math.floor(size / 2)) {
    for (let start = 0; start < best.steps.length; ) {
      const steps = best.steps.filter((_, index) => index < start || index >= start + size)
      if (!(await attempt({ ...best, steps }))) start += size
    }
    for (const calmer of calmerPlans(best)) await attempt(calmer)
    say(`${best.steps.length} steps after ${runs} runs`)
  }
  await attempt({ ...best, steps: best.steps.map(atEvenTimes), chaosMs: (best.steps.length + 1) * 10_000 })
  return best
}

/** Plans with one thing less that can go wrong. */
function calmerPlans(plan: Plan): readonly Plan[] {
  const { network, storage } = plan
  const calm = healthy(network.delayMs)
  const plans: Plan[] = []
  for (const name of Object.keys(network) as (keyof typeof network)[]) {
    if (name !== 'delayMs' && network[name] > 0)
      plans.push({ ...plan, network: { ...network, [name]: calm[name] } })
  }
  for (const name of Object.keys(storage) as (keyof StorageFaults)[]) {
    if (storage[name] > 0) plans.push({ ...plan, storage: { ...storage, [name]: 0 } })
  }
  const devices = plan.devices.map((device) => ({ ...device, clockOffsetMs: 0, clockDriftPpm: 0 }))
  if (plan.devices.some(({ clockOffsetMs, clockDriftPpm }) => clockOffsetMs !== 0 || clockDriftPpm !== 0))
    plans.push({ ...plan, devices })
  return plans
}

function atEvenTimes(step: Step, index: number): Step {
  return { ...step, atMs: (index + 1) * 10_000 }
}
