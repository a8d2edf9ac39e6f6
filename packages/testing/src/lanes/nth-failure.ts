import { type FaultKind, faultKinds } from './faults.ts'
import type { Extent, Found, Lane, Observe } from './lane.ts'
import { runScenario, type Scenario } from './run-scenario.ts'
import { scenarios } from './scenarios.ts'

/** No scenario has so many chances for a fault; one that never ends is a mistake. */
const chanceMax = 5_000

/** Where the sample of a case begins to look for a chance that is there. */
const sampleFrom = 96

/**
 * Each scenario with each fault at its first chance, its second, and so on until a run passes that it never struck: not
 * a sample but all there are. Source: SQLite's own tests, which fail the nth allocation for every n. Rules: SIM-40.
 */
export const nthFailure: Lane = {
  name: 'nth-failure',
  cases: scenarios.flatMap((scenario) =>
    faultKinds.map((kind) => ({
      name: `${scenario.name}: ${kind.name}`,
      group: scenario.name,
      // One that struck, and the one that passed.
      leastRuns: 2,
      runs: (extent: Extent) => (extent === 'all' ? everyChance(scenario, kind) : oneChance(scenario, kind)),
      replay: async (run: string, observe: Observe) =>
        (await runScenario(scenario, { kind, n: Number(run) }, observe)).violations,
    })),
  ),
}

async function* everyChance(scenario: Scenario, kind: FaultKind): AsyncGenerator<Found, void, void> {
  for (let n = 1; n <= chanceMax; n++) {
    const { found, hasStruck } = await blow(scenario, kind, n)
    yield found
    if (!hasStruck) return
  }
  throw new Error(`${scenario.name}: ${kind.name} had more than ${chanceMax} chances`)
}

/** A chance drawn from the names, so that it is another one in each case and the same in each run. */
async function* oneChance(scenario: Scenario, kind: FaultKind): AsyncGenerator<Found, void, void> {
  let n = 1 + (hashOf(`${scenario.name} ${kind.name}`) % sampleFrom)
  for (; n >= 1; n = Math.floor(n / 2)) {
    const { found, hasStruck } = await blow(scenario, kind, n)
    yield found
    if (hasStruck) return
  }
}

/** One run of a case. */
export async function blow(
  scenario: Scenario,
  kind: FaultKind,
  n: number,
): Promise<{ readonly found: Found; readonly hasStruck: boolean }> {
  const { violations, hasStruck } = await runScenario(scenario, { kind, n })
  const [violation] = violations
  return { found: violation ? { run: String(n), violation } : null, hasStruck }
}

/** Source: FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}
