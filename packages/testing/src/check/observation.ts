import type { FormStep } from './form-step.ts'
import type { DumpedConflict, DumpedRow, ServerDump } from './server-dump.ts'
import type {
  EscrowRuled,
  ServerAudit,
  ServerMigrated,
  ServerOutcome,
  ServerRestored,
} from './server-steps.ts'
import type { Payload, Values } from './values.ts'

export type { FormStep } from './form-step.ts'
export type { DumpedConflict, DumpedEscrow, DumpedPart, DumpedRow, ServerDump } from './server-dump.ts'
export type * from './server-steps.ts'
export type { Json, Payload, Values } from './values.ts'

/** What the server's clock says when a run begins, ms since 1970. It is always right. */
export const runStartMs: number = Date.UTC(2026, 10, 20, 10)

/**
 * What can be seen of a run from outside the code under test, in the order in which it happened. The simulator makes
 * observations by looking into the databases and at the wire, never by asking the code under test; hand-made histories
 * are lists of them. Times are virtual milliseconds since the run began.
 */
export type Observation =
  | EntryWritten
  | EntryMoved
  | EntryPayload
  | EntryStatus
  | EntryGone
  | LossNoted
  | DeviceIdentity
  | DeviceCursor
  | ScopesLeft
  | DeviceLost
  | DeviceCopied
  | ServerOutcome
  | ServerAudit
  | EscrowRuled
  | ServerRestored
  | ServerMigrated
  | CallMade
  | CallEnded
  | OwnRead
  | FormStep
  | GroupRead
  | ListRead
  | StatusRead
  | VerdictTold
  | Discarded
  | GrantsChanged
  | ResponseSent
  | RequestSent
  | AnswerGiven
  | Measured
  | Healed
  | RunEnded

interface OnDisk {
  readonly atMs: number
  /** The device's storage: `d1`; a clone of it is a disk of its own. */
  readonly disk: string
}

/** A mutation was committed on a device. */
export interface EntryWritten extends OnDisk {
  readonly kind: 'entry-written'
  /** UUID under which the disk speaks now. */
  readonly device: string
  readonly seq: number
  readonly id: string
  readonly collection: string
  readonly record: string
  readonly op: 'create' | 'update' | 'delete'
  readonly payload: Payload
  readonly baseVersion: number
  readonly at: string
  readonly group: string | null
  readonly resolves: string | null
}

/** A mutation took another number, and perhaps another key: it was refused, and is offered anew. */
export interface EntryMoved extends OnDisk {
  readonly kind: 'entry-moved'
  readonly device: string
  readonly from: { readonly seq: number; readonly id: string }
  readonly to: { readonly seq: number; readonly id: string }
}

/** What a mutation that is in the outbox already says was changed: a repaired dead letter, a base handed on. */
export interface EntryPayload extends OnDisk {
  readonly kind: 'entry-payload'
  readonly device: string
  readonly seq: number
  readonly id: string
  readonly payload: Payload
}

/** The status of an entry in the outbox changed. */
export interface EntryStatus extends OnDisk {
  readonly kind: 'entry-status'
  readonly device: string
  readonly seq: number
  readonly id: string
  readonly status: 'pending' | 'sending' | 'answered' | 'held' | 'conflicted' | 'dead'
  readonly verdict: string | null
  /** Seq of the lead of the offer it is part of; null when it was never offered. */
  readonly offer: number | null
  readonly attempts: number
  /** Code of why it is dead. */
  readonly code: string | null
}

/** A mutation left the outbox. */
export interface EntryGone extends OnDisk {
  readonly kind: 'entry-gone'
  readonly device: string
  readonly seq: number
  readonly id: string
}

/** A note says of settled work that a restored server has lost it, and that nobody can return it from here. */
export interface LossNoted extends OnDisk {
  readonly kind: 'loss-noted'
  readonly id: string
  readonly record: string
}

/** The disk speaks under this UUID from now on. */
export interface DeviceIdentity extends OnDisk {
  readonly kind: 'identity'
  readonly device: string
  readonly user: string
}

/** The cursor of a disk moved. `epoch` null: it was given up, for a reset. */
export interface DeviceCursor extends OnDisk {
  readonly kind: 'cursor'
  readonly epoch: string | null
  readonly position: number
  /** The scopes of which all up to there was read; left out where it is of everything, and in the middle of a snapshot. */
  readonly scopes?: readonly string[]
}

/**
 * A cursor was committed that no longer covers scopes which the one before did, and the tables were searched for their rows.
 * Once the file was rewritten for that, and in the end where it never was, its bytes are.
 */
export interface ScopesLeft extends OnDisk {
  readonly kind: 'scopes-left'
  /** Those it no longer covers. */
  readonly scopes: readonly string[]
  /** What the file still holds of rows that lie in none of the others, such as `row jobs/5e2f…`. */
  readonly kept: readonly string[]
  /** Ids that stand in the bytes of the file and in no row of it. */
  readonly ghosts: readonly string[]
}

/**
 * What a disk held is gone by a fault that was injected: entries that were committed and are no longer there. The disk
 * is now as it was earlier.
 */
export interface DeviceLost extends OnDisk {
  readonly kind: 'device-lost'
  /** `power-cut`: commits that were not synced. `backup`: an older image was put back. `wipe`: emptied. */
  readonly cause: 'power-cut' | 'backup' | 'wipe'
  /** Whether every commit was promised to survive power loss. */
  readonly durability: 'full' | 'fast'
  readonly entries: readonly { readonly seq: number; readonly id: string }[]
  /**
   * Entries that are there again although they had left: only after `backup` and `power-cut`. Where they are not as fresh
   * as when they were written, their status follows.
   */
  readonly back: readonly EntryWritten[]
}

