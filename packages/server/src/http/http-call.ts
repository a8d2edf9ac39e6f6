import type { Environment, Limits, Schema } from '@holdfast/core'

import type { Caller, Engine, User } from '../engine.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Admission, Admitted } from '../queue/admission.ts'
import type { Ingest } from '../queue/ingest.ts'
import type { Logger } from '../server.ts'
import type { StoreState } from '../store/store.ts'
import type { Answer } from './answer.ts'
import type { StreamHub } from './stream-hub.ts'

/** What handlers are made from; one for the life of a server. */
export interface HttpServices<U extends User = User> {
  readonly engine: Engine<U>
  readonly schema: Schema
  readonly env: Environment
  readonly limits: Limits
  readonly metrics: Metrics
  readonly streams: StreamHub<U>
  readonly ingest: Ingest<U>
  readonly admission: Admission
  readonly logger: Logger | undefined
  /** What the store says of itself: cheap, as long as it answers. */
  readonly storeState: () => Promise<StoreState>
  /** True once the server began to close. */
  readonly isClosing: () => boolean
}

/** A request that found its route. */
export interface HttpCall {
  readonly request: Request
  /** Of the part before `?`, by the names in the route's pattern. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly requestId: string
  /** Fields for the log line of this request: ids, codes and counts, never values. */
  readonly log: Record<string, unknown>
}

/** A request whose author is known. */
export interface UserCall<U extends User = User> extends HttpCall {
  readonly caller: Caller<U>
}

interface RouteBase {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `/records/{collection}/{id}`: what it matches, and its name in metrics and OpenAPI. */
  readonly pattern: string
  /** Plain shapes dress their errors with `status` and `message`. */
  readonly isPlain?: boolean
  /** `message` of this route's errors, where clients look for a fixed text; `error.message` has the reason. */
  readonly failedMessage?: string
  /** On every answer of this route, errors included; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  /** Its handler reads the body while it comes; every other is waited for before it is asked what its author may see. */
  readonly isStreamed?: boolean
  /** Counted among these while it is answered; absent: not bounded. */
  readonly admitted?: Admitted
}

/** One address and method. */
export type Route<U extends User = User> =
  | (RouteBase & { readonly access: 'anyone'; readonly handle: (call: HttpCall) => Answer | Promise<Answer> })
  | (RouteBase & {
      readonly access: 'user'
      readonly handle: (call: UserCall<U>) => Answer | Promise<Answer>
    })
