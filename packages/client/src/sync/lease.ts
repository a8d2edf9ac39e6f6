import { type CancelTimer, type Environment, newUuid, SyncError } from '@holdfast/core'
import type { ProcessTable } from '../drivers/sqlite-driver.ts'
import type { LocalDatabase, LocalTransaction } from '../local/local-database.ts'
import { requireNewest } from '../local/meta.ts'

/** What a lease is made from. */
export interface LeaseOptions {
  readonly env: Pick<Environment, 'now' | 'randomBytes' | 'setTimer'>
  readonly database: LocalDatabase
  /** How long the lease is good without being renewed, ms. */
  readonly leaseMs: number
  /** Of the app: once a newer one has opened the database, its rows are not this one's to fetch. */
  readonly schemaVersion: number
  /** To notice that a holder has died without waiting for it. */
  readonly processes: ProcessTable | undefined
}

/** A power cut ends every holder of a lease: it need not survive one. */
const brief = { durable: false }

/**
 * The right to run the engine on one database, held for the length of a cycle: one process at a time. The fence number
 * grows with every change of hands and is checked in every transaction of the engine, so that a holder who overslept
 * cannot write. A holder that is known to have died is not waited for, any other no longer than the lease. Rules: SY-7.
 */
export class Lease {
  readonly #options: LeaseOptions
  #madeOwner: string | undefined
  #fence: number | undefined
  #cancelRenewal: CancelTimer = () => undefined

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  /** Made when it is first needed: the first random bytes of a process take milliseconds, and opening must not wait. */
  get #owner(): string {
    const { env, processes } = this.#options
    this.#madeOwner ??= `${newUuid(env)}@${processes?.self ?? ''}`
    return this.#madeOwner
  }

  /**
   * Takes or keeps the lease and returns its fence. Errors: LEASE_LOST when another process has it; STORE_NEWER when a newer
   * app has opened the database, which would miss what this one does not keep.
   */
  async acquire(): Promise<number> {
    this.#fence = await this.#options.database.write((tx) => this.#take(tx), brief)
    this.#planRenewal()
    return this.#fence
  }

  /** Whether it was taken and not given back; another process may have it by now all the same. */
  get isHeld(): boolean {
    return this.#fence !== undefined
  }

  /** Lets the next one in. Harmless when it is not held any more. */
  async release(): Promise<void> {
    const fence = this.#fence
    this.forget()
    if (fence !== undefined) await this.#options.database.write((tx) => this.#giveBack(tx, fence), brief)
  }

  /** Lets the next one in once `tx` is committed: call `forget` then. */
  async releaseWith(tx: LocalTransaction): Promise<void> {
    if (this.#fence !== undefined) await this.#giveBack(tx, this.#fence)
  }

  /** It was given back by a transaction. */
  forget(): void {
    this.#cancelRenewal()
    this.#fence = undefined
  }

  async #giveBack(tx: LocalTransaction, fence: number): Promise<void> {
    await tx.run('UPDATE _lease SET expires_at = 0 WHERE owner = ? AND fence = ?', [this.#owner, fence])
  }

  async #take(tx: LocalTransaction): Promise<number> {
    const nowMs = this.#options.env.now()
    const { leaseMs, schemaVersion } = this.#options
    await requireNewest(tx, schemaVersion)
    const [lease] = await tx.all('SELECT owner, fence, expires_at FROM _lease')
    const expiresAt = Number(lease?.['expires_at'] ?? 0)
    const isMine = lease?.['owner'] === this.#owner
    // A lease that ends later than any could be given now was given by a clock that has since been put back.
    const isCurrent = expiresAt > nowMs && expiresAt <= nowMs + leaseMs
    const isTaken = !isMine && isCurrent && !this.#isOrphaned(String(lease?.['owner']))
    if (isTaken) throw new SyncError('LEASE_LOST', 'another process syncs this database')
    const fence = Number(lease?.['fence'] ?? 0) + (isMine ? 0 : 1)
    const taken = [this.#owner, fence, nowMs + leaseMs]
    if (lease) await tx.run('UPDATE _lease SET owner = ?, fence = ?, expires_at = ?', taken)
    else await tx.run('INSERT INTO _lease (owner, fence, expires_at) VALUES (?, ?, ?)', taken)
    return fence
  }

  #isOrphaned(owner: string): boolean {
    const process = owner.slice(owner.indexOf('@') + 1)
    return process !== '' && this.#options.processes?.isGone(process) === true
  }

  #planRenewal(): void {
    const { env, database, leaseMs } = this.#options
    this.#cancelRenewal()
    this.#cancelRenewal = env.setTimer(() => {
      if (this.#fence === undefined) return
      const renewed = database.write(
        (tx) =>
          // What was given back stays given back.
          tx.run('UPDATE _lease SET expires_at = ? WHERE owner = ? AND fence = ? AND expires_at > 0', [
            env.now() + leaseMs,
            this.#owner,
            this.#fence ?? -1,
          ]),
        brief,
      )
      // Not to renew is no error here: the next transaction of the engine finds out by the fence.
      renewed.then(
        ({ changes }) => {
          if (changes > 0 && this.#fence !== undefined) this.#planRenewal()
        },
        () => undefined,
      )
    }, leaseMs / 3)
  }
}
