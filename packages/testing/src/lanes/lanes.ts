import { interleavings } from './interleavings.ts'
import type { Lane } from './lane.ts'
import { nthFailure } from './nth-failure.ts'
import { sequencesUpTo } from './sequences.ts'

/** Every systematic lane. */
export function lanesUpTo(longestSequence: number): readonly Lane[] {
  return [nthFailure, interleavings, sequencesUpTo(longestSequence)]
}
