import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { repositoryRoot } from './source-files.ts'
import { readTestReport, reportOf } from './test-report.ts'

const name = join(repositoryRoot, 'packages/a/src/a.test.ts')
const passedTest = { fullName: 'a passes', status: 'passed', failureMessages: [] }
const failedTest = {
  fullName: 'a fails',
  status: 'failed',
  failureMessages: ['expected 1 to be 2\n    at a.ts:3'],
}

describe('what failed in a run of tests', () => {
  it('names each test that failed with what it said', () => {
    const file = { name, status: 'failed', message: '', assertionResults: [passedTest, failedTest] }
    expect(reportOf({ numPassedTests: 1, testResults: [file] })).toEqual({
      passed: 1,
      failures: ['packages/a/src/a.test.ts > a fails\n  expected 1 to be 2\n      at a.ts:3'],
    })
  })

  it('names a file that could not be run', () => {
    const file = { name, status: 'failed', message: 'no such module', assertionResults: [] }
    expect(reportOf({ numPassedTests: 0, testResults: [file] }).failures).toEqual([
      'packages/a/src/a.test.ts\n  no such module',
    ])
  })

  it('knows nothing of a run that left no report', () => {
    expect(readTestReport(join(repositoryRoot, 'no-such-report.json'))).toEqual({ passed: 0, failures: [] })
  })
})
