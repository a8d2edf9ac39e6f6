import type { SeededRandom } from '../seeded-random.ts'
import type { Life } from './life.ts'
import type { Link } from './link.ts'
import type { NetworkFaults } from './plan.ts'
import type { Scheduler } from './scheduler.ts'
import type { Sender } from './sender.ts'
import type { AnswerFate, Leg, RequestFate, Strike } from './strike.ts'
import type { Tally } from './tally.ts'

/** What the network connects to. */
export interface Destination {
  /** null: nobody listens. */
  readonly answer: ((request: Request) => Promise<Response>) | null
  /** The life of the process that answers: what it says after its end is never heard. */
  readonly life: Life
}

/** What a network is made from. */
export interface NetworkParts {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly faults: Tally
  readonly destination: () => Destination
  /** Tokens of the user are refused from now on; new ones too for so long, ms, until somebody signs in again. */
  readonly expireToken: (user: string, forMs: number) => void
  /** With the bytes of the body; 0 when there was no network to send it by. */
  readonly onRequest: (sender: Sender, route: string, bytes: number) => void
  /** A sender was given an answer, whoever it is from, or the head of one. */
  readonly onAnswer: (sender: Sender, route: string) => void
  readonly onResponse: (sender: Sender, route: string, status: number, text: string) => void
  /** Asked before chance is. */
  readonly strike?: () => Strike
  /** The server dies now. */
  readonly killServer?: () => void
}

/** A request as bytes, to be sent as often as it takes. */
interface Message {
  readonly url: string
  readonly init: RequestInit
  /** Of the body. */
  readonly bytes: number
}

type Give = (response: Response) => void

/** The longest that somebody whose session is over takes to sign in, ms. */
const signedOutMs = 20_000

/**
 * Carries requests and answers between devices and the server, late, twice, in pieces or not at all. What happens to a
 * message is drawn when it is sent. Rules: SIM-3.
 */
export class Network {
  readonly #parts: NetworkParts
  #mix: NetworkFaults
  /**
   * Held on to: the platform ends the body of a Response, and forgets the signal of a Request, that was collected as
   * garbage, at a moment nobody can repeat.
   */
  readonly #streams: (Request | Response)[] = []
  /** What ends the requests that nobody has answered, and the streams that are open. */
  readonly #endings = new Set<(reason: Error) => void>()

  constructor(parts: NetworkParts, mix: NetworkFaults) {
    this.#parts = parts
    this.#mix = mix
  }

  /** From now on messages only take their time. */
  heal(): void {
    this.#mix = healthy(Math.min(this.#mix.delayMs, 100))
  }

