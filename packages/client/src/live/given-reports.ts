import { onTestFinished, vi } from 'vitest'

/** What listeners of the app threw during this test, in place of the platform that would hear of it. */
export function givenReports(): readonly unknown[] {
  const reported: unknown[] = []
  vi.stubGlobal('queueMicrotask', (report: () => void) => {
    try {
      report()
    } catch (error) {
      reported.push(error)
    }
  })
  onTestFinished(() => void vi.unstubAllGlobals())
  return reported
}
