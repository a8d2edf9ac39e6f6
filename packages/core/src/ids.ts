import type { Environment } from './environment.ts'

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** True for a UUID of any version in lower case, the only spelling that is stored or sent. Rules: VAL-1. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && uuidPattern.test(value)
}

/**
 * A new UUID version 7: 48 bits of wall clock, then random bits, so that keys made later sort later and inserts stay
 * at the end of an index. Source: RFC 9562, section 5.7.
 */
export function newUuid(env: Pick<Environment, 'now' | 'randomBytes'>): string {
  const bytes = env.randomBytes(new Uint8Array(16))
  let time = Math.max(0, Math.floor(env.now()))
  for (let index = 5; index >= 0; index--) {
    bytes[index] = time % 256
    time = Math.floor(time / 256)
  }
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  let text = ''
  for (let index = 0; index < 16; index++) {
    text += hexByByte[bytes[index] ?? 0]
    if (index === 3 || index === 5 || index === 7 || index === 9) text += '-'
  }
  return text
}

const hexByByte: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
)
