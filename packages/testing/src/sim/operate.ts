import { SyncError } from '@holdfast/core'
import type { Caller, EscrowDecision, HoldfastServer } from '@holdfast/server'

import type { SeededRandom } from '../seeded-random.ts'
import { operatorId } from './sim-server.ts'
import type { World } from './world.ts'

type Engine = HoldfastServer['engine']

/** Edits that are looked at in one go. */
const looked = 50

/**
 * An operator decides about escrow, mostly in favour; in the end about everything, and about the disputes that this began.
 * What cannot take effect is left for later, or refused in the end. Rules: SIM-95.
 */
export async function operate(world: World, random: SeededRandom, isEnd: boolean): Promise<void> {
  const { engine, life } = world.server
  if (!engine) return
  try {
    const caller = callerOf(engine)
    if (isEnd) await settleDisputes(engine, caller, random)
    const { edits } = await engine.escrow(caller, { status: 'waiting', limit: looked })
    for (const { id } of edits) {
      if (!isEnd && random.below(3) === 0) continue
      const decision: EscrowDecision =
        random.below(4) === 0 ? { kind: 'refuse', reason: 'not now' } : { kind: 'accept' }
      // Two who look at the same list may both decide.
      const again = random.below(8) === 0 ? engine.decideEscrow(caller, id, { kind: 'accept' }) : undefined
      const [{ error }] = await Promise.all([engine.decideEscrow(caller, id, decision), again])
      if (!error || error.code === 'ESCROW_CLOSED') world.faults.add(`escrow-${decision.kind}`)
      else if (isEnd && error.code !== 'CONFLICT') {
        // A dispute that comes first is settled as well, and the edit comes up again.
        await engine.decideEscrow(caller, id, { kind: 'refuse', reason: error.code })
        world.faults.add('escrow-refuse')
      }
    }
  } catch (error) {
    // A server that dies or has no room is part of life.
    if (life.isAlive && !(error instanceof SyncError)) throw error
  }
}

function callerOf({ schemaVersion }: Engine): Caller {
  return { user: { id: operatorId }, device: null, grants: '*', schemaVersion, requestId: 'operator' }
}

/** Those that nobody else may see are the operator's own. What cannot be decided so, for a key is taken meanwhile, is given up. */
async function settleDisputes(engine: Engine, caller: Caller, random: SeededRandom): Promise<void> {
  const { text } = await engine.list(caller, '_conflicts', {
    filters: { status: 'open', author: operatorId },
    limit: looked,
  })
  // Rows of the system collection.
  for (const { id } of JSON.parse(text) as readonly { readonly id: string }[]) {
    const kind = random.below(2) === 0 ? 'mine' : 'theirs'
    const { results } = await engine.resolve(caller, id, { kind })
    if (results.some(({ status }) => status === 'rejected'))
      await engine.resolve(caller, id, { kind: 'discard' })
  }
}
