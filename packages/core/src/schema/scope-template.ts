import { limits } from '../limits.ts'
import type { Values } from '../json.ts'

/** The scope of rows whose collection declares none. Every signed-in user has it. */
export const globalScope = 'global'

/** The grant of every scope; never the scope of a row. */
export const everyScope = '*'

/** The scope only one user has; conflicts are always in their author's. */
export function personalScope(user: string): string {
  return `~user:${user}`
}

/** 'warehouse:{warehouseId}' taken apart: literal texts with a field between each two. */
export interface ScopeTemplate {
  readonly text: string
  /** One more than `fields`. */
  readonly literals: readonly string[]
  readonly fields: readonly string[]
}

/** Takes a template apart; undefined when its braces do not match. */
export function parseScopeTemplate(text: string): ScopeTemplate | undefined {
  const parts = text.split(/\{([A-Za-z][A-Za-z0-9_]*)\}/)
  const literals = parts.filter((_, index) => index % 2 === 0)
  const fields = parts.filter((_, index) => index % 2 === 1)
  if (literals.some((literal) => /[{}]/.test(literal))) return undefined
  return { text, literals, fields }
}

/**
 * The scopes of a row, sorted and without repeats. A template with a null field gives none; a collection without
 * templates gives `globalScope`. Rules: SCH-7.
 */
export function scopesOfRow(templates: readonly ScopeTemplate[], values: Values): readonly string[] {
  if (templates.length === 0) return [globalScope]
  const scopes = new Set<string>()
  for (const template of templates) {
    const scope = fillTemplate(template, values)
    if (scope !== undefined && isScopeLength(scope)) scopes.add(scope)
  }
  return [...scopes].sort()
}

/** Databases count characters, of which some are two units of JavaScript: both must put a row into the same scopes. */
function isScopeLength(scope: string): boolean {
  return scope.length <= limits.scopeLength || Array.from(scope).length <= limits.scopeLength
}

function fillTemplate(template: ScopeTemplate, values: Values): string | undefined {
  let scope = template.literals[0] ?? ''
  for (const [index, name] of template.fields.entries()) {
    const value = values[name]
    if (typeof value !== 'string' && typeof value !== 'number') return undefined
    scope += `${value}${template.literals[index + 1] ?? ''}`
  }
  return scope
}
