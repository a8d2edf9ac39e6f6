import { interleavings } from './interleavings.ts'
import type { Lane } from './lane.ts'
import { nthFailure } from './nth-failure.ts'
import { sequencesUpTo } from './sequences.ts'
import { untouched } from './untouched.ts'

/** Every systematic lane. */
export function lanesUpTo(longestSequence: number): readonly Lane[] {
  return [untouched, nthFailure, interleavings, sequencesUpTo(longestSequence)]
}