  /**
   * Everything that is on its way fails, for good. What waits for an answer that never comes is otherwise kept for ever,
   * and the world with it: the platform holds the signal of a request as long as the request lives, and whoever listens
   * to that signal holds the request.
   */
  close(): void {
    for (const end of this.#endings) end(new TypeError('fetch failed'))
    this.#endings.clear()
    this.#streams.length = 0
  }

  readonly fetch = (sender: Sender, request: Request): Promise<Response> => {
    const route = routeOf(request)
    const { promise, resolve, reject } = Promise.withResolvers<Response>()
    const end = (reason: Error): void => {
      this.#endings.delete(end)
      reject(reason)
    }
    this.#endings.add(end)
    const give: Give = (response) =>
      sender.life.deliver(() => {
        this.#endings.delete(end)
        this.#parts.onAnswer(sender, route)
        resolve(response)
      })
    const refuse = (afterMs: number): void => {
      const failed = new TypeError('fetch failed')
      this.#parts.scheduler.after(afterMs, () => sender.life.deliver(() => end(failed)))
    }
    request.signal.addEventListener('abort', () => end(request.signal.reason as Error), { once: true })
    void this.#send({ sender, request, route, give, refuse })
    return promise
  }

  async #send(sent: Sent): Promise<void> {
    const { sender, request, route, give, refuse } = sent
    const { scheduler, random, faults, onRequest } = this.#parts
    if (sender.link.isOffline(scheduler.nowMs)) {
      onRequest(sender, route, 0)
      faults.add('offline')
      return refuse(5 + random.next() * 500)
    }
    const message = route === 'stream' ? null : await messageOf(request)
    const bytes = message?.bytes ?? 0
    onRequest(sender, route, bytes)
    const fate = this.#parts.strike?.().request?.({ kind: 'request', sender, route, bytes })
    if (fate !== undefined && fate !== 'double') return this.#meet(fate, sent)
    if (message === null) return this.#openStream(sent)
    const mix = this.#mix
    if (this.#strikes('expire', mix.expire)) {
      this.#parts.expireToken(sender.user, random.below(3) === 0 ? random.below(signedOutMs) : 0)
    }
    if (this.#strikes('impostor', mix.impostor)) {
      const response = impostors[random.below(impostors.length)]
      return void scheduler.after(this.#delay(sender.link), () => response && give(response()))
    }
    if (scheduler.nowMs < sender.link.upLostUntilMs || this.#strikes('lose-request', mix.loseRequest)) {
      // Half of what is lost is noticed at once, as with a connection that is reset; of the rest nothing is ever heard.
      return random.next() < 0.5 ? refuse(random.next() * 2_000) : undefined
    }
    if (this.#strikes('replay', mix.replay)) {
      scheduler.after(this.#delay(sender.link) + random.next() * 180_000, () => {
        void this.#arrive(sender, route, message)
      })
    }
    const isTwice = fate === 'double' || this.#strikes('duplicate', mix.duplicate)
    const leg: Leg = { kind: 'request', sender, route, bytes }
    if (isTwice) this.#carry(leg, () => void this.#arrive(sender, route, message))
    this.#carry(leg, () => {
      void this.#arrive(sender, route, message).then((answer) => {
        if (answer === null) refuse(random.next() * 1_000)
        else this.#return(sent, answer)
      })
    })
  }

  /** A message goes its way, in its time. */
  #carry(leg: Leg, go: () => void): void {
    if (this.#parts.strike?.().carry?.(leg, go) !== true)
      this.#parts.scheduler.after(this.#delay(leg.sender.link), go)
  }

  /** What was planned for a request happens to it. */
  #meet(fate: Exclude<RequestFate, 'double'>, { give, refuse }: Sent): void {
    if (fate === 'reset') refuse(20)
    else if (fate !== 'lose') this.#parts.scheduler.after(20, () => give(fate))
  }

  /** The server reads it. null: nobody was there, or it died over it. */
  async #arrive(sender: Sender, route: string, { url, init }: Message): Promise<Answered | null> {
    const { destination, onResponse, scheduler } = this.#parts
    const { answer, life } = destination()
    if (answer === null) return null
    const response = await answer(new Request(url, init))
    const text = await response.text()
    const fate = life.isAlive
      ? this.#parts.strike?.().answer?.({ kind: 'answer', sender, route, bytes: 0 })
      : undefined
    if (fate === 'kill') this.#parts.killServer?.()
    // What a dead server would have said is as good as lost: somebody sees the connection end.
    if (!life.isAlive) {
      await new Promise<void>((resolve) => {
        scheduler.after(0, resolve)
      })
      return null
    }
    onResponse(sender, route, response.status, text)
    return { text, status: response.status, headers: response.headers, fate }
  }

  #return({ sender, route, give, refuse }: Sent, { text, status, headers, fate }: Answered): void {
    const { scheduler, random } = this.#parts
    const mix = this.#mix
    const { link } = sender
    if (fate === 'lose') return
    if (fate === 'reset') return refuse(20)
    if (scheduler.nowMs < link.downLostUntilMs || this.#strikes('lose-answer', mix.loseAnswer)) {
      return random.next() < 0.5 ? refuse(random.next() * 2_000) : undefined
    }
    const isCut = fate !== undefined || this.#strikes('cut', mix.cut)
    const length = Math.floor((fate === undefined ? random.next() : 0.5) * text.length)
    const body = isCut ? this.#cutBody(text, length, fate ?? cuts[length % cuts.length]) : text
    this.#carry({ kind: 'answer', sender, route, bytes: 0 }, () => {
      // Nobody who is offline by now hears of it.
      if (link.isOffline(scheduler.nowMs)) return
      give(new Response(status === 204 ? null : body, { status, headers }))
    })
  }

  #cutBody(text: string, length: number, fate: AnswerFate | undefined): ReadableStream<Uint8Array> | string {
    if (fate === 'short') return text.slice(0, length)
    const bytes = new TextEncoder().encode(text.slice(0, length))
    return new ReadableStream({
      start: (controller) => {
        if (fate !== 'head') controller.enqueue(bytes)
        if (fate === 'stall' || fate === 'head') this.#endings.add((reason) => controller.error(reason))
        else controller.error(new TypeError('terminated'))
      },
    })
  }

  /** Pokes pass as they come; a link that fails takes the stream with it. */
  async #openStream({ sender, request, give, refuse }: Sent): Promise<void> {
    const { scheduler, random, destination } = this.#parts
    const { answer, life } = destination()
    if (answer === null || this.#strikes('lose-request', this.#mix.loseRequest))
      return refuse(random.next() * 1_000)
    const response = await answer(request)
    if (response.body === null || response.status !== 200) return give(response)
    // A body of the Fetch standard is a stream of bytes; the platform's type leaves that open.
    const source = (response.body as ReadableStream<Uint8Array>).getReader()
    const end = (): void => void source.cancel().catch(() => undefined)
    request.signal.addEventListener('abort', () => close(), { once: true })
    let isOpen = true
    const close = (): void => {
      isOpen = false
      end()
    }
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#endings.add((reason) => {
          if (isOpen) controller.error(reason)
          close()
        })
        const pass = async (): Promise<void> => {
          for (;;) {
            const { done, value } = await source.read()
            const { link } = sender
            const isBroken = !life.isAlive || !sender.life.isAlive || sender.life.isSuspended
            if (done || isBroken || link.isOffline(scheduler.nowMs)) break
            if (scheduler.nowMs < link.downLostUntilMs) continue
            this.#carry({ kind: 'poke', sender, route: 'stream', bytes: 0 }, () => {
              sender.life.deliver(() => {
                if (isOpen) controller.enqueue(value)
              })
            })
          }
          end()
          scheduler.after(this.#delay(sender.link), () => {
            sender.life.deliver(() => {
              if (isOpen) controller.error(new TypeError('terminated'))
              isOpen = false
            })
          })
        }
        void pass()
      },
      cancel: close,
    })
    const given = new Response(body, { status: 200, headers: response.headers })
    this.#streams.push(request, given)
    give(given)
  }

  #strikes(name: string, chance: number): boolean {
    if (chance <= 0 || this.#parts.random.next() >= chance) return false
    this.#parts.faults.add(name)
    return true
  }

  /** One way, ms. */
  #delay(link: Link): number {
    const { scheduler, random } = this.#parts
    const { delayMs, tail } = this.#mix
    const clogMs = Math.max(0, link.cloggedUntilMs - scheduler.nowMs)
    if (this.#strikes('delay', tail)) return clogMs + random.next() * 120_000
    // Exponential: most are quick, some are several times the mean.
    return clogMs + 0.5 - Math.log(1 - random.next()) * delayMs
  }
}

