import type { LostAnswer, Mutation, Ranges } from '@holdfast/core'

/** A mutation that a lost history had taken. */
export type ReturnedMutation = Mutation & { readonly was: LostAnswer }

/** Whether a device returns it: it had been taken by a history that was lost. */
export function isReturned(mutation: Mutation): mutation is ReturnedMutation {
  return mutation.was !== undefined
}

/** Whether it was written on a history that was lost, and never answered. */
export function isStranded(stranded: Ranges = [], { seq }: Mutation): boolean {
  return stranded.some(([first, last]) => first <= seq && seq <= last)
}

/** Whether a record that is not there may be made by what another device returns. A delete that had no effect needs none now. */
export function isYetToCome(stranded: Ranges | undefined, mutation: Mutation): boolean {
  if (mutation.op === 'create') return false
  if (!isReturned(mutation)) return isStranded(stranded, mutation)
  return mutation.op === 'update' || mutation.was.version !== null
}

/** The judgement on what comes behind something that is offered again. */
export const behindPutOff: {
  readonly kind: 'retry'
  readonly code: 'DEPENDENCY_FAILED'
  readonly message: string
} = {
  kind: 'retry',
  code: 'DEPENDENCY_FAILED',
  message: 'it stands on a mutation that was put off',
}
