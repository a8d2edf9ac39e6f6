/** What is known of a promise. */
export type PromiseState<T> =
  | { readonly status: 'pending' }
  | { readonly status: 'done'; readonly value: T }
  | { readonly status: 'failed'; readonly error: unknown }

const states = new WeakMap<Promise<unknown>, PromiseState<unknown>>()

const pending: PromiseState<never> = { status: 'pending' }

/**
 * The state of a promise as far as it is known, without waiting: `pending` when it is asked for the first time. What a
 * component knows by itself is lost when it suspends before its first commit; this is not.
 */
export function promiseState<T>(promise: Promise<T>): PromiseState<T> {
  const known = states.get(promise)
  // The state of a promise is only ever set to what that promise gave.
  if (known !== undefined) return known as PromiseState<T>
  states.set(promise, pending)
  promise.then(
    (value) => states.set(promise, { status: 'done', value }),
    (error: unknown) => states.set(promise, { status: 'failed', error }),
  )
  return pending
}
