import type { User } from '../engine.ts'
import type { Route } from './http-call.ts'

/** What an address leads to. */
export interface RouteMatch<U extends User> {
  readonly pattern: string
  readonly routesByMethod: ReadonlyMap<string, Route<U>>
  readonly params: Readonly<Record<string, string>>
}

/** Finds the routes of a path, which begins with a slash; undefined when there are none. */
export type RouteTable<U extends User> = (path: string) => RouteMatch<U> | undefined

interface Entry<U extends User> {
  readonly pattern: string
  readonly segments: readonly string[]
  readonly routesByMethod: Map<string, Route<U>>
}

/**
 * A table of routes. An address without parameters wins over one with; segments are decoded once, and one that cannot
 * be decoded matches nothing. Rules: PH-2, PH-3.
 */
export function createRouteTable<U extends User>(routes: readonly Route<U>[]): RouteTable<U> {
  const entries = new Map<string, Entry<U>>()
  for (const route of routes) {
    const segments = route.pattern.slice(1).split('/')
    const entry = entries.get(route.pattern) ?? {
      pattern: route.pattern,
      segments,
      routesByMethod: new Map(),
    }
    entry.routesByMethod.set(route.method, route)
    entries.set(route.pattern, entry)
  }
  const open = [...entries.values()].filter((entry) => entry.pattern.includes('{'))
  return (path) => {
    const fixed = path.includes('{') ? undefined : entries.get(path)
    if (fixed) return { ...fixed, params: {} }
    const segments = path.slice(1).split('/')
    for (const entry of open) {
      const params = matchSegments(entry.segments, segments)
      if (params) return { pattern: entry.pattern, routesByMethod: entry.routesByMethod, params }
    }
    return undefined
  }
}

function matchSegments(
  pattern: readonly string[],
  segments: readonly string[],
): Readonly<Record<string, string>> | undefined {
  if (pattern.length !== segments.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index] ?? ''
    if (!expected.startsWith('{')) {
      if (segment !== expected) return undefined
      continue
    }
    const value = decodeSegment(segment)
    if (value === undefined || value === '') return undefined
    params[expected.slice(1, -1)] = value
  }
  return params
}

function decodeSegment(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    // A broken percent escape names nothing that exists.
    return undefined
  }
}
