import { type Comment, type EcmaScriptModule, parseSync } from 'oxc-parser'

import type { SourceFile } from './source-files.ts'

/** A node of the syntax tree, read without knowledge of its kind; offsets are in UTF-16 units. */
export type SyntaxNode = {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

/** A file that was read and understood. */
export type ParsedFile = SourceFile & {
  readonly program: SyntaxNode
  readonly comments: readonly Comment[]
  readonly module: EcmaScriptModule
}

/** One thing a check found. The line is 1-based. */
export type Finding = { readonly path: string; readonly line: number; readonly says: string }

/** Parses a file; a file that does not parse is an error with its name, never an empty result. */
export function parseSource(file: SourceFile): ParsedFile {
  const parsed = parseSync(file.path, file.text, {
    lang: languageOf(file.path),
    sourceType: 'module',
  })
  const problem = parsed.errors[0]
  if (problem !== undefined) throw new Error(`${file.path} does not parse: ${problem.message}`)
  // The typed tree is a union of some two hundred nodes; every one of them has the three fields named above.
  const program = parsed.program as unknown as SyntaxNode
  return { ...file, program, comments: parsed.comments, module: parsed.module }
}

function languageOf(path: string): 'dts' | 'ts' | 'tsx' {
  if (path.endsWith('.d.ts')) return 'dts'
  return path.endsWith('.tsx') ? 'tsx' : 'ts'
}

/** Whether a value found in a tree is itself a node. */
export function isSyntaxNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
}

/** The nodes directly below a node, in source order of their fields. */
export function childNodes(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = []
  for (const [field, value] of Object.entries(node)) {
    if (field === 'parent') continue
    for (const item of Array.isArray(value) ? value : [value]) if (isSyntaxNode(item)) children.push(item)
  }
  return children
}

/** Calls `visit` with every node of a tree, parents before children. */
export function walk(node: SyntaxNode, visit: (node: SyntaxNode) => void): void {
  visit(node)
  for (const child of childNodes(node)) walk(child, visit)
}

/** The name of an identifier node, or undefined for anything else. */
export function nameOf(node: unknown): string | undefined {
  return isSyntaxNode(node) && node.type === 'Identifier' && typeof node.name === 'string'
    ? node.name
    : undefined
}

/** The 1-based line of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1
  for (let index = text.indexOf('\n'); index !== -1 && index < offset; index = text.indexOf('\n', index + 1))
    line += 1
  return line
}

/** Findings as lines an editor can follow, for a failing expectation to print. */
export function formatFindings(findings: readonly Finding[]): string[] {
  return findings.map((finding) => `${finding.path}:${finding.line} ${finding.says}`)
}
