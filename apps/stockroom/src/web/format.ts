/** Prices, counts and times as the app writes them. */
const money = new Intl.NumberFormat('en-GB', { style: 'currency', currency: 'EUR' })
const whole = new Intl.NumberFormat('en-GB')
const percent = new Intl.NumberFormat('en-GB', { style: 'percent' })
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' })
const hour = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })

export function formatPrice(price: string): string {
  return money.format(Number(price))
}

export function formatCount(count: number): string {
  return whole.format(count)
}

/** With its sign, as a change is written. */
export function formatChange(amount: number): string {
  return amount > 0 ? `+${whole.format(amount)}` : `−${whole.format(-amount)}`
}

/** 1 is all of it. */
export function formatPercent(part: number): string {
  return percent.format(part)
}

export function formatMoment(iso: string): string {
  return moment.format(new Date(iso))
}

export function formatHour(iso: string): string {
  return hour.format(new Date(iso))
}

/** A value of any field, as a line of text. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined || value === '') return '–'
  if (typeof value === 'object' && 'hash' in value) return `photo ${String(value.hash).slice(0, 6)}`
  if (Array.isArray(value)) return value.length === 0 ? '–' : value.join(', ')
  return typeof value === 'string' ? value.replaceAll('\n\n', ' ¶ ') : JSON.stringify(value)
}
