import type { Schema } from '@holdfast/core'

import { SeededRandom } from '../seeded-random.ts'
import type { Plan } from '../sim/plan.ts'
import type { FirstRow } from '../sim/put-rows.ts'
import type { AssumedScopes } from './assumed-scopes.ts'
import { markOf } from './mix-schema.ts'
import { randomInsert } from './values.ts'

/** When runs begin. */
const startMs = Date.UTC(2026, 10, 20, 10)

/**
 * Rows for the records that scopes are named after: they must be there before anybody can refer to them. People leave
 * them as they are. Rules: SIM-70.
 */
export function namedRows(schema: Schema, plan: Plan, assumed: AssumedScopes): readonly FirstRow[] {
  const random = new SeededRandom(plan.seed)
  const records = assumed.namedRecords(plan.devices)
  let nonces = 0
  return records.flatMap(({ collection: name, id, tenant, user }): readonly FirstRow[] => {
    const collection = schema.collections.get(name)
    const values =
      collection &&
      randomInsert(collection, {
        random,
        mark: markOf(tenant),
        nonce: () => `r${(nonces += 1)}`,
        nowMs: () => startMs,
        scopes: assumed.scopesOf(tenant, user),
        pick: (wanted) => records.find((each) => each.collection === wanted && each.tenant === tenant)?.id,
      })
    return values === undefined ? [] : [{ collection: name, id, values }]
  })
}
