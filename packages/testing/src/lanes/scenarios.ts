import type { Scenario } from './run-scenario.ts'
import { copyScenarios } from './scenarios/copy-scenarios.ts'
import { mergeScenarios } from './scenarios/merge-scenarios.ts'
import { troubleScenarios } from './scenarios/trouble-scenarios.ts'
import { updateScenarios } from './scenarios/update-scenarios.ts'
import { writeScenarios } from './scenarios/write-scenarios.ts'

/** Every golden scenario. */
export const scenarios: readonly Scenario[] = [
  ...writeScenarios,
  ...mergeScenarios,
  ...troubleScenarios,
  ...updateScenarios,
  ...copyScenarios,
]
