import { SeededRandom } from '../seeded-random.ts'
import type { RequestHead } from './request-frames.ts'

/**
 * What happens to one request and its answer. `when` says on which way: of the request, so that the server never did
 * the work, or of the answer, when it has. Byte counts are of the body of a request, and of the whole of an answer.
 */
export type ProxyFault =
  | { readonly kind: 'pass' }
  /** The connection is reset before anything reaches the server. */
  | { readonly kind: 'refuse' }
  /** The connection is reset (RST) after so many bytes. */
  | { readonly kind: 'reset'; readonly when: 'request' | 'answer'; readonly afterBytes: number }
  /** The connection ends in order (FIN) after so many bytes of the answer. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Swallowed, with the connection kept open; for good, or until it is reset after `ms`. */
  | { readonly kind: 'half-open'; readonly when: 'request' | 'answer'; readonly ms?: number }
  /** Held back for so long, then passed on. */
  | { readonly kind: 'stall'; readonly when: 'request' | 'answer'; readonly ms: number }
  /** Both ways drip. */
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  /** The request reaches the server twice at once; the client gets the answer to the `first` or to the `second`. */
  | { readonly kind: 'duplicate'; readonly deliver: 'first' | 'second' }
  /** The same bytes reach the server once more, so much later; nobody gets that answer. */
  | { readonly kind: 'replay'; readonly afterMs: number }

/** A request that is about to pass. */
export interface ProxyExchange extends RequestHead {
  /** Counts the requests of the proxy from 0. */
  readonly index: number
  /** Counts the connections of the proxy from 0. */
  readonly connection: number
}

/** Decides what happens to each request. */
export type FaultPlan = (exchange: ProxyExchange) => ProxyFault

/** How often each kind of fault was decided on. */
export type StruckFaults = Readonly<Record<ProxyFault['kind'], number>>

/** What `seededFaults` is made from. */
export interface SeededFaultOptions {
  readonly seed: number
  /** Chance that a request meets a fault, in [0, 1]. */
  readonly chance: number
  /** Drawn from evenly; all but `pass` unless said. */
  readonly kinds?: readonly ProxyFault['kind'][]
  /** The longest stall, silence or delay of a replay, ms; 2,000 unless said. */
  readonly longestMs?: number
}

const faultKinds = [
  'refuse',
  'reset',
  'cut',
  'half-open',
  'stall',
  'throttle',
  'duplicate',
  'replay',
] as const satisfies readonly ProxyFault['kind'][]

/** A plan of chance: the same seed decides the same for the same order of requests. */
export function seededFaults({
  seed,
  chance,
  kinds = faultKinds,
  longestMs = 2_000,
}: SeededFaultOptions): FaultPlan {
  const random = new SeededRandom(seed)
  return () => {
    const kind = random.next() < chance ? kinds[random.below(kinds.length)] : undefined
    return kind === undefined ? { kind: 'pass' } : drawFault(kind, random, longestMs)
  }
}

function drawFault(kind: ProxyFault['kind'], random: SeededRandom, longestMs: number): ProxyFault {
  const when = random.below(2) === 0 ? 'request' : 'answer'
  const ms = 1 + random.below(longestMs)
  // Most messages are short, so most cuts are early.
  const afterBytes = random.below(4) === 0 ? 0 : random.below(10 ** (1 + random.below(4)))
  switch (kind) {
    case 'pass':
    case 'refuse':
      return { kind }
    case 'reset':
      return { kind, when, afterBytes }
    case 'cut':
      return { kind, afterBytes }
    case 'half-open':
    case 'stall':
      return { kind, when, ms }
    case 'throttle':
      return { kind, bytesPerSecond: 500 + random.below(20_000) }
    case 'duplicate':
      return { kind, deliver: when === 'request' ? 'first' : 'second' }
    case 'replay':
      return { kind, afterMs: ms }
  }
}
