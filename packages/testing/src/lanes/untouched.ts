import type { CaseFailure, Lane, Observe, Ran } from './lane.ts'
import { runScenario, type Scenario } from './run-scenario.ts'
import { networkScenarios } from './scenarios/network-scenarios.ts'
import { plainScenarios } from './scenarios/plain-scenarios.ts'
import { readingScenarios } from './scenarios/reading-scenarios.ts'
import { scenarios } from './scenarios.ts'

/** Each scenario once without any fault that its story does not tell of. Rules: SIM-47. */
export const untouched: Lane = {
  name: 'untouched',
  unit: 'scenarios',
  isQuick: true,
  cases: [...scenarios, ...plainScenarios, ...networkScenarios, ...readingScenarios].map((scenario) => ({
    name: `${scenario.name}: untouched`,
    group: scenario.name,
    least: 1,
    runs: () => once(scenario),
    replay: async (_run: string, observe: Observe) =>
      (await runScenario(scenario, undefined, observe)).violations,
  })),
}

async function* once(scenario: Scenario): AsyncGenerator<Ran, void, void> {
  const [violation] = (await runScenario(scenario)).violations
  const failure: CaseFailure | null = violation ? { run: '0', violation } : null
  yield { worth: 1, failure }
}
