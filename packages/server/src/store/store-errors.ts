import { SyncError } from '@holdfast/core'

/** Another transaction holds a row that this one needs. Others may do without it; the whole transaction is to be given up. */
export class BlockedError extends SyncError {
  constructor(cause: unknown) {
    super('STORE_BUSY', 'another transaction holds a row for long', { cause })
    this.name = 'BlockedError'
  }
}

/** A constraint or trigger of the host's own database refused a row. The whole transaction is to be given up. */
export class ConstraintError extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause })
    this.name = 'ConstraintError'
  }
}
