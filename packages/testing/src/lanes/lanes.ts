import { interleavings } from './interleavings.ts'
import type { Lane } from './lane.ts'
import { nthFailure } from './nth-failure.ts'
import { sequences } from './sequences.ts'

/** Every systematic lane. */
export const lanes: readonly Lane[] = [nthFailure, interleavings, sequences]
