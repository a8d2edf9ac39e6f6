/** What a handler answers with; `sendAnswer` makes a Response of it. */
export interface Answer {
  readonly status: number
  /** JSON text goes out as it is. A stream is never compressed. null: no body. */
  readonly body: string | ReadableStream<Uint8Array> | null
  /** Names in lower case; `content-type` is JSON unless said. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Options of `jsonAnswer` and `textAnswer`. */
export interface AnswerOptions {
  /** 200 unless said. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer from a value that is serialised now. */
export function jsonAnswer(value: unknown, options: AnswerOptions = {}): Answer {
  return textAnswer(JSON.stringify(value), options)
}

/** An answer from text that is ready to be sent. */
export function textAnswer(text: string, options: AnswerOptions = {}): Answer {
  return { status: options.status ?? 200, body: text, headers: options.headers }
}
