import { moduleImports, resolveRelative } from './module-imports.ts'
import type { ParsedFile } from './syntax.ts'
import type { Workspace } from './workspaces.ts'

/** Files by the files they import, inside packages and through package names; paths are from the root. */
export function importGraph(
  files: readonly ParsedFile[],
  workspaces: readonly Workspace[],
): Map<string, readonly string[]> {
  const pathBySpecifier = new Map<string, string>()
  for (const workspace of workspaces) {
    for (const [subpath, path] of workspace.exports)
      pathBySpecifier.set(workspace.name + subpath.slice(1), path)
  }
  const known = new Set(files.map((file) => file.path))
  const targetOf = (fromPath: string, specifier: string): string | undefined =>
    specifier.startsWith('.') ? resolveRelative(fromPath, specifier) : pathBySpecifier.get(specifier)
  return new Map(
    files.map((file) => {
      const targets = moduleImports(file).map((imported) => targetOf(file.path, imported.specifier))
      return [file.path, targets.filter((target) => target !== undefined && known.has(target)) as string[]]
    }),
  )
}

/** Import cycles as `a -> b -> a`, type imports included, because a reader has to follow those as well. */
export function findImportCycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles = new Set<string>()
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const seenAt = trail.indexOf(path)
    if (seenAt !== -1) {
      cycles.add(spellCycle(trail.slice(seenAt)))
      return
    }
    if (done.has(path)) return
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return [...cycles].sort()
}

/** The same cycle is always spelled the same way: it begins with its alphabetically first file. */
function spellCycle(cycle: readonly string[]): string {
  const first = cycle.indexOf([...cycle].sort()[0] ?? '')
  const turned = [...cycle.slice(first), ...cycle.slice(0, first)]
  return [...turned, turned[0]].join(' -> ')
}
