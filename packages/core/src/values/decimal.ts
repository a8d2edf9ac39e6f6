import { limits } from '../limits.ts'

const decimalPattern = /^([+-]?)0*(\d+)(\.\d+)?$/

/**
 * A decimal without plus sign, leading zeros or negative zero, otherwise as typed: '007.50' is '7.50', and '899.00'
 * keeps its zeros because they were meant. Undefined when the text is no decimal of at most `limits.decimalDigits`.
 * Rules: VAL-3.
 */
export function canonicalDecimal(text: string): string | undefined {
  // A number of that many digits is refused anyway; the early end keeps the pattern from reading megabytes of zeros.
  if (text.length > limits.decimalDigits * 3) return undefined
  const match = decimalPattern.exec(text)
  if (!match) return undefined
  const [, sign = '', whole = '', fraction = ''] = match
  const digits = whole.length + Math.max(0, fraction.length - 1)
  if (digits > limits.decimalDigits) return undefined
  const isZero = !/[1-9]/.test(whole + fraction)
  return `${sign === '-' && !isZero ? '-' : ''}${whole}${fraction}`
}

/** Below, at or above zero as `left` is less than, equal to or greater than `right`. Exact; both must be decimals. */
export function compareDecimals(left: string, right: string): number {
  const scale = Math.max(fractionOf(left).length, fractionOf(right).length)
  const difference = scaled(left, scale) - scaled(right, scale)
  return difference === 0n ? 0 : difference < 0n ? -1 : 1
}

function fractionOf(decimal: string): string {
  return decimal.split('.')[1] ?? ''
}

function scaled(decimal: string, scale: number): bigint {
  return BigInt(decimal.replace('.', '') + '0'.repeat(scale - fractionOf(decimal).length))
}