interface Sent {
  readonly sender: Sender
  readonly request: Request
  readonly route: string
  readonly give: Give
  /** The connection fails after so many ms. */
  readonly refuse: (afterMs: number) => void
}

interface Answered {
  readonly text: string
  readonly status: number
  readonly headers: Headers
  /** What was planned for it. */
  readonly fate: AnswerFate | undefined
}

/** No faults at all. */
export function healthy(delayMs: number): NetworkFaults {
  return {
    delayMs,
    tail: 0,
    loseRequest: 0,
    loseAnswer: 0,
    duplicate: 0,
    replay: 0,
    cut: 0,
    impostor: 0,
    expire: 0,
  }
}

function routeOf(request: Request): string {
  const { pathname } = new URL(request.url)
  return pathname.startsWith('/sync/') ? pathname.slice('/sync/'.length) : (pathname.split('/')[1] ?? '')
}

async function messageOf(request: Request): Promise<Message> {
  const { url, method, headers } = request
  const body = method === 'GET' ? undefined : new Uint8Array(await request.arrayBuffer())
  return { url, init: { method, headers, body }, bytes: body?.length ?? 0 }
}

/** How a body breaks off: as if that had been all, with an error, or by falling silent. */
const cuts: readonly AnswerFate[] = ['short', 'cut', 'stall']

const html = { 'content-type': 'text/html' }
const json = { 'content-type': 'application/json' }

/** What answers in a server's place on real networks. */
const impostors: readonly (() => Response)[] = [
  () => new Response('<html>Sign in to the hotel</html>', { status: 200, headers: html }),
  () => new Response(null, { status: 302, headers: { location: 'http://portal.example/' } }),
  () => new Response('<html>Bad gateway</html>', { status: 502, headers: html }),
  () => new Response('upstream connect error', { status: 503, headers: { 'retry-after': '3' } }),
  () => new Response('{"message":"slow down"}', { status: 429, headers: { ...json, 'retry-after': '2' } }),
  () => new Response('', { status: 504 }),
  () => new Response('{}', { status: 200, headers: json }),
  () => new Response('<html>Not found</html>', { status: 404, headers: html }),
  () => new Response('{"error":"network authentication required"}', { status: 511, headers: json }),
]
