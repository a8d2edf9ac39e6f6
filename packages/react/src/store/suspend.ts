/** Waits in the Suspense boundary above until the promise is over: what React 18 calls suspending, and 19 still understands. */
export function suspend(promise: Promise<unknown>): never {
  // oxlint-disable-next-line typescript/only-throw-error -- This is how a component says that it waits.
  throw promise
}
