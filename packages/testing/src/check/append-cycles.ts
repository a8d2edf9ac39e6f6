/** A transaction of a history in which lists only grow, by tokens that are each appended once. */
export interface AppendTransaction {
  readonly id: string
  /** Whether its author was told that it is committed. */
  readonly isCommitted: boolean
  readonly appends: readonly { readonly list: string; readonly token: string }[]
  /** Lists as they were seen, whole. */
  readonly reads: readonly { readonly list: string; readonly tokens: readonly string[] }[]
}

/** What no serial order of the transactions can explain. */
export interface AppendAnomaly {
  readonly kind:
    | 'lost append'
    | 'unknown token'
    | 'token twice'
    | 'uncommitted read'
    | 'halfway read'
    | 'two orders'
    | 'write cycle'
    | 'read cycle'
    | 'overtaken read'
  readonly message: string
}

/** Why one transaction comes before another: it wrote first, its write was read, or its read missed a write. */
type Reason = 'ww' | 'wr' | 'rw'

interface Orders {
  /** The order of tokens by list, from the longest read of each. */
  readonly lists: ReadonlyMap<string, readonly string[]>
  readonly authors: ReadonlyMap<string, AppendTransaction>
}

/**
 * Checks a history as Elle does: the reads of a list say in which order its tokens were written, and that order says which
 * transaction came before which. A cycle of such edges means that no order explains what was seen.
 * Source: Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB 2020.
 * `final` are the lists as they stood in the end: what was committed must be in them.
 */
export function findAppendAnomalies(
  history: readonly AppendTransaction[],
  final: ReadonlyMap<string, readonly string[]>,
): readonly AppendAnomaly[] {
  const end: AppendTransaction = {
    id: 'the end',
    isCommitted: true,
    appends: [],
    reads: [...final].map(([list, tokens]) => ({ list, tokens })),
  }
  const all = [...history, end]
  const authors = new Map(all.flatMap((each) => each.appends.map(({ token }) => [token, each] as const)))
  const orders: Orders = { authors, lists: longestReads(all) }
  const odd = [...all.flatMap((each) => strangeReads(each, orders)), ...lostAppends(history, final)]
  return odd.length > 0 ? odd : cyclesOf(all, orders)
}

function longestReads(history: readonly AppendTransaction[]): ReadonlyMap<string, readonly string[]> {
  const longest = new Map<string, readonly string[]>()
  for (const { list, tokens } of history.flatMap(({ reads }) => reads))
    if (tokens.length >= (longest.get(list)?.length ?? 0)) longest.set(list, tokens)
  return longest
}

function strangeReads(reader: AppendTransaction, { authors, lists }: Orders): readonly AppendAnomaly[] {
  return reader.reads.flatMap(({ list, tokens }): readonly AppendAnomaly[] => {
    const tell = (kind: AppendAnomaly['kind'], token: string | undefined): AppendAnomaly[] => [
      { kind, message: `${reader.id} read ${token} in ${list}` },
    ]
    if (new Set(tokens).size < tokens.length) return tell('token twice', tokens.join(','))
    const strange = tokens.find((token) => !authors.has(token))
    if (strange !== undefined) return tell('unknown token', strange)
    const undone = tokens.find((token) => authors.get(token)?.isCommitted === false)
    if (undone !== undefined) return tell('uncommitted read', undone)
    const order = lists.get(list) ?? []
    const off = tokens.findIndex((token, at) => order[at] !== token)
    if (off !== -1) return tell('two orders', tokens[off])
    const last = tokens.at(-1)
    const author = last === undefined ? undefined : authors.get(last)
    const own = author?.appends.filter((append) => append.list === list) ?? []
    if (author !== reader && own.length > 0 && own.at(-1)?.token !== last) return tell('halfway read', last)
    return []
  })
}

function lostAppends(
  history: readonly AppendTransaction[],
  final: ReadonlyMap<string, readonly string[]>,
): readonly AppendAnomaly[] {
  const kept = new Map([...final].map(([list, tokens]) => [list, new Set(tokens)]))
  return history.flatMap(({ id, isCommitted, appends }) =>
    appends
      .filter(({ list, token }) => isCommitted && kept.get(list)?.has(token) !== true)
      .map(
        ({ list, token }): AppendAnomaly => ({
          kind: 'lost append',
          message: `${token} of ${id} is not in ${list}`,
        }),
      ),
  )
}

type Edges = Map<AppendTransaction, Map<AppendTransaction, Reason>>

function cyclesOf(
  history: readonly AppendTransaction[],
  { lists, authors }: Orders,
): readonly AppendAnomaly[] {
  const edges: Edges = new Map(history.map((each) => [each, new Map()]))
  const add = (
    from: AppendTransaction | undefined,
    to: AppendTransaction | undefined,
    reason: Reason,
  ): void => {
    if (!from || !to || from === to) return
    const out = edges.get(from)
    if (out && !out.has(to)) out.set(to, reason)
  }
  for (const tokens of lists.values())
    tokens.forEach((token, at) => add(authors.get(token), authors.get(tokens[at + 1] ?? ''), 'ww'))
  for (const reader of history) {
    for (const { list, tokens } of reader.reads) {
      add(authors.get(tokens.at(-1) ?? ''), reader, 'wr')
      add(reader, authors.get(lists.get(list)?.[tokens.length] ?? ''), 'rw')
    }
  }
  return componentsOf(edges).flatMap((members) => (members.length < 2 ? [] : [anomalyOf(members, edges)]))
}

function anomalyOf(members: readonly AppendTransaction[], edges: Edges): AppendAnomaly {
  const inside = new Set(members)
  const found = members.flatMap((from) =>
    [...(edges.get(from) ?? [])].flatMap(([to, reason]) => (inside.has(to) ? [{ from, to, reason }] : [])),
  )
  const reasons = new Set(found.map(({ reason }) => reason))
  const kind = reasons.has('rw') ? 'overtaken read' : reasons.has('wr') ? 'read cycle' : 'write cycle'
  const shown = found.slice(0, 8).map(({ from, to, reason }) => `${from.id} -${reason}-> ${to.id}`)
  return { kind, message: shown.join(', ') }
}

interface Visit {
  readonly node: AppendTransaction
  readonly next: Iterator<AppendTransaction, undefined>
}

/** Strongly connected components, without recursion. Source: Tarjan 1972. */
function componentsOf(edges: Edges): readonly (readonly AppendTransaction[])[] {
  const components: AppendTransaction[][] = []
  const number = new Map<AppendTransaction, number>()
  const low = new Map<AppendTransaction, number>()
  const stack: AppendTransaction[] = []
  const onStack = new Set<AppendTransaction>()
  const enter = (node: AppendTransaction): Visit => {
    number.set(node, number.size)
    low.set(node, number.size - 1)
    stack.push(node)
    onStack.add(node)
    return { node, next: (edges.get(node) ?? new Map<AppendTransaction, Reason>()).keys() }
  }
  const lower = (node: AppendTransaction, to: number | undefined): void => {
    low.set(node, Math.min(low.get(node) ?? 0, to ?? Number.POSITIVE_INFINITY))
  }
  for (const root of edges.keys()) {
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
