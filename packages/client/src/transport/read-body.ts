import { SyncError } from '@holdfast/core'

/** Told for every piece of a body, so that a watchdog knows the server is alive. */
export type OnBytes = (byteCount: number) => void

/** The pieces of a body as text, cut at no particular place. Errors: OFFLINE when the connection breaks. */
export async function* textChunks(response: Response, onBytes: OnBytes): AsyncGenerator<string> {
  if (response.body === null) return
  // A body of the Fetch standard is a stream of bytes; the platform's type leaves that open.
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      onBytes(value.byteLength)
      yield decoder.decode(value, { stream: true })
    }
    yield decoder.decode()
  } finally {
    // Frees the connection when the reader stopped early; a stream that has ended or failed does not mind.
    await reader.cancel().catch(() => undefined)
  }
}

/** A whole body as text. Errors: RESPONSE_INVALID over `maxBytes`, OFFLINE when the connection breaks. */
export async function readText(response: Response, maxBytes: number, onBytes: OnBytes): Promise<string> {
  let byteCount = 0
  const chunks: string[] = []
  const count: OnBytes = (bytes) => {
    byteCount += bytes
    if (byteCount > maxBytes) throw new SyncError('RESPONSE_INVALID', `the answer is over ${maxBytes} bytes`)
    onBytes(bytes)
  }
  for await (const chunk of textChunks(response, count)) chunks.push(chunk)
  return chunks.join('')
}
