import type { Violation } from '../check/checker.ts'
import type { LatencyFigures } from './latency.ts'

/** What simulated runs of a schema came to. Plain JSON; nothing in it depends on the machine. Rules: SIM-72 to SIM-78. */
export interface SimulationReport {
  readonly seeds: { readonly first: number; readonly count: number }
  readonly devices: number
  readonly days: number
  /** Virtual ms of all runs together. */
  readonly virtualMs: number
  /** Mutations people asked for and were told to be durable. */
  readonly operations: number
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>
  /** Seeds that broke a promise; empty when all were kept. */
  readonly failures: readonly FailedRun[]
  /** What the simulator took for granted about scopes. */
  readonly assumptions: readonly string[]
  /** Collections that nobody could write to, such as two that must refer to each other: the figures say nothing of them. */
  readonly unwritten: readonly string[]
  /** The most contended first. */
  readonly fields: readonly FieldFigures[]
  readonly deletes: readonly DeleteFigures[]
  readonly unique: readonly UniqueFigures[]
  /** The most frequent first. */
  readonly lost: readonly LostFigures[]
  /** The most frequent first. */
  readonly deadLetters: readonly DeadLetterFigures[]
  readonly traffic: TrafficFigures
  readonly latency: {
    /** From a write until its device knows what the server said of it. */
    readonly verdict: ReachedFigures
    /** From a write until another device of somebody who may see the record has it. */
    readonly visible: ReachedFigures
  }
  readonly suggestions: readonly string[]
}

/** A seed that broke a promise, and the first promise it broke. */
export interface FailedRun {
  readonly seed: number
  readonly violation: Violation
  /** How many breaches there were in all. */
  readonly count: number
}

/** What became of the edits of a field. */
export interface FieldFigures {
  readonly collection: string
  readonly field: string
  /** Rule of the field or of its group. */
  readonly rule: string
  /** Times people changed it; what a new record begins with is not counted. */
  readonly edits: number
  /** Of these, how many met an edit of somebody else on the server that their author had not seen. */
  readonly met: number
  /** Of those that met, how many its rule decided, and how many a person was asked about. */
  readonly merged: number
  readonly asked: number
}

/** Deletes that met an edit, and edits that met a delete. */
export interface DeleteFigures {
  readonly collection: string
  readonly rule: 'ask' | 'delete' | 'edit'
  readonly deletes: number
  readonly merged: number
  readonly asked: number
}

/** Records that wanted the key of another one. */
export interface UniqueFigures {
  readonly collection: string
  /** Empty where it cannot be told which key of several it was. */
  readonly fields: readonly string[]
  readonly policy: 'reject' | 'rename' | 'ask'
  readonly count: number
}

/** Values that lost to another and are in the history. */
export interface LostFigures {
  readonly collection: string
  readonly field: string
  /** `person`: somebody turned it down when they settled a conflict. */
  readonly rule: string
  readonly count: number
}

/** Mutations that were refused and are in front of a person. */
export interface DeadLetterFigures {
  readonly code: string
  /** From the error table. */
  readonly meaning: string
  readonly count: number
  readonly collections: readonly string[]
}

/** From the first day of work on, without the first sync. Bytes are those of bodies, without compression and headers. */
export interface TrafficFigures {
  /** Edits the figures are for: everything that was written on a device. */
  readonly edits: number
  /** That the server answered. */
  readonly requests: number
  readonly bytesUp: number
  readonly bytesDown: number
}

/** Over all edits, and over those for which every device in question could be reached all the time. */
export interface ReachedFigures {
  readonly online: LatencyFigures
  readonly overall: LatencyFigures
}
