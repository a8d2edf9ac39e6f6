import type { Summary } from './run-seeds.ts'

/** What a run was asked for; 0: it did not matter. */
export interface Asked {
  readonly operations: number
  readonly seeds: number
  /** It was meant to end at the first failure, and did. */
  readonly isStoppedEarly: boolean
}

/** Faults that every run of many seeds must have met: one that never strikes proves nothing. */
export const faultsToMeet = [
  'lose-request',
  'lose-answer',
  'duplicate',
  'replay',
  'cut',
  'impostor',
  'expire',
  'delay',
  'offline-window',
  'one-way',
  'clog',
  'crash',
  'power-cut',
  'suspend',
  'close',
  'clock-jump',
  'app-update',
  'server-update',
  'device-full',
  'server-full',
  'server-kill',
  'server-restore',
  'collect',
  'foreign',
  'clone',
  'spy',
  'put-back',
  'revoke',
  'slow',
] as const

/** Seeds after which every fault must have struck at least once. */
const seedsForEveryFault = 300

/** Why a summary is worth less than it seems: fewer operations than asked, seeds left out, faults that never struck. Rules: SIM-7. */
export function budgetProblems(summary: Summary, asked: Asked): readonly string[] {
  if (asked.isStoppedEarly) return []
  const problems: string[] = []
  if (summary.operations < asked.operations)
    problems.push(`only ${summary.operations} of ${asked.operations} operations ran`)
  if (summary.seeds < asked.seeds) problems.push(`only ${summary.seeds} of ${asked.seeds} seeds ran`)
  if (summary.seeds > 0 && summary.operations / summary.seeds < 20)
    problems.push(`seeds hold only ${Math.round(summary.operations / summary.seeds)} operations each`)
  if (summary.seeds < seedsForEveryFault) return problems
  const missing = faultsToMeet.filter((fault) => !summary.faults[fault])
  if (missing.length > 0) problems.push(`these faults never struck: ${missing.join(', ')}`)
  return problems
}
