/** Prices, counts and times as the app writes them. */
const money = new Intl.NumberFormat('en-GB', { style: 'currency', currency: 'EUR' })
const whole = new Intl.NumberFormat('en-GB')
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

export function formatMoment(iso: string): string {
  return moment.format(new Date(iso))
}

export function formatHour(iso: string): string {
  return hour.format(new Date(iso))
}
