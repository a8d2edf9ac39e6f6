import { SyncError } from '@holdfast/core'

/** Told for every piece of a body, so that a watchdog knows the server is alive. */
export type OnBytes = (byteCount: number) => void

/** The pieces of a body, cut at no particular place. Errors: OFFLINE when the connection breaks. */
async function* byteChunks(response: Response, onBytes: OnBytes): AsyncGenerator<Uint8Array> {
  if (response.body === null) return
  // A body of the Fetch standard is a stream of bytes; the platform's type leaves that open.
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      onBytes(value.byteLength)
      yield value
    }
  } finally {
    // Frees the connection when the reader stopped early; a stream that has ended or failed does not mind.
    await reader.cancel().catch(() => undefined)
  }
}

/** The same as text. */
export async function* textChunks(response: Response, onBytes: OnBytes): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  for await (const chunk of byteChunks(response, onBytes)) yield decoder.decode(chunk, { stream: true })
  yield decoder.decode()
}

/** A whole body as text. Errors: RESPONSE_INVALID over `maxBytes`, OFFLINE when the connection breaks. */
export async function readText(response: Response, maxBytes: number, onBytes: OnBytes): Promise<string> {
  const chunks: string[] = []
  for await (const chunk of textChunks(response, bounded(maxBytes, onBytes))) chunks.push(chunk)
  return chunks.join('')
}

/** A whole body. Errors: as `readText`. */
export async function readBytes(response: Response, maxBytes: number, onBytes: OnBytes): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of byteChunks(response, bounded(maxBytes, onBytes))) chunks.push(chunk)
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

function bounded(maxBytes: number, onBytes: OnBytes): OnBytes {
  let byteCount = 0
  return (bytes) => {
    byteCount += bytes
    if (byteCount > maxBytes) throw new SyncError('RESPONSE_INVALID', `the answer is over ${maxBytes} bytes`)
    onBytes(bytes)
  }
}
