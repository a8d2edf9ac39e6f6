import { expect, test } from 'vitest'

import { countAnew, countedStorage } from '../local/given-counted-driver.ts'
import { givenDevice, givenSchema } from '../local/given-device.ts'
import { notePage } from './page-note.ts'
import { quarantineUnfit, releaseOvertaken } from './quarantine.ts'
import { RecordsToRebase } from './records-to-rebase.ts'
import { revokeScopes } from './revoke-scopes.ts'

test('[AP-13] that hundreds of scopes go is one look at each table', async () => {
  const { storage, counted } = countedStorage()
  const { database, items } = await givenDevice({ storage })
  const scopes = Array.from({ length: 300 }, (_, index) => `site:${index}`)
  for (const name of [...scopes, ...scopes]) await items.insert({ name })
  // As the server gave them: half of them lie in two scopes, and three in one that stays.
  await database.write(async (tx) => {
    await tx.run('DELETE FROM _outbox')
    await tx.run("INSERT INTO _scopes (name) SELECT value FROM json_each(?) UNION ALL SELECT 'stays'", [
      JSON.stringify(scopes),
    ])
    await tx.run(
      `UPDATE items SET _version = 1, _state = 'clean', _scopes = ',' || (SELECT n FROM _scopes WHERE _scopes.name = items.name)
         || CASE WHEN rowid > 597 THEN ',301,' WHEN rowid > 300 THEN ',1,' ELSE ',' END`,
    )
  })
  countAnew(counted)
  const revoked = { schema: givenSchema, scopes, toRebase: new RecordsToRebase() }
  await database.write((tx) => revokeScopes(tx, revoked))
  expect(counted.statements.length).toBeLessThan(10 * givenSchema.collections.size)
  expect(await database.all('SELECT name, _scopes FROM items ORDER BY rowid')).toEqual(
    [297, 298, 299].map((n) => ({ name: `site:${n}`, _scopes: ',301,' })),
  )
  expect(await database.all('SELECT name FROM _scopes')).toEqual([{ name: 'stays' }])
})

test('[AP-14] thousands of rows that do not fit are kept, and overtaken, without going through the page for each', async () => {
  const { storage, counted } = countedStorage()
  const { database } = await givenDevice({ storage })
  const changes = Array.from({ length: 300 }, (_, index) => ({
    op: 'put' as const,
    collection: 'newer',
    record: `00000000-0000-8000-a000-${String(index).padStart(12, '0')}`,
    version: 1,
    scope: 's',
    serverUpdatedAt: '2026-11-20T10:00:00.000Z',
    data: { a: 'b' },
  }))
  await database.write(async (tx) => {
    const body = JSON.stringify({ changes })
    const { lastInsertRowid: page } = await tx.run("INSERT INTO _staging (kind, body) VALUES ('page', ?)", [
      body,
    ])
    const note = notePage(givenSchema, page, changes)
    countAnew(counted)
    await quarantineUnfit(tx, note)
    await releaseOvertaken(tx, note)
  })
  expect(counted.statements.filter(({ sql }) => sql.includes('_staging'))).toHaveLength(2)
  expect(await database.all("SELECT count(*) AS n, min(reason) <> '' AS r FROM _quarantine")).toEqual([
    { n: 300, r: 1 },
  ])
  for (const { sql, params } of counted.statements.filter((each) => each.sql.startsWith('DELETE'))) {
    const plan = await database.all(`EXPLAIN QUERY PLAN ${sql}`, params)
    expect(plan.map(({ detail }) => String(detail))).not.toContainEqual(expect.stringContaining('CORRELATED'))
  }
})
