import { globalScope, isStorableText, personalScope } from '@holdfast/core'
import type { Grants, User } from '../engine.ts'

/** What one user may see now. */
export interface Visibility {
  /** '*': everything. Otherwise the granted scopes and the two that nobody has to grant. */
  readonly scopes: ReadonlySet<string> | '*'
  /** The scopes nobody has to grant: they are never reported as entered or revoked. */
  readonly implicit: readonly string[]
}

/**
 * What a host granted, as long as a row can lie in each of it: `''` is where rows lie that are in no scope, and a device takes
 * `'*'` for everything. Errors: Error, as whatever a host throws. Rules: PH-14.
 */
export function checkGrants(granted: unknown): Grants {
  if (granted === '*') return granted
  if (!Array.isArray(granted)) throw new Error('scopes() granted what is neither a list nor "*"')
  const names: readonly unknown[] = granted
  return names.map((name) => {
    if (typeof name !== 'string' || name === '' || name === '*' || !isStorableText(name))
      throw new Error(`scopes() granted what is no name of a scope: ${JSON.stringify(name)}`)
    return name
  })
}

/** The visibility that grants amount to. Rules: SC-1, SC-2. */
export function visibilityOf(user: Pick<User, 'id'>, grants: Grants): Visibility {
  const implicit = [globalScope, personalScope(user.id)]
  return { scopes: grants === '*' ? '*' : new Set([...grants, ...implicit]), implicit }
}

/** Whether a row in these scopes is seen. */
export function sees(visibility: Visibility, scopes: readonly string[]): boolean {
  const granted = visibility.scopes
  return granted === '*' || scopes.some((scope) => granted.has(scope))
}

/** The list a store query takes. */
export function scopeList({ scopes }: Visibility): readonly string[] | '*' {
  return scopes === '*' ? '*' : [...scopes]
}
