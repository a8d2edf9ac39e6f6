import type { Json } from './observation.ts'

/**
 * Whether two stored values mean the same, without knowing their field: JSON whatever the order of its keys, and texts
 * that are numbers by amount, because a decimal field that is given another spelling of what it holds keeps its own.
 */
export function sameValue(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true
  if (left === null || right === null || left === undefined || right === undefined) return false
  if (typeof left === 'string') return typeof right === 'string' && sameAmount(left, right)
  if (typeof left !== 'object' || typeof right !== 'object') return false
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false
    return left.every((member: Json, index) => sameValue(member, right[index] as Json))
  }
  return sameMembers(left as Members, right as Members)
}

/** What is left of JSON once null, scalars and arrays are told apart. */
type Members = { readonly [name: string]: Json }

function sameMembers(left: Members, right: Members): boolean {
  const names = Object.keys(left)
  if (names.length !== Object.keys(right).length) return false
  return names.every((name) => Object.hasOwn(right, name) && sameValue(left[name], right[name]))
}

const amount = /^-?\d+(?:\.\d+)?$/

function sameAmount(left: string, right: string): boolean {
  return amount.test(left) && amount.test(right) && plainAmount(left) === plainAmount(right)
}

function plainAmount(text: string): string {
  const plain = text.includes('.') ? text.replace(/\.?0+$/, '') : text
  return plain === '-0' ? '0' : plain
}

/** A value in a message: short enough to read. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}
