/**
 * The marks that whoever is granted these scopes may see: the tenants the scopes belong to, such as `t0` for
 * `site:t0a`. '*' grants every mark. Scopes that name no tenant, such as `global`, give none.
 */
export function marksOf(scopes: readonly string[]): ReadonlySet<string> | '*' {
  const marks = new Set<string>()
  for (const scope of scopes) {
    if (scope === '*') return '*'
    const mark = /^[^~:]*:(t\d+)/.exec(scope)?.[1]
    if (mark !== undefined) marks.add(mark)
  }
  return marks
}
