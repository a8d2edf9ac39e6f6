import type { Fate } from './disk-ports.ts'
import type { Sender } from './sender.ts'
import type { SimDevice } from './sim-device.ts'

/** A message on its way: a request to the server, its answer, or a poke on an open stream. */
export interface Leg {
  readonly kind: 'request' | 'answer' | 'poke'
  readonly sender: Sender
  readonly route: string
  /** Of the body of a request; 0 otherwise. */
  readonly bytes: number
}

/**
 * What becomes of a request. `lose`: nothing is ever heard of it. `reset`: the connection fails before it arrived.
 * `double`: it arrives twice. A response: something else answers.
 */
export type RequestFate = 'lose' | 'reset' | 'double' | Response

/**
 * What becomes of an answer. `lose`: it never comes. `reset`: the connection fails in its place. `cut`: it breaks off in
 * the middle. `short`: it ends in the middle as if that had been all. `stall`: it stops in the middle and never ends.
 * `head`: of its body nothing comes, and it never ends. `kill`: the server died before it was sent.
 */
export type AnswerFate = 'lose' | 'reset' | 'cut' | 'short' | 'stall' | 'head' | 'kill'

/**
 * What somebody who plans a run moment by moment puts in front of chance. It is asked first; what it has no answer to,
 * undefined, chance decides. Rules: SIM-40.
 */
export interface Strike {
  /** Before a statement of a device. */
  readonly device?: (device: SimDevice, sql: string) => Fate | undefined
  /** Before a statement of the server. */
  readonly server?: (sql: string) => Fate | undefined
  readonly request?: (leg: Leg) => RequestFate | undefined
  readonly answer?: (leg: Leg) => AnswerFate | undefined
  /** Takes a message over: it arrives when `go` is called. False: it takes its usual time. */
  readonly carry?: (leg: Leg, go: () => void) => boolean
}
