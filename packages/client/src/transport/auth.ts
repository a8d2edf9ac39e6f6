import { SyncError } from '@holdfast/core'

/**
 * Where tokens come from: a fixed one, or a function that is asked at the start and after the server refused one.
 * null: nobody is signed in; the engine pauses until `sync.resume()`.
 */
export type Auth = string | ((request: AuthRequest) => string | null | Promise<string | null>)

/** Why a token is asked for. */
export interface AuthRequest {
  readonly reason: 'start' | 'expired'
}

/** Holds the token in use and asks for a new one, never twice at a time. Rules: SY-6. */
export class TokenSource {
  readonly #auth: Auth
  #token: string | undefined
  #asking: Promise<string> | undefined

  constructor(auth: Auth) {
    this.#auth = auth
  }

  /** The token in use; asks for the first. Errors: AUTH_REQUIRED, OFFLINE. */
  token(): Promise<string> {
    return this.#token === undefined ? this.#ask('start') : Promise.resolve(this.#token)
  }

  /**
   * A token newer than `refused`, which the server did not take. Everybody who was refused shares one refresh; who
   * comes late gets what it brought. Errors: as `token`.
   */
  refresh(refused: string): Promise<string> {
    if (this.#token !== undefined && this.#token !== refused) return Promise.resolve(this.#token)
    return this.#ask('expired')
  }

  /** Drops the token, so that the next request asks for one. */
  forget(): void {
    this.#token = undefined
  }

  #ask(reason: AuthRequest['reason']): Promise<string> {
    this.#asking ??= this.#askOnce(reason).finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #askOnce(reason: AuthRequest['reason']): Promise<string> {
    const token = typeof this.#auth === 'string' ? this.#auth : await callAuth(this.#auth, reason)
    if (token === null) throw new SyncError('AUTH_REQUIRED', 'nobody is signed in')
    this.#token = token
    return token
  }
}

async function callAuth(auth: Exclude<Auth, string>, reason: AuthRequest['reason']): Promise<string | null> {
  try {
    return await auth({ reason })
  } catch (error) {
    // Where tokens come from is a network service as a rule: not to reach it is not a refusal.
    throw error instanceof SyncError ? error : new SyncError('OFFLINE', 'auth() failed', { cause: error })
  }
}
