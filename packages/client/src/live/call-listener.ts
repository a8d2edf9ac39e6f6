/**
 * Calls what the app gave. What that throws is reported by the platform, as a rejection that nobody handles, and holds up
 * neither who called nor the other listeners. Rules: LQ-4.
 */
export function callListener<Value>(listener: (value: Value) => void, value: Value): void {
  try {
    listener(value)
  } catch (error) {
    void Promise.reject(error)
  }
}
