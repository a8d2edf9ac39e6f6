import { interleavings } from './interleavings.ts'
import type { Lane } from './lane.ts'
import { nthFailure } from './nth-failure.ts'

/** Every systematic lane. */
export const lanes: readonly Lane[] = [nthFailure, interleavings]
