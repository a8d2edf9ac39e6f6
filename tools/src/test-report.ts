/** What vitest's JSON report says of a run: how many tests passed, and what failed. */
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

import { repositoryRoot } from './source-files.ts'

export type TestReport = {
  readonly passed: number
  /** One text for each test that failed, and each file that could not be run: where, its name, what it said. */
  readonly failures: readonly string[]
}

/** The part of the report that is read, as `vitest --reporter=json` of the pinned version writes it. */
type Report = {
  readonly numPassedTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: readonly string[]
    }[]
  }[]
}

/** Nothing at all when vitest died before it wrote. */
export function readTestReport(path: string): TestReport {
  try {
    return reportOf(JSON.parse(readFileSync(path, 'utf8')) as Report)
  } catch {
    return { passed: 0, failures: [] }
  }
}

export function reportOf(report: Report): TestReport {
  const failures = report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(repositoryRoot, name)
    const failed = assertionResults.filter((test) => test.status === 'failed')
    const texts = failed.map((test) => tell(`${file} > ${test.fullName}`, test.failureMessages ?? []))
    return status === 'failed' && texts.length === 0 ? [tell(file, [message])] : texts
  })
  return { passed: report.numPassedTests, failures }
}

/** The first lines of what was said: the reason, and where in our code. */
function tell(where: string, messages: readonly string[]): string {
  const lines = messages.join('\n').split('\n')
  return [where, ...lines.slice(0, 12).map((line) => `  ${line}`)].join('\n')
}
