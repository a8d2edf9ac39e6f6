import { type Environment, type Limits, SyncError } from '@holdfast/core'
import { errorOfAnswer } from '../sync/retry-policy.ts'
import type { TokenSource } from './auth.ts'
import { makeRequest, type Speaker } from './make-request.ts'
import { type OnBytes, readBytes, readText, textChunks } from './read-body.ts'
import { Watchdog } from './watchdog.ts'

/** What a transport is made from. */
export interface TransportOptions {
  readonly env: Environment
  /** Where the server is mounted; paths are added to it. */
  readonly server: string
  readonly tokens: TokenSource
  readonly speaker: () => Speaker
  readonly schemaVersion: number
  readonly limits: Pick<
    Limits,
    'requestTimeoutMs' | 'hurriedTimeoutMs' | 'responseTimeoutMs' | 'responseBytes'
  >
}

/** One request. */
export interface Ask {
  readonly method: 'GET' | 'POST'
  /** Below the base path, with its query. */
  readonly path: string
  /** The JSON text of the body. */
  readonly body?: string
  readonly traceparent: string
  readonly signal: AbortSignal
}

/** One request whose body, or whose answer's, is no JSON. */
export interface AskForBytes extends Pick<Ask, 'path' | 'traceparent' | 'signal'> {
  readonly method: 'GET' | 'POST' | 'PATCH'
  /** Beside those that every request has. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/** Its usable answer: of a status from 200 to 299, and not a web page. */
export interface BytesAnswer {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array
}

/** A usable answer. */
export interface Answer {
  /** The body as it came, for staging. */
  readonly text: string
  /** The same, parsed. */
  readonly body: unknown
  readonly status: number
  /** Whose token it was, as the server says; null when it does not. */
  readonly account: string | null
  /** What the server calls this request in its log. */
  readonly requestId: string | null
}

/** Characters that one event of a stream has at most: events carry next to nothing. */
const eventLength = 65_536

/**
 * Speaks HTTP with the server: headers, token, time bounds, size bounds, and the reading of failures into codes.
 * Knows nothing of mutations. Every failure is a SyncError. Rules: SY-3, SY-5, SY-6.
 */
export class Transport {
  readonly #options: TransportOptions
  readonly #asking = new Set<Watchdog>()
  /** Bytes of bodies since the start, as they travelled. */
  readonly traffic: { sentBytes: number; receivedBytes: number; requests: number } = {
    sentBytes: 0,
    receivedBytes: 0,
    requests: 0,
  }

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /**
   * One request, with one refresh of the token and one repeat if the server wants it. Errors: OFFLINE,
   * CAPTIVE_PORTAL, TIMEOUT, RESPONSE_INVALID, AUTH_REQUIRED, and whatever code the server answers.
   */
  async ask(ask: Ask): Promise<Answer> {
    return this.#withToken((token) =>
      this.#askOnce(ask, token, (response, watchdog) => this.#readAnswer(response, watchdog)),
    )
  }

