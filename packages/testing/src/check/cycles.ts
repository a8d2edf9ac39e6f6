/** How a cycle may take an edge: always, never, or never twice in a row. */
export type Follow = 'on' | 'never' | 'not twice'

interface Link<Node> {
  readonly from: Node
  readonly to: Node
}

/** A node as it was reached: by an edge that must not be followed by another of its kind, or by any other. */
interface State<Edge> {
  readonly edges: readonly Edge[]
  readonly isAfterSuch: boolean
}

/** So many starts are tried for a short one. */
const starts = 24

/** A short cycle of each set of nodes that all lead to each other by edges that `follow` lets pass. */
export function shortestCycles<Node, Edge extends Link<Node>>(
  graph: ReadonlyMap<Node, readonly Edge[]>,
  follow: (edge: Edge) => Follow,
): readonly (readonly Edge[])[] {
  const states = new Map(
    [...graph].map(([node, edges]) => [
      node,
      { plain: { edges, isAfterSuch: false }, after: { edges, isAfterSuch: true } },
    ]),
  )
  const next = ({ edges, isAfterSuch }: State<Edge>): [Edge, State<Edge>][] =>
    edges.flatMap((edge) => {
      const how = follow(edge)
      if (how === 'never' || (how === 'not twice' && isAfterSuch)) return []
      const to = states.get(edge.to)
      return to ? [[edge, how === 'not twice' ? to.after : to.plain] as [Edge, State<Edge>]] : []
    })
  const all = [...states.values()].flatMap(({ plain, after }) => [plain, after])
  return componentsOf(all, (state) => next(state).map(([, to]) => to))
    .filter((members) => members.length > 1)
    .map((members) => {
      const inside = new Set(members)
      const within = (state: State<Edge>): [Edge, State<Edge>][] =>
        next(state).filter(([, to]) => inside.has(to))
      const found = members.slice(0, starts).map((start) => cycleFrom(start, within))
      return found.sort((left, right) => left.length - right.length)[0] ?? []
    })
}

/** The shortest way from a state back to it; there is one. */
function cycleFrom<Edge>(
  start: State<Edge>,
  next: (state: State<Edge>) => readonly (readonly [Edge, State<Edge>])[],
): readonly Edge[] {
  const ways = new Map<State<Edge>, readonly Edge[]>([[start, []]])
  for (const [state, way] of ways) {
    for (const [edge, to] of next(state)) {
      if (to === start) return [...way, edge]
      if (!ways.has(to)) ways.set(to, [...way, edge])
    }
  }
  return []
}

interface Visit<Node> {
  readonly node: Node
  readonly next: Iterator<Node, undefined>
}

/** Strongly connected components, without recursion. Source: Tarjan 1972. */
function componentsOf<Node>(
  nodes: readonly Node[],
  next: (node: Node) => readonly Node[],
): readonly (readonly Node[])[] {
  const components: Node[][] = []
  const number = new Map<Node, number>()
  const low = new Map<Node, number>()
  const stack: Node[] = []
  const onStack = new Set<Node>()
  const enter = (node: Node): Visit<Node> => {
    number.set(node, number.size)
    low.set(node, number.size - 1)
    stack.push(node)
    onStack.add(node)
    return { node, next: next(node).values() }
  }
  const lower = (node: Node, to: number | undefined): void => {
    low.set(node, Math.min(low.get(node) ?? 0, to ?? Number.POSITIVE_INFINITY))
  }
  for (const root of nodes) {
    const path = number.has(root) ? [] : [enter(root)]
    for (let visit = path.at(-1); visit; visit = path.at(-1)) {
      const { value, done } = visit.next.next()
      if (done !== true) {
        if (!number.has(value)) path.push(enter(value))
        else if (onStack.has(value)) lower(visit.node, number.get(value))
        continue
      }
      path.pop()
      const above = path.at(-1)
      if (above) lower(above.node, low.get(visit.node))
      if (low.get(visit.node) !== number.get(visit.node)) continue
      const members = stack.splice(stack.indexOf(visit.node))
      for (const member of members) onStack.delete(member)
      components.push(members)
    }
  }
  return components
}
