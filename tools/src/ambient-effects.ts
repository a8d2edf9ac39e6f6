import { type GlobalReference, globalReferences } from './global-references.ts'
import { moduleImports } from './module-imports.ts'
import { type Finding, isSyntaxNode, lineAt, nameOf, type ParsedFile, type SyntaxNode } from './syntax.ts'

/** The places where the real environment is made; only these may touch the real clock, dice, timers and network. */
export const environmentFiles: ReadonlySet<string> = new Set([
  'packages/client/src/system-environment.ts',
  'packages/server/src/system-environment.ts',
])

/** Globals that are an effect by themselves, whatever is done with them. */
const bannedGlobals = new Set([
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'queueMicrotask',
  'requestIdleCallback',
  'performance',
  'fetch',
  'WebSocket',
  'EventSource',
  'XMLHttpRequest',
])

/** Members of globals that are one; the global itself is otherwise harmless. */
const bannedMembers: Readonly<Record<string, readonly string[]>> = {
  Date: ['now'],
  Math: ['random'],
  crypto: ['randomUUID', 'randomUUIDv7', 'getRandomValues'],
  process: ['hrtime', 'uptime', 'nextTick'],
  AbortSignal: ['timeout'],
  Temporal: ['Now'],
}

const globalObjects = new Set(['globalThis', 'window', 'self', 'global'])
const bannedModules = /^(node:)?(timers|timers\/promises|perf_hooks)$/
const bannedImports = new Set([
  'randomUUID',
  'randomUUIDv7',
  'randomBytes',
  'randomInt',
  'randomFillSync',
  'getRandomValues',
  'hrtime',
])

/** Uses of time, chance, timers, ids and the network that did not come from the injected environment. */
export function findAmbientEffects(file: ParsedFile): Finding[] {
  if (environmentFiles.has(file.path)) return []
  const found: Finding[] = []
  for (const reference of globalReferences(file.program)) {
    const effect = ambientEffect(reference)
    if (effect === undefined) continue
    const line = lineAt(file.text, reference.node.start)
    found.push({ path: file.path, line, says: `takes ${effect} from outside the environment` })
  }
  for (const { specifier, names, line } of moduleImports(file)) {
    const name = names.find((candidate) => bannedImports.has(candidate))
    if (!bannedModules.test(specifier) && name === undefined) continue
    found.push({ path: file.path, line, says: `takes ${name ?? specifier} from outside the environment` })
  }
  return found
}

function ambientEffect({ name, parents }: GlobalReference): string | undefined {
  if (bannedGlobals.has(name)) return name
  const [parent, grandparent] = parents
  if (parent === undefined) return undefined
  if (name === 'Date' && isClockRead(parent)) return 'the time through Date'
  const member = memberName(parent)
  if (member === undefined) return bannedMembers[name] !== undefined && isCopied(parent) ? name : undefined
  if (bannedMembers[name]?.includes(member) === true) return `${name}.${member}`
  if (!globalObjects.has(name)) return undefined
  if (bannedGlobals.has(member)) return `${name}.${member}`
  const nested = grandparent === undefined ? undefined : memberName(grandparent)
  return nested !== undefined && bannedMembers[member]?.includes(nested) === true
    ? `${member}.${nested}`
    : undefined
}

/** `new Date()` and `Date()` read the clock; `new Date(value)` only converts. */
function isClockRead(parent: SyntaxNode): boolean {
  if (parent.type === 'CallExpression') return nameOf(parent.callee) === 'Date'
  return parent.type === 'NewExpression' && Array.isArray(parent.arguments) && parent.arguments.length === 0
}

/** `const { random } = Math` hides the member; so does giving the object another name. */
function isCopied(parent: SyntaxNode): boolean {
  return parent.type === 'VariableDeclarator'
}

function memberName(node: SyntaxNode): string | undefined {
  if (node.type !== 'MemberExpression' || !isSyntaxNode(node.property)) return undefined
  const { property } = node
  if (node.computed !== true) return nameOf(property)
  return typeof property.value === 'string' ? property.value : undefined
}
