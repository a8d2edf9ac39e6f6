import type { CancelTimer, Environment } from '@holdfast/core'

/** What `work` comes to, or what `late` says once it has taken so long. The work itself goes on, and nobody hears of it. */
export async function within<Result>(
  { setTimer }: Pick<Environment, 'setTimer'>,
  { ms, late }: { readonly ms: number; readonly late: () => Error },
  work: Promise<Result>,
): Promise<Result> {
  let cancel: CancelTimer = () => undefined
  const tooLate = new Promise<never>((_resolve, reject) => {
    cancel = setTimer(() => {
      reject(late())
    }, ms)
  })
  try {
    return await Promise.race([work, tooLate])
  } finally {
    cancel()
  }
}
