const timestampPattern =
  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:Z|([+-])(\d\d):(\d\d))$/

/**
 * A time as `2026-11-20T10:00:00.000Z`: in UTC, cut to the ms. Undefined when the text is not ISO 8601 with a zone, or
 * names a day or hour there is not, or lies outside of the years 1 to 9999: PostgreSQL has no year 0. Rules: VAL-4.
 */
export function canonicalTimestamp(text: string): string | undefined {
  // Nearly every time is spelled this way already, and the platform reads it several times faster than the pattern.
  if (text.length === 24 && isCanonical(text)) return text
  const match = timestampPattern.exec(text)
  if (!match) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0))
  const ms = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'))
  const date = new Date(0)
  // Not Date.UTC, which takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second, ms)
  const isReal =
    date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60
  const [zoneHours, zoneMinutes] = [Number(match[9] ?? 0), Number(match[10] ?? 0)]
  if (!isReal || zoneHours > 23 || zoneMinutes > 59) return undefined
  const zoneMs = (zoneHours * 60 + zoneMinutes) * 60_000 * (match[8] === '-' ? -1 : 1)
  const utc = new Date(date.getTime() - zoneMs).toISOString()
  // A zone can push the first or last hours over the edge.
  return isYear(utc) ? utc : undefined
}

/** Whether a time in UTC lies in a year that is stored: 1 to 9999. */
function isYear(utc: string): boolean {
  return utc.length === 24 && !utc.startsWith('0000')
}

function isCanonical(text: string): boolean {
  const ms = Date.parse(text)
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text && isYear(text)
}
