import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

import type { User } from '@holdfast/server'

/**
 * The tour's own sign-in: short-lived signed tokens, so that devices have to come back for new ones. A real app lets
 * `authenticate` look at whatever it has: a session, a JWT of its identity provider, an API key.
 */
export class TokenOffice {
  readonly #secret = randomBytes(32)
  readonly #newestByUser = new Map<string, string>()
  readonly #usesLeft = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** A token that is good for ten minutes unless said: who, until when, something unique, and the signature. */
  issue(user: User, { lifetimeMs = 600_000 }: { lifetimeMs?: number } = {}): string {
    const untilMs = this.#now() + lifetimeMs
    const body = [user.id, untilMs.toString(36), randomBytes(4).toString('hex')].join('.')
    const token = `${body}.${this.#sign(body)}`
    this.#newestByUser.set(user.id, token)
    return token
  }

  /** Ends the user's newest token after so many more requests, so that the tour need not wait for the clock. */
  endAfter(user: User, requestCount: number): void {
    const token = this.#newestByUser.get(user.id)
    if (token !== undefined) this.#usesLeft.set(token, requestCount)
  }

  /** The user a request speaks for; null when its token is missing, forged or no longer good. */
  authenticate(request: Request): User | null {
    const token = /^Bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1] ?? ''
    const body = token.slice(0, token.lastIndexOf('.'))
    const expected = Buffer.from(`${body}.${this.#sign(body)}`)
    const given = Buffer.from(token)
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) return null
    const [id = '', until = ''] = body.split('.')
    return Number.parseInt(until, 36) > this.#now() && !this.#isSpent(token) ? { id } : null
  }

  #isSpent(token: string): boolean {
    const left = this.#usesLeft.get(token)
    if (left === undefined) return false
    this.#usesLeft.set(token, left - 1)
    return left <= 0
  }

  #sign(body: string): string {
    return createHmac('sha256', this.#secret).update(body).digest('base64url')
  }
}
