import type { Plan, Step } from '../sim/plan.ts'
import { pocketTimes, type Span } from '../sim/pocket-times.ts'

/** Whether a device could be reached all the time between two moments of a run. */
export type Reachable = (disk: string, fromMs: number, toMs: number) => boolean

/** When devices cannot be reached, as their plan has it: without a network, switched off, in a pocket, or the server is down. */
export class AwayTimes {
  /** By disk, in order and without overlaps. */
  readonly #spans = new Map<string, readonly Span[]>()

  constructor(plan: Pick<Plan, 'devices' | 'steps' | 'chaosMs'>) {
    const server = plan.steps.flatMap((step) => spanOf(step, -1) ?? [])
    for (const [index] of plan.devices.entries()) {
      const own = plan.steps.flatMap((step) => spanOf(step, index) ?? [])
      this.#spans.set(`d${index}`, joined([...server, ...own, ...pocketTimes(plan, index)]))
    }
  }

  /** Whether the device could be reached all the time between the two. */
  isReachable(disk: string, fromMs: number, toMs: number): boolean {
    const spans = this.#spans.get(disk) ?? []
    let [low, high] = [0, spans.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((spans[middle]?.toMs ?? 0) < fromMs) low = middle + 1
      else high = middle
    }
    const next = spans[low]
    return next === undefined || next.fromMs > toMs
  }
}

function spanOf({ device, atMs, action }: Step, wanted: number): Span | undefined {
  if (device !== wanted) return undefined
  switch (action.kind) {
    case 'offline':
    case 'one-way':
    case 'clog':
    case 'suspend':
    case 'disk-full':
    case 'server-full':
      return { fromMs: atMs, toMs: atMs + action.forMs }
    // The process dies some calls later, and needs a moment to come back.
    case 'crash':
    case 'power-cut':
    case 'close':
    case 'server-kill':
      return { fromMs: atMs, toMs: atMs + action.downMs + 35_000 }
    case 'put-back':
    case 'clone':
    case 'server-restore':
      return { fromMs: atMs, toMs: atMs + 40_000 }
    default:
      return undefined
  }
}

function joined(spans: readonly Span[]): readonly Span[] {
  const all: Span[] = []
  for (const span of spans.toSorted((left, right) => left.fromMs - right.fromMs)) {
    const last = all.at(-1)
    if (last && span.fromMs <= last.toMs)
      all[all.length - 1] = { fromMs: last.fromMs, toMs: Math.max(last.toMs, span.toMs) }
    else all.push(span)
  }
  return all
}
