import { useMemo } from 'react'

import { useHoldfast } from '../holdfast-context.ts'

/** Times and numbers as the locale writes them. */
export interface Format {
  /** How long ago or in how long, such as "2 min ago". `ms` is positive for the past. */
  relative(ms: number): string
  /** A length of time, such as "2 min". */
  duration(ms: number): string
  /** Day and time. */
  dateTime(iso: string): string
  number(value: number): string
  /** The same for values, of which different ones must not look alike: to the millisecond, and to the last digit. */
  exactDateTime(iso: string): string
  exactNumber(value: number): string
  bytes(value: number): string
}

const units = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
] as const

/** The largest unit that fits, and how many of it. */
function inUnits(ms: number): { readonly unit: (typeof units)[number][0]; readonly count: number } {
  const [unit, unitMs] = units.find(([, size]) => ms >= size) ?? (['second', 1_000] as const)
  return { unit, count: Math.floor(ms / unitMs) }
}

/** Digits behind the point that a platform writes at most, and those that tell any double from any other. */
const [exactDigits, widthOfDouble] = [20, 17]

const toTheMinute: Intl.DateTimeFormatOptions = {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: 'numeric',
  minute: '2-digit',
}

/** What day and time to the minute leave out of a moment: seconds, and which of two hours of one name it is in. */
function precisionOf(date: Date): Intl.DateTimeFormatOptions | undefined {
  const hour = 3_600_000
  const isTwice = [-hour, hour].some((ms) => new Date(date.getTime() + ms).getHours() === date.getHours())
  const hasMs = date.getMilliseconds() !== 0
  const hasSeconds = hasMs || date.getSeconds() !== 0
  if (!isTwice && !hasSeconds) return undefined
  return {
    ...(hasSeconds && { second: '2-digit' }),
    ...(hasMs && { fractionalSecondDigits: 3 }),
    ...(isTwice && { timeZoneName: 'short' }),
  }
}

/** Makes the formats of a locale. Pure: the zone is the platform's. */
export function formatOf(locale: string | undefined): Format {
  const relative = new Intl.RelativeTimeFormat(locale, { style: 'short' })
  const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' })
  const number = new Intl.NumberFormat(locale)
  const exactNumber = new Intl.NumberFormat(locale, { maximumFractionDigits: exactDigits })
  return {
    relative: (ms) => {
      const { unit, count } = inUnits(Math.abs(ms))
      return relative.format(ms < 0 ? count : -count, unit)
    },
    duration: (ms) => {
      const { unit, count } = inUnits(ms)
      return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'short' }).format(count)
    },
    dateTime: (iso) => {
      const date = new Date(iso)
      return Number.isNaN(date.getTime()) ? iso : dateTime.format(date)
    },
    number: (value) => number.format(value),
    exactDateTime: (iso) => {
      const date = new Date(iso)
      const precision = precisionOf(date)
      if (Number.isNaN(date.getTime())) return iso
      return precision === undefined
        ? dateTime.format(date)
        : new Intl.DateTimeFormat(locale, { ...toTheMinute, ...precision }).format(date)
    },
    exactNumber: (value) => {
      const isTiny = value !== 0 && Math.abs(value) < 10 ** (widthOfDouble - exactDigits)
      return isTiny ? String(value) : exactNumber.format(value)
    },
    bytes: (value) => {
      const unit = value < 1_000 ? 'byte' : value < 1_000_000 ? 'kilobyte' : 'megabyte'
      const size = unit === 'byte' ? value : value / (unit === 'kilobyte' ? 1_000 : 1_000_000)
      return new Intl.NumberFormat(locale, {
        style: 'unit',
        unit,
        unitDisplay: 'short',
        maximumFractionDigits: 1,
      }).format(size)
    },
  }
}

/** The formats of the provider's locale. */
export function useFormat(): Format {
  const { locale } = useHoldfast()
  return useMemo(() => formatOf(locale), [locale])
}
