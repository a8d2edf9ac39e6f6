import { SyncError } from '../errors.ts'
import { isJsonArray, isObject, type Json } from '../json.ts'
import { limits } from '../limits.ts'
import { isStorableText } from './storable-text.ts'

/**
 * A copy of `value` if JSON can carry it unchanged. Refused: what JSON would drop or bend (undefined, NaN, functions,
 * dates), text no store can hold, the key `__proto__`, nesting past `limits.jsonDepth`.
 * Errors: VALUE_INVALID, VALUE_TOO_LARGE. Rules: VAL-6.
 */
export function parseJsonValue(value: unknown, path: string): Json {
  return copy(value, path, limits.jsonDepth)
}

function copy(value: unknown, path: string, depthLeft: number): Json {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') return storable(value, path)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalid(path, 'holds a number that is not finite')
    return value + 0
  }
  if (typeof value !== 'object') throw invalid(path, `holds ${typeof value}, which JSON cannot carry`)
  if (depthLeft === 0) {
    throw new SyncError('VALUE_TOO_LARGE', `${path} nests deeper than ${limits.jsonDepth}`, { at: path })
  }
  if (isJsonArray(value)) {
    // Array.from visits holes as undefined, which is then refused; map would leave them.
    return Array.from(value, (member, index) => copy(member, `${path}[${index}]`, depthLeft - 1))
  }
  return copyObject(value, path, depthLeft)
}

function copyObject(value: object, path: string, depthLeft: number): Json {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!isObject(value) || (prototype !== Object.prototype && prototype !== null)) {
    throw invalid(path, 'holds an object that is not plain')
  }
  const copied: Record<string, Json> = {}
  for (const [key, member] of Object.entries(value)) {
    if (key === '__proto__') throw invalid(path, 'holds the key __proto__')
    copied[storable(key, path)] = copy(member, `${path}.${key}`, depthLeft - 1)
  }
  return copied
}

function storable(text: string, path: string): string {
  if (!isStorableText(text))
    throw invalid(path, 'holds U+0000 or half of a surrogate pair, which no store can hold')
  return text
}

function invalid(path: string, message: string): SyncError {
  return new SyncError('VALUE_INVALID', `${path} ${message}`, { at: path })
}