/** A disk was copied, bytes and identity, to another one. */
export interface DeviceCopied extends OnDisk {
  readonly kind: 'device-copied'
  readonly to: string
  /** What the copy's outbox holds. Where entries are not as fresh as when they were written, their status follows. */
  readonly entries: readonly EntryWritten[]
}

/** The app called something that writes. */
export interface CallMade extends OnDisk {
  readonly kind: 'call'
  readonly call: number
  readonly what: string
}

/** The call was over: `done` promises that it is durable, `refused` that nothing of it is. */
export interface CallEnded extends OnDisk {
  readonly kind: 'call-ended'
  readonly call: number
  readonly result: 'done' | 'refused'
  readonly code: string | null
  /** Mutations it says it wrote, as far as it says so. */
  readonly mutations: readonly string[]
}

/** What the app reads of a record right after it wrote to it, in the same breath. */
export interface OwnRead extends OnDisk {
  readonly kind: 'own-read'
  readonly collection: string
  readonly record: string
  /** What was written; null: deleted. */
  readonly wrote: Values | null
  /** What is read; null: not there. */
  readonly read: Values | null
}

/** Records of one transaction that carry its mark, read together. Every mark must be on all of them or on none. */
export interface GroupRead extends OnDisk {
  readonly kind: 'group-read'
  /** Where it was read: on a device or from the server. */
  readonly where: 'device' | 'server'
  /** Marks by record, of records that are only ever written together. */
  readonly marks: { readonly [record: string]: string | null }
}

/** What a list that an app keeps open shows of a device at rest, and what the device holds then. */
export interface ListRead extends OnDisk {
  readonly kind: 'list-read'
  readonly list: string
  /** null: it has shown nothing yet, not even that there is nothing. */
  readonly shown: readonly Values[] | null
  readonly held: readonly Values[]
}

/** What the status said and what the outbox held at the same moment. */
export interface StatusRead extends OnDisk {
  readonly kind: 'status-read'
  readonly said: StatusFacts
  readonly truth: StatusFacts
  /** It says that nothing is left to send or to fetch. */
  readonly isIdle: boolean
}

/** Numbers a status shows. */
export interface StatusFacts {
  readonly pending: number
  readonly dead: number
  readonly conflicts: number
}

/** A device told the app what the server said of a mutation. */
export interface VerdictTold extends OnDisk {
  readonly kind: 'verdict'
  readonly mutation: string
  readonly status: string
}

/** A person gave up on mutations. */
export interface Discarded extends OnDisk {
  readonly kind: 'discarded'
  readonly mutations: readonly string[]
}

/** From now on the user may see these scopes. */
export interface GrantsChanged {
  readonly kind: 'grants'
  readonly atMs: number
  readonly user: string
  readonly scopes: readonly string[]
}

/** The server sent bytes to a user. */
export interface ResponseSent {
  readonly kind: 'response'
  readonly atMs: number
  readonly user: string
  readonly route: string
  readonly status: number
  /** Marks of tenants found in the bytes: values carry the name of their scope. */
  readonly scopesSeen: readonly string[]
  /** Scopes whose rows it holds, as far as it says so. */
  readonly scopesServed?: readonly string[]
  /** Of the body. */
  readonly bytes?: number
}

/** A device sent a request. */
export interface RequestSent extends OnDisk {
  readonly kind: 'request'
  readonly route: string
  /** Of the body; 0 when there was no network to send it by. */
  readonly bytes?: number
}

/** A device was given an answer to a request, or the head of one, whoever it is from. */
export interface AnswerGiven extends OnDisk {
  readonly kind: 'answer'
  readonly route: string
}

/** Something that has a limit was measured. */
export interface Measured {
  readonly kind: 'measured'
  readonly atMs: number
  readonly what: string
  readonly value: number
  readonly limit: number
}

/** Faults are over, writes have stopped, clocks are right: everything must settle. */
export interface Healed {
  readonly kind: 'healed'
  readonly atMs: number
  /** In this time; a minute unless said. */
  readonly withinMs?: number
}

/** The run is over. */
export interface RunEnded {
  readonly kind: 'end'
  readonly atMs: number
  /** When nothing was left to do after healing; null when that never came. */
  readonly quietAtMs: number | null
  /** What was still going on when it never came. */
  readonly unrest: readonly string[]
  readonly server: ServerDump
  readonly devices: readonly DeviceDump[]
}

/** What a device holds. */
export interface DeviceDump {
  readonly disk: string
  readonly device: string
  readonly user: string
  /** What its user may see now. */
  readonly grants: readonly string[]
  readonly collections: { readonly [name: string]: readonly DumpedRow[] }
  readonly conflicts: readonly DumpedConflict[]
  readonly outbox: readonly (EntryWritten & {
    readonly status: EntryStatus['status']
    readonly code: string | null
  })[]
  /** Keys of what it keeps of its settled work, to be returned to a server that is put back. */
  readonly retained: readonly string[]
  readonly shadowCount: number
  readonly stagedCount: number
  readonly quarantineCount: number
  /** Marks of scopes found anywhere in the file. */
  readonly scopesSeen: readonly string[]
  readonly damage: readonly string[]
}
