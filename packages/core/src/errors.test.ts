import { describe, expect, test } from 'vitest'
import { errorTable, isErrorCode, statusOfCode, SyncError } from './errors.ts'

const heading = `# Errors

Everything that can go wrong has a code. Decide by \`code\` or by \`retry\`; messages are for people. Codes are retired, never
reused. This page is printed from the table in \`packages/core/src/errors.ts\`: run the test of that file with \`-u\` after
a change.

\`retry\` says what to do next: \`never\`, the same will fail again; \`backoff\`, wait and repeat; \`after_auth\`, get new
credentials first; \`resync\`, take a snapshot.

| code | status | retry | meaning | cause | remedy |
|---|---|---|---|---|---|
`

test('[WI-8] docs/errors.md is the table of the code', async () => {
  const lines = Object.entries(errorTable).map(([code, entry]) => {
    const status = 'status' in entry ? entry.status : ''
    return `| \`${code}\` | ${status} | ${entry.retry} | ${entry.meaning} | ${entry.cause} | ${entry.remedy} |\n`
  })
  await expect(heading + lines.join('')).toMatchFileSnapshot('../../../docs/errors.md')
})

describe('errors', () => {
  test('an error carries its code and what to do next, which the server may overrule', () => {
    const cause = new Error('disk')
    const error = new SyncError('STORE_FULL', 'no space', { at: 'items', cause, retryAfterMs: 5 })
    expect(error).toMatchObject({
      name: 'SyncError',
      code: 'STORE_FULL',
      retry: 'backoff',
      at: 'items',
      cause,
      retryAfterMs: 5,
    })
    expect(new SyncError('STORE_FULL', 'x', { retry: 'never' }).retry).toBe('never')
  })

  test('a code is known or it is not', () => {
    expect(isErrorCode('CONFLICT')).toBe(true)
    expect([isErrorCode('toString'), isErrorCode('conflict'), isErrorCode(7)]).toEqual([false, false, false])
  })

  test('a code that is never a whole answer has the status of a failure', () => {
    expect([statusOfCode('RECORD_NOT_FOUND'), statusOfCode('GROUP_TOO_LARGE')]).toEqual([404, 500])
  })
})
