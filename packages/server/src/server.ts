import type { Environment, Limits, Schema } from '@holdfast/core'
import type { AuthorizeRequest, Engine, Grants, User } from './engine.ts'
import type { Store } from './store/store.ts'

/** Where log lines go: pino fits as it is. Lines hold ids, codes and counts, never values. */
export interface Logger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** What a server is made from. `authenticate` is for the transport; the engine never sees a token. */
export interface ServerOptions<U extends User = User> {
  readonly schema: Schema
  readonly store: Store
  /** null: no valid token (401). Never called inside a transaction. */
  readonly authenticate: (request: Request) => U | null | Promise<U | null>
  /** What the user may see now; asked once per request. */
  readonly scopes: (user: U) => Grants | Promise<Grants>
  /** Runs inside the push transaction, hence synchronous. A text or false refuses: NOT_AUTHORIZED. */
  readonly authorize?: (request: AuthorizeRequest<U>) => boolean | string
  /** The oldest schema version that is still served; 1 unless said. */
  readonly oldestSchema?: number
  readonly env?: Environment
  readonly logger?: Logger
  readonly limits?: Partial<Limits>
}

/** Opens the store, creates what the schema adds, and starts the engine. Errors: STORE_FOREIGN, STORE_NEWER, STORE_CORRUPT, STORE_BUSY. */
export async function createEngine<U extends User>(
  options: Omit<ServerOptions<U>, 'authenticate'>,
): Promise<Engine<U>> {
  void options
  throw new Error('being written')
}
