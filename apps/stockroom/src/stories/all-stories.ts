import { aDraftFolds } from './a-draft-folds.ts'
import { aLostValueReturns } from './a-lost-value-returns.ts'
import { aPersonDecides } from './a-person-decides.ts'
import { bothEditsStay } from './both-edits-stay.ts'
import { countsAdd } from './counts-add.ts'
import { deleteMeetsEdit } from './delete-meets-edit.ts'
import { killedInMidPush } from './killed-in-mid-push.ts'
import { oneOfManyRefused } from './one-of-many-refused.ts'
import { sameRequestTwice } from './same-request-twice.ts'
import { setsUnite } from './sets-unite.ts'
import type { Story } from './story.ts'
import { tokenExpires } from './token-expires.ts'

/** The tour, in its order. */
export const allStories: readonly Story[] = [
  countsAdd,
  bothEditsStay,
  aPersonDecides,
  setsUnite,
  deleteMeetsEdit,
  sameRequestTwice,
  killedInMidPush,
  oneOfManyRefused,
  aDraftFolds,
  tokenExpires,
  aLostValueReturns,
]
