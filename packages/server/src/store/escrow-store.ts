/** Whether an edit in escrow waits for an operator, or how that ended. */
export type EscrowStatus = 'waiting' | 'accepted' | 'refused'

/** An edit that nobody judged when it came: its author may not see the record any more. */
export interface NewEscrow {
  /** What is decided together: of each user transaction its own, made by the server. */
  readonly unit: string
  /** In the order of its transaction, from 0. */
  readonly place: number
  /** The key of the mutation. */
  readonly id: string
  readonly user: string
  readonly device: string
  readonly collection: string
  readonly record: string
  /** The mutation as it was understood, its stamps clamped, as JSON text. */
  readonly mutation: string
  /** ISO time at which it was taken. */
  readonly at: string
}

/** What an operator decided. */
export interface EscrowRuling {
  readonly status: EscrowStatus
  readonly decidedBy: string | null
  /** ISO time. */
  readonly decidedAt: string | null
  readonly reason: string | null
  /** Of one that was accepted. */
  readonly verdict: 'applied' | 'merged' | 'conflict' | null
  readonly version: number | null
  /** The conflict it met. */
  readonly conflict: string | null
}

/** An edit in escrow. */
export interface StoredEscrow extends NewEscrow, EscrowRuling {
  /** Orders all of them as they came. */
  readonly n: number
}

/** Reads of edits in escrow. */
export interface EscrowReads {
  /** The members of a unit, in order; read to be written, nobody else decides about them meanwhile. */
  escrowUnit(unit: string): Promise<readonly StoredEscrow[]>
  /** Whole units of a status, or of all, whose first member comes after `after`, in the order in which they came. */
  escrowUnits(query: {
    readonly status: EscrowStatus | null
    readonly after: number
    readonly limit: number
  }): Promise<readonly StoredEscrow[]>
  /** What waits and came before `n`, of these records and from this device of a user, in the order in which it came. */
  escrowBefore(query: {
    readonly n: number
    readonly user: string
    readonly device: string
    readonly records: readonly string[]
  }): Promise<readonly StoredEscrow[]>
  /** Those about any of these records that are not refused, in the order in which they came. */
  escrowAbout(records: readonly string[]): Promise<readonly StoredEscrow[]>
  /** By key, those of one user. */
  escrowOf(user: string, ids: readonly string[]): Promise<readonly StoredEscrow[]>
}

/** Writes of edits in escrow. */
export interface EscrowWrites {
  saveEscrow(edits: readonly NewEscrow[]): Promise<void>
  /** Writes the ruling on each, by `n`. */
  ruleOnEscrow(edits: readonly StoredEscrow[]): Promise<void>
  /** Drops what was decided before then, but for the units that something waiting stands on. */
  forgetEscrow(decidedBefore: string): Promise<void>
}
