import { isTestFile } from './source-files.ts'
import { childNodes, isSyntaxNode, lineAt, nameOf, type ParsedFile, type SyntaxNode } from './syntax.ts'

/** Limits in lines, comments and blank lines included. Tests read as lists, so their functions have none. */
export const sizeLimits = { fileLines: 400, testFileLines: 800, functionLines: 60 } as const

/** A measured file (`path`) or function (`path#name`). */
export type Size = { readonly subject: string; readonly lines: number; readonly limit: number }

/** Subjects that may be larger, with the exact number of lines and the reason. */
export type SizeExceptions = Readonly<Record<string, { readonly lines: number; readonly reason: string }>>

/** The size of a file and of every function in it; nested functions count for themselves and for the outer one. */
export function measureFile(file: ParsedFile): Size[] {
  const isTest = isTestFile(file.path)
  const fileLines = file.text.trimEnd().split('\n').length
  const limit = isTest ? sizeLimits.testFileLines : sizeLimits.fileLines
  const sizes: Size[] = [{ subject: file.path, lines: fileLines, limit }]
  if (!isTest) measureFunctions(file.program, { file, names: [], sizes })
  return sizes
}

/**
 * What is too large, and which exceptions are no longer right: an exception must name the exact size,
 * so that code which shrank takes its exception down with it.
 */
export function judgeSizes(sizes: readonly Size[], exceptions: SizeExceptions): string[] {
  const tooLarge = new Map(
    sizes.filter((size) => size.lines > size.limit).map((size) => [size.subject, size]),
  )
  const complaints: string[] = []
  for (const { subject, lines, limit } of tooLarge.values()) {
    const allowed = exceptions[subject]?.lines
    if (allowed === undefined) complaints.push(`${subject} has ${lines} lines, the limit is ${limit}`)
    else if (lines > allowed)
      complaints.push(`${subject} has ${lines} lines, its exception allows ${allowed}`)
    else if (lines < allowed) complaints.push(`${subject} shrank: lower its exception to ${lines}`)
  }
  for (const [subject, { reason }] of Object.entries(exceptions)) {
    if (!tooLarge.has(subject)) complaints.push(`${subject} needs no exception any more: remove it`)
    if (reason.trim().length < 20) complaints.push(`${subject} has an exception without a real reason`)
  }
  return complaints
}

type Measuring = { readonly file: ParsedFile; readonly names: readonly string[]; readonly sizes: Size[] }

function measureFunctions(node: SyntaxNode, measuring: Measuring): void {
  const { file, sizes } = measuring
  const ownName = nameOf(node.id) ?? nameOf(node.key) ?? privateName(node.key)
  const names = ownName === undefined ? measuring.names : [...measuring.names, ownName]
  if (/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) {
    const lines = lineAt(file.text, node.end) - lineAt(file.text, node.start) + 1
    const subject = `${file.path}#${names.join('.') || 'anonymous'}`
    sizes.push({ subject, lines, limit: sizeLimits.functionLines })
  }
  for (const child of childNodes(node)) measureFunctions(child, { file, names, sizes })
}

function privateName(key: unknown): string | undefined {
  return isSyntaxNode(key) && key.type === 'PrivateIdentifier' ? `#${String(key.name)}` : undefined
}
