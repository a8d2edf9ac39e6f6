import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

import type { User } from '@holdfast/server'

/** What the library knows of somebody who is signed in. */
export interface Person extends User {
  readonly name: string
}

interface Claims {
  readonly sub: string
  readonly name: string
  /** ms since 1970. */
  readonly exp: number
  /** Makes every token another one. */
  readonly jti: string
}

/**
 * The tour's own sign-in: short-lived signed tokens, so that devices have to come back for new ones. A real app lets
 * `authenticate` look at whatever it has: a session, a JWT of its identity provider, an API key.
 */
export class TokenOffice {
  readonly #secret = randomBytes(32)
  readonly #newestByPerson = new Map<string, string>()
  readonly #usesLeft = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** A token that is good for ten minutes unless said. */
  issue(person: Person, { lifetimeMs = 600_000 }: { lifetimeMs?: number } = {}): string {
    const jti = randomBytes(6).toString('hex')
    const claims: Claims = { sub: person.id, name: person.name, exp: this.#now() + lifetimeMs, jti }
    const body = Buffer.from(JSON.stringify(claims)).toString('base64url')
    const token = `${body}.${this.#sign(body)}`
    this.#newestByPerson.set(person.id, token)
    return token
  }

  /** Ends the person's newest token after so many more requests, so that the tour need not wait for the clock. */
  endAfter(person: Person, requestCount: number): void {
    const token = this.#newestByPerson.get(person.id)
    if (token !== undefined) this.#usesLeft.set(token, requestCount)
  }

  /** The person a request speaks for; null when its token is missing, forged or no longer good. */
  authenticate(request: Request): Person | null {
    const token = /^Bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1] ?? ''
    const [body = '', signature = ''] = token.split('.')
    const expected = Buffer.from(this.#sign(body))
    const given = Buffer.from(signature)
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) return null
    // Nobody else can have signed it, so it holds what `issue` wrote.
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Claims
    if (claims.exp <= this.#now() || this.#isSpent(token)) return null
    return { id: claims.sub, name: claims.name }
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
