import { isSyntaxNode, lineAt, type ParsedFile, type SyntaxNode, walk } from './syntax.ts'

/** One reference from a file to another module, with the 1-based line it stands on. */
export type ModuleImport = {
  readonly specifier: string
  readonly line: number
  /** The imported names, `*` for all of them, empty for a side effect or a dynamic import. */
  readonly names: readonly string[]
}

/** Everything a file imports: statements, re-exports, `import()` and `import('…')` in types. */
export function moduleImports(file: ParsedFile): ModuleImport[] {
  return [...staticImports(file), ...reExports(file), ...importExpressions(file)]
}

function staticImports(file: ParsedFile): ModuleImport[] {
  return file.module.staticImports.map((statement) => ({
    specifier: statement.moduleRequest.value,
    line: lineAt(file.text, statement.start),
    names: statement.entries.map((entry) => entry.importName.name ?? '*'),
  }))
}

function reExports(file: ParsedFile): ModuleImport[] {
  const found: ModuleImport[] = []
  for (const entry of file.module.staticExports.flatMap((statement) => statement.entries)) {
    if (entry.moduleRequest === null) continue
    found.push({
      specifier: entry.moduleRequest.value,
      line: lineAt(file.text, entry.start),
      names: [entry.importName.name ?? '*'],
    })
  }
  return found
}

function importExpressions(file: ParsedFile): ModuleImport[] {
  const found: ModuleImport[] = []
  walk(file.program, (node) => {
    if (node.type !== 'ImportExpression' && node.type !== 'TSImportType') return
    const specifier = literalText(node.source)
    if (specifier !== undefined) found.push({ specifier, line: lineAt(file.text, node.start), names: [] })
  })
  return found
}

function literalText(node: unknown): string | undefined {
  const literal: SyntaxNode | undefined = isSyntaxNode(node) && node.type === 'Literal' ? node : undefined
  return typeof literal?.value === 'string' ? literal.value : undefined
}

/** The path a relative specifier names, seen from a file; `./a.js` is not rewritten, sources say `.ts`. */
export function resolveRelative(fromPath: string, specifier: string): string {
  const parts = fromPath.split('/').slice(0, -1)
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  return parts.join('/')
}

/** The package a specifier belongs to: `@holdfast/core` of `@holdfast/core/a`, `kysely` of `kysely/b`. */
export function packageNameOf(specifier: string): string {
  const parts = specifier.split('/')
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? specifier)
}
