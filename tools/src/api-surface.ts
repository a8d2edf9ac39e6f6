import { resolveRelative } from './module-imports.ts'
import { childNodes, isSyntaxNode, nameOf, type ParsedFile, parseSource, type SyntaxNode } from './syntax.ts'

/** One public name of an entry point. `origin` is the package it is passed on from, if it is not our own. */
export type PublicName = {
  readonly name: string
  readonly origin: string | undefined
  /** The doc comment as prose, or undefined when there is none. */
  readonly doc: string | undefined
  /** The declarations without comments: several for overloads and for a type beside a value of the same name. */
  readonly declarations: readonly string[]
}

/** Reads the text of a `.d.ts` file by its path; throws when there is none. */
export type ReadDeclarations = (path: string) => string

type Statement = { readonly node: SyntaxNode; readonly declaration: SyntaxNode }
type Found =
  | { readonly file: ParsedFile; readonly statements: readonly Statement[] }
  | { readonly origin: string }

/** Everything an entry point exports, by name, read from the declarations the compiler wrote. */
export function readPublicNames(entryPath: string, readText: ReadDeclarations): PublicName[] {
  const parsed = new Map<string, ParsedFile>()
  const open = (path: string): ParsedFile => {
    const file = parsed.get(path) ?? parseSource({ path, text: readText(path) })
    parsed.set(path, file)
    return file
  }
  const exported = exportsOf(entryPath, open)
  return [...exported.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, found]) => ('origin' in found ? passedOn(name, found.origin) : describeName(name, found)))
}

type Open = (path: string) => ParsedFile

function exportsOf(path: string, open: Open): Map<string, Found> {
  const file = open(path)
  const exported = new Map<string, Found>()
  for (const node of bodyOf(file)) {
    if (node.type === 'ExportAllDeclaration') addAll(node, { path, open, exported })
    if (node.type !== 'ExportNamedDeclaration') continue
    const declaration = isSyntaxNode(node.declaration) ? node.declaration : undefined
    for (const name of declaration === undefined ? [] : namesDeclaredBy(declaration)) {
      exported.set(name, findLocal(file, name, open))
    }
    for (const specifier of arrayOf(node.specifiers)) {
      const local = exportedName(specifier.local)
      const source = textOf(node.source)
      const found =
        source === undefined ? findLocal(file, local, open) : findIn({ path, source, name: local, open })
      exported.set(exportedName(specifier.exported), found)
    }
  }
  return exported
}

function addAll(node: SyntaxNode, at: { path: string; open: Open; exported: Map<string, Found> }): void {
  const source = textOf(node.source) ?? ''
  const alias = isSyntaxNode(node.exported) ? exportedName(node.exported) : undefined
  if (alias !== undefined || !source.startsWith('.')) {
    at.exported.set(alias ?? `* of ${source}`, { origin: source })
    return
  }
  for (const [name, found] of exportsOf(declarationPath(at.path, source), at.open)) {
    if (!at.exported.has(name)) at.exported.set(name, found)
  }
}

function findIn(wanted: { path: string; source: string; name: string; open: Open }): Found {
  if (!wanted.source.startsWith('.')) return { origin: wanted.source }
  const path = declarationPath(wanted.path, wanted.source)
  const found = exportsOf(path, wanted.open).get(wanted.name)
  if (found === undefined) throw new Error(`${path} does not export ${wanted.name}`)
  return found
}

/** A name of a file's own: declared there, or imported there to be passed on. */
function findLocal(file: ParsedFile, name: string, open: Open): Found {
  const statements: Statement[] = []
  for (const node of bodyOf(file)) {
    const declaration = isSyntaxNode(node.declaration) ? node.declaration : node
    if (namesDeclaredBy(declaration).includes(name)) statements.push({ node, declaration })
    if (node.type !== 'ImportDeclaration') continue
    const specifier = arrayOf(node.specifiers).find((candidate) => nameOf(candidate.local) === name)
    const source = textOf(node.source)
    if (specifier === undefined || source === undefined) continue
    const imported = isSyntaxNode(specifier.imported) ? exportedName(specifier.imported) : 'default'
    return findIn({ path: file.path, source, name: imported, open })
  }
  if (statements.length === 0) throw new Error(`${file.path} does not declare ${name}`)
  return { file, statements }
}

function describeName(
  name: string,
  found: { file: ParsedFile; statements: readonly Statement[] },
): PublicName {
  const docs = found.statements.map(({ node }) => docBefore(found.file, node))
  return {
    name,
    origin: undefined,
    doc: docs.find((doc) => doc !== undefined),
    declarations: found.statements.map(({ node }) => codeWithoutComments(found.file, node)),
  }
}

function passedOn(name: string, origin: string): PublicName {
  return { name, origin, doc: undefined, declarations: [] }
}

function docBefore(file: ParsedFile, node: SyntaxNode): string | undefined {
  const comment = file.comments.findLast((candidate) => candidate.end <= node.start)
  if (comment === undefined || comment.type !== 'Block' || !comment.value.startsWith('*')) return undefined
  if (file.text.slice(comment.end, node.start).trim() !== '') return undefined
  const lines = comment.value.split('\n').map((line) => line.replace(/^\s*\*+ ?/, '').trim())
  return lines.join('\n').trim() || undefined
}

function codeWithoutComments(file: ParsedFile, node: SyntaxNode): string {
  let code = ''
  let from = node.start
  for (const comment of file.comments) {
    if (comment.start < node.start || comment.end > node.end) continue
    code += file.text.slice(from, comment.start)
    from = comment.end
  }
  code += file.text.slice(from, node.end)
  const kept = code.split('\n').filter((line) => line.trim() !== '' && line.trim() !== '#private;')
  return kept.join('\n')
}

function namesDeclaredBy(node: SyntaxNode): string[] {
  if (node.type === 'VariableDeclaration') {
    return childNodes(node).flatMap((declarator) => nameOf(declarator.id) ?? [])
  }
  const isDeclaration = /^(FunctionDeclaration|ClassDeclaration|TS\w+Declaration|TSDeclareFunction)$/.test(
    node.type,
  )
  return isDeclaration ? [nameOf(node.id) ?? ''] : []
}

function declarationPath(fromPath: string, source: string): string {
  return resolveRelative(fromPath, source).replace(/\.(tsx?|js)$/, '.d.ts')
}

function bodyOf(file: ParsedFile): SyntaxNode[] {
  return arrayOf(file.program.body)
}

function arrayOf(value: unknown): SyntaxNode[] {
  return Array.isArray(value) ? value.filter(isSyntaxNode) : []
}

function textOf(node: unknown): string | undefined {
  return isSyntaxNode(node) && typeof node.value === 'string' ? node.value : undefined
}

function exportedName(node: unknown): string {
  return nameOf(node) ?? textOf(node) ?? ''
}
