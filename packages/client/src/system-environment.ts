import type { Environment } from '@holdfast/core'

/**
 * The real world: the platform's clocks, dice, timers and `fetch`. The only file of the client that touches them, so
 * that everything else runs under a virtual clock as well. Rules: ENV-1.
 */
export const systemEnvironment: Environment = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: () => Math.random(),
  randomBytes: (bytes) => {
    // The standard's signature is wider than ours: what comes back is the array that went in.
    crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>)
    return bytes
  },
  setTimer: (callback, delayMs) => {
    // Timers hold 31 bits; a longer wait than 24 days wakes early, and whoever set it looks again.
    const timer = setTimeout(callback, Math.min(delayMs, 2_147_483_647))
    return () => clearTimeout(timer)
  },
  fetch: (request) => fetch(request),
  ...(typeof CompressionStream === 'undefined' ? {} : { gzip: gzipBytes }),
}

async function gzipBytes(bytes: Uint8Array): Promise<Uint8Array> {
  // A copy is not needed: what is compressed here was encoded from text a moment ago and is on no shared memory.
  const packed = new Blob([bytes as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new CompressionStream('gzip'))
  return new Uint8Array(await new Response(packed).arrayBuffer())
}
