import { expect, test } from 'vitest'

import { givenSchema } from '../local/given-device.ts'
import type { SqlRow } from '../drivers/sqlite-driver.ts'
import type { LeaderLink } from './leader-link.ts'
import { proxyClient } from './proxy-client.ts'
import { diffRows } from './rows-diff.ts'

type Following = Parameters<LeaderLink['follow']>[0]

test('[LQ-4] a watch of a tab that failed tells the rows again once it goes on, also when they are the same', () => {
  const followed: Following[] = []
  const link: Pick<LeaderLink, 'follow'> = {
    follow: (following) => {
      followed.push(following)
      return () => undefined
    },
  }
  const client = proxyClient(
    {
      schema: givenSchema,
      // A watch asks nothing else of it.
      link: link as LeaderLink,
      trace: () => null,
      logger: { log: () => undefined },
    },
    async () => undefined,
  )
  const told: string[] = []
  client.watch(
    (q) => q.selectFrom('steps').select(['id', 'label']),
    (rows) => {
      told.push(rows.map(({ label }) => label).join())
    },
    (error) => told.push(String(error)),
  )
  const rows: readonly SqlRow[] = [{ id: '1', label: 'one' }]
  const [watch] = followed
  const tell = (before: readonly SqlRow[]): void =>
    watch?.onRows?.({ kind: 'rows', id: 1, diff: diffRows(before, rows), columns: [] })
  tell([])
  tell(rows)
  watch?.onError?.(new Error('the disk'))
  tell(rows)
  tell(rows)
  expect(told).toEqual(['one', 'Error: the disk', 'one'])
})
