import { onTestFinished } from 'vitest'

/** Gives what listeners of the app threw during this test, in place of the platform that would hear of it. */
export function givenReports(): () => Promise<readonly unknown[]> {
  const reported: unknown[] = []
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', (error) => reported.push(error))
  onTestFinished(() => {
    process.removeAllListeners('unhandledRejection')
    for (const other of others) process.on('unhandledRejection', other)
  })
  return async () => {
    // Node tells of them once nothing else is to be done.
    await new Promise((resolve) => setImmediate(resolve))
    return reported
  }
}
