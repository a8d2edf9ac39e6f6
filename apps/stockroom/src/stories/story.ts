import type { Json } from '@holdfast/core'

import type { Stage } from '../stage.ts'

/** What came out of a story: plain values, so that they can be compared with what was expected. */
export type Facts = Readonly<Record<string, Json>>

/** One scene of the tour. */
export interface Story {
  readonly title: string
  /** What it shows, in one sentence; said when it came true. */
  readonly moral: string
  /** What must come out, to the letter. */
  readonly expected: Facts
  /** Plays it on real devices and a real server, tells it, and returns what came out. */
  play(stage: Stage): Promise<Facts>
}