  /** The same for bytes: whatever its headers must say is for the caller to look at. Errors: as `ask`. */
  async askForBytes(ask: AskForBytes): Promise<BytesAnswer> {
    return this.#withToken((token) =>
      this.#askOnce(ask, token, (response, watchdog) => this.#readBytesAnswer(response, watchdog)),
    )
  }

  /**
   * What was asked over a network that is gone may never be answered: whatever stays silent is given up early, and can
   * be asked again. Streams are silent by nature and stay. Rules: SY-5.
   */
  hurry(): void {
    for (const watchdog of this.#asking) watchdog.hurry(this.#options.limits.hurriedTimeoutMs)
  }

  /**
   * Follows the poke stream until it ends, calling `onEvent` for each event, first with `open`. Resolves when the server ends it; a
   * stream that is silent for longer than a request may be is given up. Errors: as `ask`.
   */
  async follow(ask: Ask, onEvent: (event: string, data: string) => void): Promise<void> {
    await this.#withToken(async (token) => {
      const watchdog = this.#watch(ask.signal, undefined)
      try {
        const response = await this.#send(ask, token, watchdog)
        if (mediaTypeOf(response) !== 'text/event-stream') throw await this.#badAnswer(response, watchdog)
        onEvent('open', '')
        await watchdog.race(this.#readEvents(response, watchdog, onEvent))
      } catch (error) {
        throw networkError(error)
      } finally {
        watchdog.stop()
      }
    })
  }

  async #withToken<T>(send: (token: string) => Promise<T>): Promise<T> {
    const { tokens } = this.#options
    const token = await tokens.token()
    try {
      return await send(token)
    } catch (error) {
      const wantsAuth = error instanceof SyncError && error.code === 'AUTH_REQUIRED'
      if (!wantsAuth) throw error
      return send(await tokens.refresh(token))
    }
  }

  async #askOnce<T>(
    ask: Ask | AskForBytes,
    token: string,
    read: (response: Response, watchdog: Watchdog) => Promise<T>,
  ): Promise<T> {
    const watchdog = this.#watch(ask.signal, this.#options.limits.responseTimeoutMs)
    this.#asking.add(watchdog)
    try {
      return await read(await this.#send(ask, token, watchdog), watchdog)
    } catch (error) {
      throw networkError(error)
    } finally {
      this.#asking.delete(watchdog)
      watchdog.stop()
    }
  }

  async #readAnswer(response: Response, watchdog: Watchdog): Promise<Answer> {
    const text = await watchdog.race(this.#readText(response, watchdog))
    const body = parseJson(text)
    const isJson = mediaTypeOf(response) !== 'text/html' && body !== undefined
    if ((response.status !== 200 && response.status !== 202) || !isJson) throw this.#errorOf(response, body)
    const { headers, status } = response
    return {
      text,
      body,
      status,
      account: headers.get('Holdfast-Account'),
      requestId: headers.get('Holdfast-Request'),
    }
  }

  async #readBytesAnswer(response: Response, watchdog: Watchdog): Promise<BytesAnswer> {
    const { headers, ok, status } = response
    if (!ok || mediaTypeOf(response) === 'text/html') throw await this.#badAnswer(response, watchdog)
    const { responseBytes } = this.#options.limits
    const bytes = await watchdog.race(readBytes(response, responseBytes, this.#counting(watchdog)))
    return { status, headers, bytes }
  }

  async #send(ask: Ask | AskForBytes, token: string, watchdog: Watchdog): Promise<Response> {
    const { env, server, speaker, schemaVersion } = this.#options
    const { signal: _signal, ...asked } = ask
    const said = { server, schemaVersion, ...speaker(), ...asked }
    const { request, bodyBytes } = await makeRequest(env, said, { token, signal: watchdog.signal })
    this.traffic.requests += 1
    this.traffic.sentBytes += bodyBytes
    const response = await watchdog.race(env.fetch(request))
    watchdog.feed()
    return response
  }

  #watch(outer: AbortSignal, totalMs: number | undefined): Watchdog {
    return new Watchdog(this.#options.env, {
      silenceMs: this.#options.limits.requestTimeoutMs,
      totalMs,
      outer,
    })
  }

  #readText(response: Response, watchdog: Watchdog): Promise<string> {
    return readText(response, this.#options.limits.responseBytes, this.#counting(watchdog))
  }

  #counting(watchdog: Watchdog): OnBytes {
    return (bytes) => {
      this.traffic.receivedBytes += bytes
      watchdog.feed()
    }
  }

  async #badAnswer(response: Response, watchdog: Watchdog): Promise<SyncError> {
    return this.#errorOf(response, parseJson(await watchdog.race(this.#readText(response, watchdog))))
  }

  #errorOf(response: Response, body: unknown): SyncError {
    const retryAfter = response.headers.get('Retry-After')
    const { env } = this.#options
    return errorOfAnswer({
      status: response.status,
      mediaType: mediaTypeOf(response),
      retryAfter,
      body,
      nowMs: env.now(),
    })
  }

  /** Server-sent events. Source: WHATWG HTML, section 9.2.6. */
  async #readEvents(
    response: Response,
    watchdog: Watchdog,
    onEvent: (event: string, data: string) => void,
  ): Promise<void> {
    let rest = ''
    for await (const chunk of textChunks(response, () => watchdog.feed())) {
      const blocks = (rest + chunk).replaceAll('\r\n', '\n').split('\n\n')
      rest = blocks.pop() ?? ''
      if (rest.length > eventLength) throw new SyncError('RESPONSE_INVALID', 'an event without end')
      for (const block of blocks) {
        const event = memberOf(block, 'event')
        if (event !== undefined) onEvent(event, memberOf(block, 'data') ?? '')
      }
    }
  }
}

function memberOf(block: string, name: string): string | undefined {
  const line = block.split('\n').find((candidate) => candidate.startsWith(`${name}:`))
  return line?.slice(name.length + 1).trim()
}

function mediaTypeOf(response: Response): string {
  return (response.headers.get('Content-Type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whatever the platform's fetch throws means that the server was not reached, or was lost on the way. */
function networkError(error: unknown): SyncError {
  if (error instanceof SyncError) return error
  return new SyncError('OFFLINE', 'the server cannot be reached', { cause: error })
}
