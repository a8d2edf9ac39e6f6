/** One request of a device and what came back, as it went over the wire. */
export interface Exchange {
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** 0 when nothing came back. */
  readonly status: number
  /** Bytes of the two bodies; the answer's are those that travelled, compressed or not. */
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly headers: Headers
  /** The very bytes that were sent. */
  readonly body: Uint8Array
}

/**
 * A device's way to the network: the platform's own `fetch`, with a switch for airplane mode and a list of what passed.
 * Handed to the client as its `fetch`; nothing in the client knows about it.
 */
export class NetworkLink {
  readonly #exchanges: Exchange[] = []
  #cut = new AbortController()
  #isAirplane = false

  get isAirplane(): boolean {
    return this.#isAirplane
  }

  /** Takes the device off the network, in the middle of whatever it is doing, or brings it back. */
  setAirplane(isOn: boolean): void {
    this.#isAirplane = isOn
    if (isOn) {
      this.#cut.abort(new TypeError('fetch failed: no network'))
      this.#cut = new AbortController()
    }
  }

  /** What passed since the last call. */
  takeExchanges(): readonly Exchange[] {
    return this.#exchanges.splice(0)
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    if (this.#isAirplane) throw new TypeError('fetch failed: no network')
    const body = new Uint8Array(await request.clone().arrayBuffer())
    const signal = AbortSignal.any([request.signal, this.#cut.signal])
    const { pathname, search } = new URL(request.url)
    const sent = {
      method: request.method,
      path: pathname + search,
      sentBytes: body.length,
      headers: request.headers,
      body,
    }
    try {
      const response = await fetch(new Request(request, { signal }))
      this.#exchanges.push({
        ...sent,
        status: response.status,
        receivedBytes: Number(response.headers.get('content-length') ?? 0),
      })
      return response
    } catch (error) {
      this.#exchanges.push({ ...sent, status: 0, receivedBytes: 0 })
      throw error
    }
  }
}

/** Bytes up and down of some exchanges. */
export function sumBytes(exchanges: readonly Exchange[]): { readonly up: number; readonly down: number } {
  return {
    up: exchanges.reduce((sum, exchange) => sum + exchange.sentBytes, 0),
    down: exchanges.reduce((sum, exchange) => sum + exchange.receivedBytes, 0),
  }
}
