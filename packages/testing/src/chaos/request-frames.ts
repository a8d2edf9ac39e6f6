/** What the first line of a request says. */
export interface RequestHead {
  readonly method: string
  readonly path: string
}

/** A piece of a request as it travels. The head always comes whole, the body as it arrived. */
export interface RequestFrame {
  readonly bytes: Buffer
  /** Only on the frame that is the head. */
  readonly head?: RequestHead
  /** The request ends with this frame. */
  readonly isLast: boolean
}

type Place =
  | { readonly kind: 'head' }
  /** So many bytes of a body, or of a chunk and the line end behind it, are still to come. */
  | { readonly kind: 'sized'; left: number; readonly isChunk: boolean }
  /** In front of a chunk. */
  | { readonly kind: 'chunk-size' }
  | { readonly kind: 'trailer' }
  /** No HTTP, or no longer: everything belongs to the last request. */
  | { readonly kind: 'opaque' }

/** A head longer than this is no request any server takes, bytes. */
const headBytes = 65_536

/**
 * Finds where requests begin and end in the bytes of one HTTP/1.1 connection. What is no HTTP passes as the body of a
 * request that never ends. Source: RFC 9112, sections 6 and 7.
 */
export class RequestFrames {
  #place: Place = { kind: 'head' }
  #rest: Buffer = Buffer.alloc(0)

  /** The frames that `chunk` completes; what is incomplete waits for the next one. */
  take(chunk: Buffer): RequestFrame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const frames: RequestFrame[] = []
    while (this.#rest.length > 0) {
      const frame = this.#next()
      if (frame === undefined) break
      frames.push(frame)
    }
    return frames
  }

  #next(): RequestFrame | undefined {
    switch (this.#place.kind) {
      case 'head':
        return this.#takeHead()
      case 'sized':
        return this.#takeSized(this.#place)
      case 'chunk-size':
        return this.#takeChunkSize()
      case 'trailer':
        return this.#takeTrailer()
      case 'opaque':
        return { bytes: this.#cut(this.#rest.length), isLast: false }
    }
  }

  #takeHead(): RequestFrame | undefined {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0 && this.#rest.length <= headBytes) return undefined
    const text = end < 0 ? '' : this.#rest.toString('latin1', 0, end)
    const [, method, path] = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r?/.exec(text) ?? []
    const isUpgrade = /\r\nupgrade:/i.test(text) || method === 'CONNECT'
    if (method === undefined || path === undefined || isUpgrade) {
      this.#place = { kind: 'opaque' }
      return {
        bytes: this.#cut(this.#rest.length),
        head: { method: method ?? '', path: path ?? '' },
        isLast: false,
      }
    }
    const length = Number(/\r\ncontent-length:[ \t]*(\d+)/i.exec(text)?.[1] ?? 0)
    const isChunked = /\r\ntransfer-encoding:[^\r]*chunked/i.test(text)
    if (isChunked) this.#place = { kind: 'chunk-size' }
    else if (length > 0) this.#place = { kind: 'sized', left: length, isChunk: false }
    return { bytes: this.#cut(end + 4), head: { method, path }, isLast: !isChunked && length === 0 }
  }

  #takeSized(place: Extract<Place, { kind: 'sized' }>): RequestFrame {
    const bytes = this.#cut(Math.min(place.left, this.#rest.length))
    place.left -= bytes.length
    if (place.left > 0) return { bytes, isLast: false }
    this.#place = place.isChunk ? { kind: 'chunk-size' } : { kind: 'head' }
    return { bytes, isLast: !place.isChunk }
  }

  #takeChunkSize(): RequestFrame | undefined {
    const end = this.#rest.indexOf('\n')
    if (end < 0) return undefined
    const size = Number.parseInt(this.#rest.toString('latin1', 0, end), 16)
    if (Number.isNaN(size)) this.#place = { kind: 'opaque' }
    else if (size === 0) this.#place = { kind: 'trailer' }
    else this.#place = { kind: 'sized', left: size + 2, isChunk: true }
    return { bytes: this.#cut(end + 1), isLast: false }
  }

  #takeTrailer(): RequestFrame | undefined {
    const end = this.#rest.indexOf('\n')
    if (end < 0) return undefined
    const isLast = this.#rest.toString('latin1', 0, end).trim() === ''
    if (isLast) this.#place = { kind: 'head' }
    return { bytes: this.#cut(end + 1), isLast }
  }

  #cut(length: number): Buffer {
    const bytes = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return bytes
  }
}
