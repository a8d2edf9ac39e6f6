import type { Environment } from '@holdfast/core'

/**
 * The real world: the platform's clocks, dice, timers and `fetch`. The only file of the client that touches them, so
 * that everything else runs under a virtual clock as well. Rules: ENV-1.
 */
export const systemEnvironment: Environment = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: () => Math.random(),
  randomBytes,
  setTimer: (callback, delayMs) => {
    // Timers hold 31 bits; a longer wait than 24 days wakes early, and whoever set it looks again.
    const timer = setTimeout(callback, Math.min(delayMs, 2_147_483_647))
    return () => clearTimeout(timer)
  },
  fetch: (request) => fetch(request),
  ...(typeof CompressionStream === 'undefined' ? {} : { gzip: gzipBytes }),
}

/** One draw costs about the same for 16 bytes and for 4,096, and every write needs ids: draws are made for many at once. */
const pool = new Uint8Array(4_096)
let poolUsed = pool.length

function randomBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length > pool.length) throw new RangeError(`at most ${pool.length} random bytes at a time`)
  if (poolUsed + bytes.length > pool.length) {
    crypto.getRandomValues(pool)
    poolUsed = 0
  }
  bytes.set(pool.subarray(poolUsed, poolUsed + bytes.length))
  // What was given out is not kept: nobody can read it here later.
  pool.fill(0, poolUsed, poolUsed + bytes.length)
  poolUsed += bytes.length
  return bytes
}

async function gzipBytes(bytes: Uint8Array): Promise<Uint8Array> {
  // A copy is not needed: what is compressed here was encoded from text a moment ago and is on no shared memory.
  const packed = new Blob([bytes as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new CompressionStream('gzip'))
  return new Uint8Array(await new Response(packed).arrayBuffer())
}
