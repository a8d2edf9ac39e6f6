import { type Comment, parseSync } from 'oxc-parser'

import { isTestFile } from './source-files.ts'
import {
  type Finding,
  isSyntaxNode,
  lineAt,
  nameOf,
  type ParsedFile,
  type SyntaxNode,
  walk,
} from './syntax.ts'

const vagueWords = /^(utils?|helpers?|managers?|impl|common|misc|legacy|v[2-9])$/
const vagueNames = /^(types|new|old)$/
const testRoots = new Set(['test', 'it', 'describe', 'suite'])

/** Everything the tidy rules say about one file; what it imports and how large it is are other checks. */
export function findUntidyThings(file: ParsedFile): Finding[] {
  return [...judgeName(file.path), ...judgeComments(file), ...judgeCalls(file)]
}

/** Names are kebab-case and say what a file is about, never that it is one of many or newer than another. */
export function judgeName(path: string): Finding[] {
  const found: Finding[] = []
  const parts = path.split('/')
  const stem = (parts.pop() ?? '')
    .replace(/\.tsx?$/, '')
    .replace(/\.((pg|browser|chromium)\.test|test|contract|bench)$/, '')
  for (const name of [...parts, stem]) {
    const words = name.split('-')
    const isVague = vagueNames.test(name) || words.some((word) => vagueWords.test(word))
    const isKebab = /^@?[a-z0-9]+(-[a-z0-9]+)*$/.test(name)
    if (isVague) found.push({ path, line: 1, says: `has a name that says nothing or is history: ${name}` })
    if (!isKebab) found.push({ path, line: 1, says: `has a name that is not kebab-case: ${name}` })
  }
  return found
}

function judgeComments(file: ParsedFile): Finding[] {
  const found: Finding[] = []
  for (const comment of file.comments) {
    const says = judgeComment(comment)
    if (says !== undefined) found.push({ path: file.path, line: lineAt(file.text, comment.start), says })
  }
  return found
}

function judgeComment(comment: Comment): string | undefined {
  if (/\bFIXME\b|\bXXX\b|\bHACK\b/.test(comment.value)) return 'leaves a FIXME'
  if (/\bTODO\b(?!\(#\d+\))/.test(comment.value)) return 'leaves a TODO without its issue: TODO(#123)'
  const isDocComment = comment.type === 'Block' && comment.value.startsWith('*')
  if (!isDocComment && comment.value.split('\n').some(looksLikeCode)) return 'keeps code in a comment'
  return undefined
}

/** A line is code when it parses as a declaration, a call or a block; sentences practically never do. */
function looksLikeCode(line: string): boolean {
  const text = line.trim()
  if (!/[=({]/.test(text)) return /^(return|throw|await|import|export) ?[\w.{'"]*;$/.test(text)
  if (/^(if|for|while|switch|try|else)\b.*\{$/.test(text) || /^\}? ?(else|catch).*\{$/.test(text)) return true
  const parsed = parseSync('comment.ts', `async () => {\n${text}\n}`)
  const arrow = parsed.program.body[0] as unknown as SyntaxNode | undefined
  if (parsed.errors.length > 0 || arrow === undefined) return false
  return statementsIn(arrow).some(isCode)
}

function statementsIn(arrow: SyntaxNode): SyntaxNode[] {
  const expression = isSyntaxNode(arrow.expression) ? arrow.expression : undefined
  const body = isSyntaxNode(expression?.body) ? expression.body : undefined
  return Array.isArray(body?.body) ? body.body.filter(isSyntaxNode) : []
}

function isCode(statement: SyntaxNode): boolean {
  if (/^(Variable|Function|Class|Return|Throw|If|For|While|Try)/.test(statement.type)) return true
  if (statement.type !== 'ExpressionStatement' || !isSyntaxNode(statement.expression)) return false
  return /^(CallExpression|AwaitExpression)$/.test(statement.expression.type)
}

function judgeCalls(file: ParsedFile): Finding[] {
  const found: Finding[] = []
  const isQuiet = /^packages\/(core|client|server|testing|react)\//.test(file.path) && !isTestFile(file.path)
  walk(file.program, (node) => {
    if (node.type !== 'MemberExpression') return
    const member = nameOf(node.property)
    const root = rootName(node)
    const line = lineAt(file.text, node.start)
    if (isQuiet && nameOf(node.object) === 'console') {
      found.push({ path: file.path, line, says: `writes to the console: console.${member ?? '…'}` })
    }
    if (
      root !== undefined &&
      testRoots.has(root) &&
      (member === 'only' || member === 'skip' || member === 'todo')
    ) {
      found.push({ path: file.path, line, says: `leaves a test out: ${root}.${member}` })
    }
  })
  return found
}

/** `test` in `test.only`, in `test.each(rows).only` and in `test.concurrent.only`. */
function rootName(node: SyntaxNode): string | undefined {
  let current: unknown = node
  while (isSyntaxNode(current)) {
    if (current.type === 'MemberExpression') current = current.object
    else if (current.type === 'CallExpression') current = current.callee
    else return nameOf(current)
  }
  return undefined
}
