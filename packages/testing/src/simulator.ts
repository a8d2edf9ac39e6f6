export { check, type Checker, type Violation } from './check/checker.ts'
export { checkers, checkersFor } from './check/checkers.ts'
export { factsOf } from './check/facts-of.ts'
export type { Observation } from './check/observation.ts'
export type { SchemaFacts } from './check/schema-facts.ts'
export { generatePlan, type PlanOptions } from './gen/generate-plan.ts'
export type { FaultLevel } from './gen/user-plan.ts'
export type { LatencyFigures } from './report/latency.ts'
export type {
  DeadLetterFigures,
  DeleteFigures,
  FailedRun,
  FieldFigures,
  LostFigures,
  ReachedFigures,
  SimulationReport,
  TrafficFigures,
  UniqueFigures,
} from './report/report.ts'
export type { Plan } from './sim/plan.ts'
export type { FirstRow } from './sim/put-rows.ts'
export { runPlan, type RunOptions, type RunResult } from './sim/run-plan.ts'
export { simulate, type SimulateOptions, type SimulationProgress } from './simulate.ts'
