import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** What the tour knows of a person who is signed in. */
export interface Person {
  /** The account: the same for ever. */
  readonly id: string
  readonly name: string
}

/**
 * The tour's own sign-in: short-lived signed tokens, so that devices have to come back for new ones. A real app hands
 * `authenticate` whatever it has: a session, a JWT of its identity provider, an API key.
 */
export class TokenOffice {
  readonly #secret = randomBytes(32)
  readonly #usesLeft = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** A token that is good for `lifetimeMs`, and for `uses` requests when that is said. */
  issue(person: Person, { lifetimeMs = 300_000, uses }: { lifetimeMs?: number; uses?: number } = {}): string {
    const claims = {
      sub: person.id,
      name: person.name,
      exp: this.#now() + lifetimeMs,
      jti: randomBytes(6).toString('hex'),
    }
    const body = Buffer.from(JSON.stringify(claims)).toString('base64url')
    const token = `${body}.${this.#sign(body)}`
    if (uses !== undefined) this.#usesLeft.set(token, uses)
    return token
  }

  /** The person a request speaks for; null when its token is missing, forged or no longer good. */
  authenticate(request: Request): Person | null {
    const token = /^Bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1] ?? ''
    const [body = '', signature = ''] = token.split('.')
    const expected = Buffer.from(this.#sign(body))
    const given = Buffer.from(signature)
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) return null
    return this.#isSpent(token) ? null : this.#readClaims(body)
  }

  #readClaims(body: string): Person | null {
    const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString())
    // Only this office can have signed the claims, so they have the shape that `issue` gave them.
    const { sub, name, exp } = claims as { sub: string; name: string; exp: number }
    return exp > this.#now() ? { id: sub, name } : null
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
