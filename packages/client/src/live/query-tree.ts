import {
  AliasNode,
  ColumnNode,
  type OperationNode,
  type OrderByItemNode,
  RawNode,
  ReferenceNode,
  SelectQueryNode,
  TableNode,
} from 'kysely'

/** A column of a result by which its rows are ordered. */
export interface SortKey {
  readonly column: string
  readonly isDescending: boolean
}

/** What is known of a query each of whose rows depends on one row of one table, and on nothing else. */
export interface RowwiseQuery {
  readonly table: string
  readonly sortKeys: readonly SortKey[]
}

/** What such a query is made of. Whatever is not named here, such as joins, functions, limits and raw SQL, is not. */
const rowwiseKinds: ReadonlySet<string> = new Set([
  'AliasNode',
  'AndNode',
  'BinaryOperationNode',
  'CastNode',
  'ColumnNode',
  'DataTypeNode',
  'FromNode',
  'IdentifierNode',
  'OperatorNode',
  'OrNode',
  'OrderByItemNode',
  'OrderByNode',
  'ParensNode',
  'PrimitiveValueListNode',
  'ReferenceNode',
  'SchemableIdentifierNode',
  'SelectAllNode',
  'SelectionNode',
  'TableNode',
  'UnaryOperationNode',
  'ValueListNode',
  'ValueNode',
  'WhereNode',
])

/** What a query says of its rows, when each of them can be read again by itself. Rules: LQ-9. */
export function rowwiseQuery(query: OperationNode): RowwiseQuery | undefined {
  if (!SelectQueryNode.is(query)) return undefined
  const [from, ...otherFroms] = query.from?.froms ?? []
  if (from === undefined || otherFroms.length > 0) return undefined
  const source = AliasNode.is(from) ? from.node : from
  if (!TableNode.is(source)) return undefined
  const sortKeys: SortKey[] = []
  for (const item of query.orderBy?.items ?? []) {
    const key = sortKeyOf(item)
    if (key === undefined) return undefined
    sortKeys.push(key)
  }
  const { orderBy: _, ...unordered } = query
  for (const node of nodesIn(unordered)) if (node !== unordered && !isRowwise(node)) return undefined
  return { table: source.table.identifier.name, sortKeys }
}

/** The tables a query names; undefined when it holds raw SQL, which may name others. */
export function tablesIn(query: OperationNode): ReadonlySet<string> | undefined {
  const tables = new Set<string>()
  for (const node of nodesIn(query)) {
    // The direction of an order is raw SQL that names nothing.
    if (RawNode.is(node) && !isDirection(node)) return undefined
    if (TableNode.is(node)) tables.add(node.table.identifier.name)
  }
  return tables
}

function sortKeyOf(item: OrderByItemNode): SortKey | undefined {
  const { orderBy, direction, nulls, collation } = item
  if (nulls !== undefined || collation !== undefined) return undefined
  if (!ReferenceNode.is(orderBy) || !ColumnNode.is(orderBy.column)) return undefined
  if (direction !== undefined && !isDirection(direction)) return undefined
  return { column: orderBy.column.column.name, isDescending: direction?.sqlFragments[0] === 'desc' }
}

function isDirection(node: OperationNode): node is RawNode {
  if (!RawNode.is(node) || node.parameters.length > 0) return false
  return node.sqlFragments.length === 1 && /^(asc|desc)$/.test(node.sqlFragments[0] ?? '')
}

/** `_scopes` changes without a word, since nobody is shown it. */
function isRowwise(node: OperationNode): boolean {
  return rowwiseKinds.has(node.kind) && !('name' in node && node.name === '_scopes')
}

function* nodesIn(query: OperationNode): Generator<OperationNode> {
  const open: unknown[] = [query]
  while (open.length > 0) {
    const each = open.pop()
    if (typeof each !== 'object' || each === null) continue
    if ('kind' in each && typeof each.kind === 'string') yield each as OperationNode
    const members: unknown[] = Object.values(each)
    open.push(...members)
  }
}
