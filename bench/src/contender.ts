import type { Measurement } from './measurement.ts'

/** What a contender process is told, as JSON in its one argument. */
export interface Job {
  readonly side: Side
  readonly task: Task
  /** Rows the case works on or the fixture holds. */
  readonly rows: number
  /** Timed writes; records edited for `coalesce`. */
  readonly writes: number
  /** An empty folder of its own; fixture files have been copied into it under their names. */
  readonly folder: string
  /** Where its server listens; the same for all jobs of a run, because a device database is bound to its server. */
  readonly port: number
}

/** Who does the work: the library, or the least code that does the same job. */
export type Side = 'ours' | 'limit'

/** A timed case, or the making of the files that several cases start from. */
type Task = CaseName | 'fixture'

/** The cases, in the order in which they run. */
export const caseNames = [
  'write-single',
  'write-single-full',
  'write-bulk',
  'live-query',
  'cold-open',
  'push',
  'first-sync',
  'pull-one',
  'coalesce',
] as const

/** The name of a case. */
export type CaseName = (typeof caseNames)[number]

/** One side of all cases. */
export type Contender = Readonly<Record<Task, (job: Job) => Promise<Measurement>>>

/** Files of a fixture: a server with all rows, and two devices that have them. */
export const fixtureFiles = { server: 'server.db', writer: 'writer.db', reader: 'reader.db' } as const
