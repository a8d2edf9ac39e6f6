import { childNodes, isSyntaxNode, nameOf, type SyntaxNode } from './syntax.ts'

/** A use of a name that no scope of the file declares. */
export type GlobalReference = {
  readonly name: string
  readonly node: SyntaxNode
  /** The nodes above it, the nearest first. */
  readonly parents: readonly SyntaxNode[]
}

type Scope = ReadonlySet<string>
type Place = { readonly scopes: readonly Scope[]; readonly parents: readonly SyntaxNode[] }

/** TypeScript nodes that hold an expression; every other one is a type and does not run. */
const runningTypeScriptNodes = new Set([
  'TSAsExpression',
  'TSSatisfiesExpression',
  'TSNonNullExpression',
  'TSTypeAssertion',
  'TSInstantiationExpression',
])

/** Every value a program takes from the global scope. Types, keys and member names are no references. */
export function globalReferences(program: SyntaxNode): GlobalReference[] {
  const found: GlobalReference[] = []
  collect(program, { scopes: [], parents: [] }, found)
  return found
}

function collect(node: SyntaxNode, place: Place, found: GlobalReference[]): void {
  if (node.type.startsWith('TS') && !runningTypeScriptNodes.has(node.type)) return
  if (node.type.startsWith('Import') && node.type !== 'ImportExpression') return
  if (node.type.startsWith('Export') && isSyntaxNode(node.source)) return
  const name = nameOf(node)
  if (name !== undefined) {
    const isDeclared = place.scopes.some((scope) => scope.has(name))
    if (!isDeclared) found.push({ name, node, parents: place.parents })
    return
  }
  const scopes = opensScope(node) ? [...place.scopes, declaredNames(node)] : place.scopes
  const below: Place = { scopes, parents: [node, ...place.parents] }
  for (const child of childNodes(node)) if (!isPlainKey(node, child)) collect(child, below, found)
}

/** `a.key`, `{ key: … }`, `key() {}`: words that belong to the object before them. */
function isPlainKey(parent: SyntaxNode, child: SyntaxNode): boolean {
  if (parent.computed === true) return false
  if (parent.type === 'MemberExpression') return child === parent.property
  if (parent.type === 'Property' && parent.shorthand === true) return child === parent.key
  return child === parent.key || child === parent.label
}

function isFunction(node: SyntaxNode): boolean {
  return /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)
}

function opensScope(node: SyntaxNode): boolean {
  return isFunction(node) || /^(Program|BlockStatement|For|CatchClause|Class|SwitchStatement)/.test(node.type)
}

/** The names a node declares for what is inside it: parameters, declarations, a catch binding, its own name. */
function declaredNames(scope: SyntaxNode): Scope {
  const names = new Set<string>()
  const ownName = nameOf(scope.id)
  if (ownName !== undefined) names.add(ownName)
  if (Array.isArray(scope.params)) for (const param of scope.params) addPattern(param, names)
  if (scope.type === 'CatchClause') addPattern(scope.param, names)
  for (const child of childNodes(scope)) addDeclarations(child, names)
  return names
}

function addDeclarations(node: SyntaxNode, names: Set<string>): void {
  if (node.type === 'VariableDeclaration') {
    for (const declarator of childNodes(node)) addPattern(declarator.id, names)
  } else if (node.type === 'ImportDeclaration') {
    for (const specifier of childNodes(node)) addPattern(specifier.local, names)
  } else if (node.type === 'FunctionDeclaration' || node.type === 'ClassDeclaration') {
    addPattern(node.id, names)
  } else if (/^(ExportNamed|ExportDefault|Switch)/.test(node.type)) {
    for (const child of childNodes(node)) addDeclarations(child, names)
  }
}

function addPattern(pattern: unknown, names: Set<string>): void {
  if (!isSyntaxNode(pattern)) return
  const name = nameOf(pattern)
  if (name !== undefined) names.add(name)
  else if (pattern.type === 'Property') addPattern(pattern.value, names)
  else if (pattern.type === 'AssignmentPattern') addPattern(pattern.left, names)
  else if (pattern.type === 'RestElement') addPattern(pattern.argument, names)
  else if (/^(ObjectPattern|ArrayPattern|FormalParameter)/.test(pattern.type)) {
    for (const child of childNodes(pattern)) addPattern(child, names)
  }
}
