import { type Environment, newUuid, SyncError } from '@holdfast/core'
import type { LocalDatabase, LocalTransaction } from '../local/local-database.ts'
import { readMeta, writeMeta } from '../local/meta.ts'
import type { Identity, Logger } from '../sync-context.ts'
import type { Answer, Ask, Transport } from '../transport/transport.ts'

/** One cycle of the engine: whoever works for it stops when it is over. */
export interface Run {
  /** Names the cycle in logs. */
  readonly id: string
  /** The lease every transaction of the cycle is checked against. */
  readonly fence: number
  /** Aborted when the cycle is called off. */
  readonly signal: AbortSignal
  readonly traceparent: string
  /** When it began, ms of `env.monotonicMs`. */
  readonly startedMs: number
  /** To be called in its last transaction: gives the lease back with it, unless another cycle follows. */
  readonly rest: (tx: LocalTransaction) => Promise<void>
}

/** What a session is made from. */
export interface SessionOptions {
  readonly env: Environment
  readonly database: LocalDatabase
  readonly transport: Transport
  readonly logger: Logger
  readonly identity: Identity
  /** Told when the account is learnt or the device takes a new identity. */
  readonly onIdentity: (identity: Identity) => void
}

/** A conversation with one server as one device of one account. Rules: SY-8, SY-14. */
export class Session {
  readonly #options: SessionOptions
  #identity: Identity
  /** Requests that got a usable answer. */
  successes = 0

  constructor(options: SessionOptions) {
    this.#options = options
    this.#identity = options.identity
  }

  get identity(): Identity {
    return this.#identity
  }

  /** One request of a cycle. Errors: as `Transport.ask`, ACCOUNT_MISMATCH. */
  async ask(run: Run, ask: Pick<Ask, 'method' | 'path' | 'body'>): Promise<Answer> {
    const { transport } = this.#options
    const answer = await transport.ask({ ...ask, traceparent: run.traceparent, signal: run.signal })
    await this.#checkAccount(run, answer.account)
    this.successes += 1
    return answer
  }

  /** A transaction of a cycle: refused when the lease is lost, not begun when the cycle is over. */
  async write<T>(
    run: Run,
    fn: (tx: LocalTransaction) => Promise<T>,
    options: { durable?: boolean } = {},
  ): Promise<T> {
    run.signal.throwIfAborted()
    const marked = (tx: LocalTransaction): Promise<T> => {
      // Tells the engine's own commits from those of the app, which ask for a sync.
      tx.touch('_sync', 'all')
      return fn(tx)
    }
    return this.#options.database.write(marked, { ...options, fence: run.fence })
  }

  /** A line of the log; who and in which cycle is added. Never give it values of rows. */
  log(level: Parameters<Logger['log']>[0], event: string, details: Readonly<Record<string, unknown>>): void {
    const { account, device } = this.#identity
    this.#options.logger.log(level, event, { accountId: account, deviceId: device, ...details })
  }

  /**
   * Speaks as the file says: another process on it may have taken a new identity, or learnt the account. Whoever has the
   * lease is the only one to change either. Rules: SY-14.
   */
  async recall(): Promise<void> {
    const [device, account] = await this.#options.database.read(async (tx) => [
      await readMeta(tx, 'device'),
      await readMeta(tx, 'account'),
    ])
    const known = this.#identity
    const now = {
      ...known,
      device: typeof device === 'string' ? device : known.device,
      account: typeof account === 'string' ? account : known.account,
    }
    if (now.device !== known.device || now.account !== known.account) this.adopt(now)
  }

  /** Takes a new device identity inside `tx`; call `adopt` after the commit. */
  async renew(tx: LocalTransaction): Promise<Identity> {
    const device = newUuid(this.#options.env)
    await writeMeta(tx, 'device', device)
    return { ...this.#identity, device }
  }

  /** Speaks as `identity` from now on. */
  adopt(identity: Identity): void {
    this.#identity = identity
    this.#options.onIdentity(identity)
  }

  async #checkAccount(run: Run, header: string | null): Promise<void> {
    if (header === null) return
    const account = accountOfHeader(header)
    if (account === this.#identity.account) return
    if (this.#identity.account !== null) {
      throw new SyncError('ACCOUNT_MISMATCH', 'the token is of another account than this database')
    }
    await this.write(run, (tx) => writeMeta(tx, 'account', account))
    this.adopt({ ...this.#identity, account })
  }
}

/** The account as the header spells it: plain when it is printable ASCII without `%`, percent-encoded otherwise. */
export function accountToHeader(account: string): string {
  return /^[\x21-\x24\x26-\x7e]+$/.test(account) ? account : encodeURIComponent(account)
}

function accountOfHeader(header: string): string {
  try {
    return decodeURIComponent(header)
  } catch {
    return header
  }
}

/** A new W3C `traceparent`. Source: https://www.w3.org/TR/trace-context/ */
export function newTraceparent(env: Pick<Environment, 'randomBytes'>): string {
  const bytes = env.randomBytes(new Uint8Array(24))
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-01`
}
