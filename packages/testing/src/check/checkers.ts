import { auditCompleteness } from './audit-completeness.ts'
import { bothSides } from './both-sides.ts'
import { bounds } from './bounds.ts'
import type { Checker } from './checker.ts'
import { convergence } from './convergence.ts'
import { countedAttempts } from './counted-attempts.ts'
import { counters } from './counters.ts'
import { decisions } from './decisions.ts'
import { dueQuestion } from './due-question.ts'
import { durability } from './durability.ts'
import { effect } from './effect.ts'
import { escrowReason } from './escrow-reason.ts'
import { exactlyOnce } from './exactly-once.ts'
import { groupAtomicity } from './group-atomicity.ts'
import { latestStands } from './latest-stands.ts'
import { liveLists } from './live-lists.ts'
import { liveness } from './liveness.ts'
import { monotone } from './monotone.ts'
import { needlessLoss } from './needless-loss.ts'
import { noLostMutation } from './no-lost-mutation.ts'
import { noResurrection } from './no-resurrection.ts'
import { oneDispute } from './one-dispute.ts'
import { readYourWrites } from './read-your-writes.ts'
import { referencesAndUnique } from './references-and-unique.ts'
import { revocation } from './revocation.ts'
import { returnedWork } from './returned-work.ts'
import type { SchemaFacts } from './schema-facts.ts'
import { scopeIsolation } from './scope-isolation.ts'
import { setMembers } from './set-members.ts'
import { settledByPull } from './settled-by-pull.ts'
import { statusHonesty } from './status-honesty.ts'
import { writeRights } from './write-rights.ts'

/** Every promise that can be checked without knowing the schema. */
export const checkers: readonly Checker[] = [
  noLostMutation,
  exactlyOnce,
  counters,
  auditCompleteness,
  effect,
  latestStands,
  convergence,
  liveness,
  scopeIsolation,
  revocation,
  monotone,
  groupAtomicity,
  readYourWrites,
  durability,
  statusHonesty,
  noResurrection,
  setMembers,
  settledByPull,
  returnedWork,
  oneDispute,
  bothSides,
  bounds,
  countedAttempts,
  liveLists,
]

/** Every promise, for a schema whose facts `factsOf` gives. */
export function checkersFor(facts: SchemaFacts): readonly Checker[] {
  return [
    ...checkers,
    referencesAndUnique(facts),
    writeRights(facts),
    decisions(facts),
    needlessLoss(facts),
    escrowReason(facts),
    dueQuestion(facts),
  ]
}
