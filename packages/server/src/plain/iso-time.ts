import { canonicalTimestamp } from '@holdfast/core'

const isoPattern = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/

/**
 * An ISO 8601 time, spelled the one way we store it (`2026-11-20T10:00:00.000Z`); undefined when it is not one, or in
 * none of the years 1 to 9999. A time without a zone is UTC, so that the answer does not depend on where the server stands. Rules: PH-40.
 */
export function parseIsoTime(value: unknown): string | undefined {
  if (typeof value !== 'string' || !isoPattern.test(value)) return undefined
  const hasZone = value.length <= 10 || /(?:Z|[+-]\d\d:?\d\d)$/.test(value.slice(10))
  const ms = Date.parse(hasZone ? value.replace(' ', 'T') : `${value.replace(' ', 'T')}Z`)
  return Number.isNaN(ms) || !isDay(value.slice(0, 10))
    ? undefined
    : canonicalTimestamp(new Date(ms).toISOString())
}

/** `Date` reads the 31st of February as a day in March. */
function isDay(date: string): boolean {
  const ms = Date.parse(date)
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(date)
}
