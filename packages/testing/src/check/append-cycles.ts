import { type Follow, shortestCycles } from './cycles.ts'

/**
 * What a transaction was promised of what it read beside what it locked: nothing but that it was committed
 * (`READ COMMITTED`); one moment (a device that pulled to the end, `REPEATABLE READ`, a write under a version); one moment
 * and, among its like, one order of all (`SERIALIZABLE`).
 */
export type AppendLevel = 'committed' | 'snapshot' | 'serializable'

/** A transaction of a history in which lists only grow, by tokens that are each appended once. */
export interface AppendTransaction {
  readonly id: string
  /** Whether its author was told that it is committed. */
  readonly isCommitted: boolean
  readonly level: AppendLevel
  /** Who did it: transactions of one session follow each other, as the history has them. */
  readonly session?: string
  readonly appends: readonly { readonly list: string; readonly token: string }[]
  /** Lists as they were seen, whole. */
  readonly reads: readonly { readonly list: string; readonly tokens: readonly string[] }[]
}

/** What the promises forbid, with its name in the literature. */
export interface AppendAnomaly {
  readonly kind:
    | 'lost append'
    | 'unknown token'
    | 'token twice'
    /** G1a */
    | 'uncommitted read'
    /** G1b */
    | 'halfway read'
    | 'two orders'
    /** G0 */
    | 'write cycle'
    /** G1c */
    | 'read cycle'
    /** Of one session. */
    | 'time went back'
    | 'lost update'
    /** G-single */
    | 'read skew'
    /** Long fork: readers that saw commits in different orders. */
    | 'crossed reads'
    /** G2 */
    | 'write skew'
  readonly message: string
}

/** Why one transaction comes before another: it wrote first, its write was read, it was before it in its session, or its read missed a write. */
type Reason = 'ww' | 'wr' | 'session' | 'rw'

interface Orders {
  /** The order of tokens by list, from the longest read of each. */
  readonly lists: ReadonlyMap<string, readonly string[]>
  readonly authors: ReadonlyMap<string, AppendTransaction>
}

/**
 * Checks a history as Elle does: the reads of a list say in which order its tokens were written, and that order says which
 * transaction came before which. A cycle of such edges means that no order explains what was seen.
 * Whoever sees one moment may miss a write of somebody who missed a write: only where two such edges follow each other a
 * cycle is no breach, unless all of it is serializable. Every other edge leads from an earlier commit to a later one.
 * Sources: Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB 2020; Fekete
 * and others, "Making Snapshot Isolation Serializable", TODS 2005.
 * `final` are the lists as they stood in the end: what was committed must be in them.
 */
export function findAppendAnomalies(
  history: readonly AppendTransaction[],
  final: ReadonlyMap<string, readonly string[]>,
): readonly AppendAnomaly[] {
  const end: AppendTransaction = {
    id: 'the end',
    isCommitted: true,
    level: 'snapshot',
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

interface Edge {
  readonly from: AppendTransaction
  readonly to: AppendTransaction
  readonly reason: Reason
}

/** Of two transactions the strongest reason alone. */
function edgesOf(
  history: readonly AppendTransaction[],
  { lists, authors }: Orders,
): ReadonlyMap<AppendTransaction, readonly Edge[]> {
  const edges = new Map(history.map((each) => [each, new Map<AppendTransaction, Edge>()]))
  const add = (
    from: AppendTransaction | undefined,
    to: AppendTransaction | undefined,
    reason: Reason,
  ): void => {
    if (!from || !to || from === to || edges.get(from)?.has(to) === true) return
    edges.get(from)?.set(to, { from, to, reason })
  }
  for (const tokens of lists.values())
    tokens.forEach((token, at) => add(authors.get(token), authors.get(tokens[at + 1] ?? ''), 'ww'))
  const reads = history.flatMap((reader) => reader.reads.map((read) => ({ reader, ...read })))
  for (const { reader, tokens } of reads) add(authors.get(tokens.at(-1) ?? ''), reader, 'wr')
  const last = new Map<string, AppendTransaction>()
  for (const each of history) {
    if (each.session === undefined || !each.isCommitted) continue
    add(last.get(each.session), each, 'session')
    last.set(each.session, each)
  }
  for (const { reader, list, tokens } of reads)
    if (reader.level !== 'committed') add(reader, authors.get(lists.get(list)?.[tokens.length] ?? ''), 'rw')
  return new Map([...edges].map(([from, out]) => [from, [...out.values()]]))
}

/** From the worst on; what is found by one is not told again by the next. */
const stages: readonly ((edge: Edge) => Follow)[] = [
  ({ reason }) => (reason === 'ww' ? 'on' : 'never'),
  ({ reason }) => (reason === 'ww' || reason === 'wr' ? 'on' : 'never'),
  ({ reason }) => (reason === 'rw' ? 'never' : 'on'),
  ({ reason }) => (reason === 'rw' ? 'not twice' : 'on'),
  ({ from, to }) => (from.level === 'serializable' && to.level === 'serializable' ? 'on' : 'never'),
]

function cyclesOf(history: readonly AppendTransaction[], orders: Orders): readonly AppendAnomaly[] {
  const edges = edgesOf(history, orders)
  for (const follow of stages) {
    const cycles = shortestCycles(edges, follow)
    if (cycles.length > 0) return cycles.map((cycle) => ({ kind: kindOf(cycle), message: textOf(cycle) }))
  }
  return []
}

function kindOf(cycle: readonly Edge[]): AppendAnomaly['kind'] {
  const of = (reason: Reason): number => cycle.filter((edge) => edge.reason === reason).length
  const missed = cycle.findIndex(({ reason }) => reason === 'rw')
  if (missed === -1) return of('session') > 0 ? 'time went back' : of('wr') > 0 ? 'read cycle' : 'write cycle'
  const follows = (at: number): boolean => cycle[(at + 1) % cycle.length]?.reason === 'rw'
  if (of('rw') > 1)
    return cycle.some(({ reason }, at) => reason === 'rw' && follows(at)) ? 'write skew' : 'crossed reads'
  return of('ww') === cycle.length - 1 && writesWhatItRead(cycle[missed]) ? 'lost update' : 'read skew'
}

/** Whether a transaction appended to the list in which it missed the other's write. */
function writesWhatItRead(edge: Edge | undefined): boolean {
  const own = new Set(edge?.from.appends.map(({ list }) => list))
  return (
    edge?.to.appends.some(
      ({ list }) => own.has(list) && edge.from.reads.some((read) => read.list === list),
    ) ?? false
  )
}

function textOf(cycle: readonly Edge[]): string {
  const steps = cycle.slice(0, 12).map(({ from, to, reason }) => `${from.id} -${reason}-> ${to.id}`)
  return steps.join(', ')
}
