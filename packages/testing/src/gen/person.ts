import { assertNever } from '@holdfast/core'

import type { Action } from '../sim/plan.ts'
import { type Choices, look, repair, restoreValue, settle, settleAll, sync } from './care-actions.ts'
import { openForm, openLetter, saveForm } from './forms.ts'
import { group, importRows, pair, swapCodes } from './transaction-actions.ts'
import { isExpected, type Person, takeTurn, type Turn } from './turn.ts'
import { adopt, claimCode, count, insert, move, recreate, remove, tag, update } from './write-actions.ts'

export type { Person } from './turn.ts'

const userKinds = [
  'insert',
  'import',
  'update',
  'adopt',
  'count',
  'tag',
  'delete',
  'recreate',
  'move',
  'group',
  'pair',
  'claim-code',
  'swap-codes',
  'settle',
  'repair',
  'restore-value',
  'open-form',
  'open-letter',
  'save-form',
  'look',
  'sync',
] as const

/** What people do. */
export type UserAction = Extract<Action, { readonly kind: (typeof userKinds)[number] }>

/** Those of them that a story draws by itself; the others come with one of these. */
export type DrawnAction = Exclude<UserAction, { readonly form: number }>

/** Whether an action is one of people; the others happen to devices and to the server. */
export function isUserAction(action: Action): action is UserAction {
  return userKinds.some((kind) => kind === action.kind)
}

/**
 * Performs an action of a person through the public API of their device, and tells what can be seen of it. Resolves with
 * the number of mutations that were written; what is not there when it comes is skipped. Refusals that are part of life
 * are none of its failures: it rejects for defects alone. When the app dies meanwhile it never resolves, and nothing
 * waits for it. Rules: SIM-23, SIM-24.
 */
export async function perform(person: Person, action: Action, draw: number): Promise<number> {
  if (!isUserAction(action)) return 0
  try {
    return await act(takeTurn(person, draw), action)
  } catch (error) {
    // A look before the write may be refused like the write itself.
    if (isExpected(error)) return 0
    throw error
  }
}

/** Decides on everything in front of somebody that is not claimed by somebody else. */
export async function decideAll(person: Person, choices: Choices, draw: number): Promise<void> {
  try {
    await settleAll(takeTurn(person, draw), choices)
  } catch (error) {
    if (!isExpected(error)) throw error
  }
}

function act(turn: Turn, action: UserAction): Promise<number> {
  switch (action.kind) {
    case 'insert':
      return insert(turn, action.collection)
    case 'import':
      return importRows(turn, action)
    case 'update':
      return update(turn, action.collection, action)
    case 'adopt':
      return adopt(turn, action.collection)
    case 'count':
      return count(turn, action.collection, action.hot)
    case 'tag':
      return tag(turn, action.collection)
    case 'delete':
      return remove(turn, action.collection)
    case 'recreate':
      return recreate(turn, action.collection)
    case 'move':
      return move(turn, action.collection)
    case 'group':
      return group(turn, action.size)
    case 'pair':
      return pair(turn)
    case 'claim-code':
      return claimCode(turn)
    case 'swap-codes':
      return swapCodes(turn)
    case 'settle':
      return settle(turn, action.how)
    case 'repair':
      return repair(turn, action.how)
    case 'restore-value':
      return restoreValue(turn)
    case 'open-form':
      return openForm(turn, action)
    case 'open-letter':
      return openLetter(turn, action)
    case 'save-form':
      return saveForm(turn, { number: action.form, fields: action.fields })
    case 'look':
      return look(turn)
    case 'sync':
      return sync(turn)
    default:
      return assertNever(action)
  }
}
