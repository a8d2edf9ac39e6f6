import { type FaultKind, faultKinds } from './faults.ts'
import type { CaseFailure, Extent, Lane, Observe, Ran } from './lane.ts'
import { runScenario, runUntouched, type Scenario, type Untouched } from './run-scenario.ts'
import { scenarios } from './scenarios.ts'

/** No scenario has so many chances for a fault; one that never ends is a mistake. */
const chanceMax = 5_000

/**
 * Each scenario with each fault at its first chance, its second, and so on to the last that a run without it has: not a
 * sample but all there are. Source: SQLite's own tests, which fail the nth allocation for every n. Rules: SIM-40.
 */
export const nthFailure: Lane = {
  name: 'nth-failure',
  unit: 'faults',
  cases: scenarios.flatMap((scenario) =>
    faultKinds.map((kind) => ({
      name: `${scenario.name}: ${kind.name}`,
      group: scenario.name,
      least: 1,
      runs: (extent: Extent) => everyChance(scenario, kind, extent),
      replay: async (run: string, observe: Observe) =>
        (await runScenario(scenario, { kind, n: Number(run) }, observe)).violations,
    })),
  ),
}

/** Until a fault strikes all runs are the same: it has as many chances as in the run that it never strikes. */
async function* everyChance(
  scenario: Scenario,
  kind: FaultKind,
  extent: Extent,
): AsyncGenerator<Ran, void, void> {
  const { violations, chances } = await untouched(scenario, kind)
  const count = chances[likes(kind).indexOf(kind)] ?? 0
  if (count > chanceMax) throw new Error(`${scenario.name}: ${kind.name} has more than ${chanceMax} chances`)
  const [violation] = violations
  yield { worth: 0, failure: violation ? { run: '0', violation } : null }
  // A chance drawn from the names, so that it is another one in each case and the same in each pass.
  const some =
    extent === 'all' ? { first: 1, last: count } : one(1 + (hashOf(scenario.name + kind.name) % count))
  for (let n = some.first; n <= some.last; n++) {
    const { failure, hasStruck } = await blow(scenario, kind, n)
    if (!hasStruck)
      throw new Error(`${scenario.name}: ${kind.name} had ${count} chances, and then no ${n}th any more`)
    yield { worth: 1, failure }
  }
}

function one(n: number): { readonly first: number; readonly last: number } {
  return { first: n, last: n }
}

/** One run of a case. */
export async function blow(
  scenario: Scenario,
  kind: FaultKind,
  n: number,
): Promise<{ readonly failure: CaseFailure | null; readonly hasStruck: boolean }> {
  const { violations, hasStruck } = await runScenario(scenario, { kind, n })
  const [violation] = violations
  return { failure: violation ? { run: String(n), violation } : null, hasStruck }
}

const known = new Map<string, Promise<Untouched>>()

/** Made once for all kinds with the same durability, since nothing else tells such runs apart. */
function untouched(scenario: Scenario, kind: FaultKind): Promise<Untouched> {
  const key = `${scenario.name} ${kind.durability}`
  let run = known.get(key)
  if (!run) known.set(key, (run = runUntouched(scenario, likes(kind))))
  return run
}

function likes({ durability }: FaultKind): readonly FaultKind[] {
  return faultKinds.filter((each) => each.durability === durability)
}

/** Source: FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}
