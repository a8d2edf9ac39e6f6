/**
 * Options for `holdfast serve server.ts` and `holdfast worker server.ts`. From the environment: DATABASE_URL, REDIS_URL and
 * TOKEN_SECRET.
 */
import { type HttpServerOptions, postgresStore, type User } from '@holdfast/server'
import { createHmac, timingSafeEqual } from 'node:crypto'

import { schema } from './schema.ts'

interface Keeper extends User {
  readonly warehouses: readonly string[]
  readonly expiresAt: number
}

const secret = setting('TOKEN_SECRET')
if (secret.length < 32) throw new Error('TOKEN_SECRET has fewer than 32 characters')

export const options: HttpServerOptions<Keeper> = {
  schema,
  store: postgresStore(setting('DATABASE_URL')),
  authenticate,
  scopes: ({ warehouses }) => warehouses.map((warehouse) => `warehouse:${warehouse}`),
  ingest: { mode: 'auto', redis: setting('REDIS_URL') },
  metricsAccess: (request) => !request.headers.has('x-forwarded-for'),
}

function setting(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`the environment has no ${name}`)
  return value
}

/**
 * A JSON Web Token, signed with HS256 by whoever signs your users in: `sub` is the user, `exp` its end in seconds,
 * `warehouses` what the user may see. Put your own here.
 */
function authenticate(request: Request): Keeper | null {
  const token = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(request.headers.get('authorization') ?? '')
  if (token === null) return null
  const [, head = '', body = '', signature = ''] = token
  const expected = createHmac('sha256', secret).update(`${head}.${body}`).digest()
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  if (decode(head)['alg'] !== 'HS256') return null
  const { sub, exp, warehouses } = decode(body)
  if (typeof sub !== 'string' || typeof exp !== 'number' || exp * 1_000 <= Date.now()) return null
  if (!Array.isArray(warehouses)) return null
  return { id: sub, warehouses: warehouses.map(String), expiresAt: exp * 1_000 }
}

function decode(part: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
