import { assertNever, type Environment } from '@holdfast/core'

/** What a scripted fault looks at. */
export interface FaultyRequest {
  /** `push`, `pull`, `snapshot`, `stream`, `records`, `upload`, `attachment`. */
  readonly kind: string
  /** How many requests of this kind came before, 0 for the first. */
  readonly index: number
}

/** What goes wrong. `before`: the server never saw the request. `after`: it did, and only the answer is lost. */
export type Fault =
  /** The answer comes late. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** The connection breaks. */
  | { readonly kind: 'cut'; readonly when: 'before' | 'after' }
  /** The connection breaks when the server has so many bytes of the body. */
  | { readonly kind: 'cut-body'; readonly bytes: number }
  /** Nothing ever comes back. */
  | { readonly kind: 'silence'; readonly when: 'before' | 'after' }
  /** Something answers in place of the server; it never saw the request. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly body?: string
      readonly headers?: Readonly<Record<string, string>>
    }
  /** The body ends too early, though the server did its work. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** The network delivers the request twice; the second answer arrives. */
  | { readonly kind: 'duplicate' }
  /** The answer to the request of this kind before arrives again, in place of the right one. */
  | { readonly kind: 'stale-answer' }

/** A fault and when it strikes. */
export interface FaultRule {
  /** Kinds of requests, or a question; every request unless said. */
  readonly on?: string | ((request: FaultyRequest) => boolean)
  /** How often; for ever unless said. */
  readonly times?: number
  readonly fault: Fault
}

type Handler = (request: Request) => Promise<Response>

/** Puts scripted faults between a client and any Fetch-standard handler. The first rule that fits strikes. Rules: ENV-4. */
export class FaultScript {
  readonly #env: Pick<Environment, 'setTimer'>
  readonly #rules: { rule: FaultRule; left: number }[] = []
  readonly #counts = new Map<string, number>()
  readonly #lastAnswers = new Map<string, Response>()

  constructor(env: Pick<Environment, 'setTimer'>) {
    this.#env = env
  }

  /** Adds a rule. Returns the way to take it back. */
  add(rule: FaultRule): () => void {
    const entry = { rule, left: rule.times ?? Number.POSITIVE_INFINITY }
    this.#rules.push(entry)
    return () => {
      entry.left = 0
    }
  }

  /** Everything works from now on. */
  heal(): void {
    this.#rules.length = 0
  }

  /** Handles a request through whatever goes wrong with it. */
  async handle(request: Request, kind: string, handler: Handler): Promise<Response> {
    const index = this.#counts.get(kind) ?? 0
    this.#counts.set(kind, index + 1)
    const fault = this.#faultFor({ kind, index })
    const last = this.#lastAnswers.get(kind)
    if (fault?.kind === 'stale-answer' && last) return last.clone()
    const response =
      fault === undefined ? await handler(request) : await this.#strike(fault, request, handler)
    if (kind !== 'stream') this.#lastAnswers.set(kind, response.clone())
    return response
  }

  #faultFor(request: FaultyRequest): Fault | undefined {
    const found = this.#rules.find(({ rule, left }) => left > 0 && fits(rule, request))
    if (found) found.left -= 1
    return found?.rule.fault
  }

  async #strike(fault: Fault, request: Request, handler: Handler): Promise<Response> {
    switch (fault.kind) {
      case 'delay':
        await new Promise<void>((resolve) => void this.#env.setTimer(resolve, fault.ms))
        return handler(request)
      case 'cut':
        if (fault.when === 'after') await handler(request)
        throw new TypeError('fetch failed')
      case 'cut-body':
        await handler(await cutShort(request, fault.bytes)).catch(() => undefined)
        throw new TypeError('fetch failed')
      case 'silence':
        if (fault.when === 'after') await handler(request)
        return new Promise(() => undefined)
      case 'answer':
        return new Response(fault.status === 204 || fault.status === 304 ? null : (fault.body ?? ''), {
          status: fault.status,
          headers: { 'Content-Type': 'text/plain', ...fault.headers },
        })
      case 'truncate': {
        const response = await handler(request)
        return new Response((await response.text()).slice(0, fault.bytes), response)
      }
      case 'duplicate':
        await handler(request.clone())
        return handler(request)
      case 'stale-answer':
        return handler(request)
      default:
        return assertNever(fault)
    }
  }
}

async function cutShort(request: Request, bytes: number): Promise<Request> {
  const whole = new Uint8Array(await request.arrayBuffer())
  let isSent = false
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (isSent) controller.error(new TypeError('terminated'))
      else controller.enqueue(whole.slice(0, bytes))
      isSent = true
    },
  })
  const { method, headers, url } = request
  // A body that is a stream has to be announced as one; the platform's type does not know it.
  const init: RequestInit & { duplex: 'half' } = { method, headers, body, duplex: 'half' }
  return new Request(url, init)
}

function fits({ on }: FaultRule, request: FaultyRequest): boolean {
  if (on === undefined) return true
  return typeof on === 'string' ? on === request.kind : on(request)
}
