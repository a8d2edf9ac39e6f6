/** A timer that can be called off; calling twice is harmless. */
export type CancelTimer = () => void

/**
 * Everything about the world that is not a pure function. It is handed in, so that the shipped code itself runs in
 * the simulator; code never asks which world it is in. Rules: ENV-1.
 */
export interface Environment {
  /** Wall clock, ms since 1970. May jump either way: it is data, never order. */
  now(): number
  /** A clock that only moves forward, ms since some start. For durations and waits. */
  monotonicMs(): number
  /** Uniform in [0, 1). For jitter, never for secrets. */
  random(): number
  /** Fills and returns `bytes` with unpredictable bytes. For ids and tags. */
  randomBytes(bytes: Uint8Array): Uint8Array
  /** Calls `callback` once after at least `delayMs`. */
  setTimer(callback: () => void, delayMs: number): CancelTimer
  /** The Fetch standard's `fetch`. */
  fetch(request: Request): Promise<Response>
  /** Packs a request body as gzip; absent where the platform cannot, then bodies travel as they are. */
  gzip?(bytes: Uint8Array): Promise<Uint8Array>
}
