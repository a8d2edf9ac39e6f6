import { isSyntaxNode, lineAt, nameOf, type ParsedFile, type SyntaxNode, walk } from './syntax.ts'

/** A rule id quoted by a test, and where. */
export type QuotedRule = { readonly id: string; readonly path: string; readonly line: number }

const testCalls = new Set(['test', 'it', 'describe', 'suite'])

/** The rule ids a specification defines: lines that begin with `- **OB-5** `. A repeated id is returned twice. */
export function specRules(specification: string): string[] {
  return [...specification.matchAll(/^- \*\*([A-Z][A-Z0-9]*-\d+)\*\* /gm)].map((match) => match[1] ?? '')
}

/** The rule ids in the titles of tests and of the groups around them, written `[OB-5]` or `[OB-5, OB-6]`. */
export function quotedRules(file: ParsedFile): QuotedRule[] {
  const found: QuotedRule[] = []
  walk(file.program, (node) => {
    if (node.type !== 'CallExpression' || !testCalls.has(calledName(node.callee) ?? '')) return
    const title = Array.isArray(node.arguments) ? titleText(node.arguments[0]) : undefined
    for (const [, ids = ''] of title?.matchAll(/\[([A-Z][A-Z0-9]*-\d+(?:, ?[A-Z][A-Z0-9]*-\d+)*)\]/g) ?? []) {
      const line = lineAt(file.text, node.start)
      for (const id of ids.split(/, ?/)) found.push({ id, path: file.path, line })
    }
  })
  return found
}

/** What is wrong between the specification, the tests and the list of rules that have no test yet. */
export function judgeCoverage(coverage: {
  rules: readonly string[]
  quoted: readonly QuotedRule[]
  untested: Readonly<Record<string, string>>
}): string[] {
  const rules = new Set(coverage.rules)
  const tested = new Set(coverage.quoted.map((quote) => quote.id))
  const twice = coverage.rules.filter((id, index) => coverage.rules.indexOf(id) !== index)
  return [
    ...twice.map((id) => `${id} is defined twice in docs/SPEC.md`),
    ...[...rules]
      .filter((id) => !tested.has(id) && coverage.untested[id] === undefined)
      .map((id) => `${id} is quoted by no test title`),
    ...coverage.quoted
      .filter((quote) => !rules.has(quote.id))
      .map((quote) => `${quote.path}:${quote.line} quotes ${quote.id}, which docs/SPEC.md does not define`),
    ...Object.keys(coverage.untested)
      .filter((id) => tested.has(id) || !rules.has(id))
      .map((id) => `${id} no longer belongs in tools/spec-untested.json`),
  ]
}

/** `test` in `test(…)`, `test.each(rows)(…)` and `test.for(rows)(…)`. */
function calledName(callee: unknown): string | undefined {
  if (!isSyntaxNode(callee)) return undefined
  if (callee.type === 'MemberExpression') return calledName(callee.object)
  if (callee.type === 'CallExpression') return calledName(callee.callee)
  return nameOf(callee)
}

function titleText(node: unknown): string | undefined {
  if (!isSyntaxNode(node)) return undefined
  if (node.type === 'Literal') return typeof node.value === 'string' ? node.value : undefined
  if (node.type !== 'TemplateLiteral' || !Array.isArray(node.quasis)) return undefined
  return node.quasis.filter(isSyntaxNode).map(quasiText).join('…')
}

function quasiText(quasi: SyntaxNode): string {
  const { value } = quasi
  return typeof value === 'object' && value !== null && 'raw' in value ? String(value.raw) : ''
}
