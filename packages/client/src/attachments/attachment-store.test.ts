import { attachment, collection, defineSchema, text } from '@holdfast/core'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

import { openClient } from '../client.ts'
import { sqliteStorage } from '../drivers/node.ts'
import { type FailurePlan, failingDriver, givenEnvironment } from '../local/given-device.ts'
import { cutBytes } from './attachment-store.ts'

const schema = defineSchema({
  version: 1,
  collections: { places: collection({ fields: { name: text({ default: '' }), photo: attachment() } }) },
})

test.each([0, 1, 55, 56, 63, 64, 65, 262_143, 262_144, 262_145, 1_000_000])(
  '[AT-20] the hash of %i bytes is that of the platform, and so are the bytes',
  (size) => {
    const bytes = Uint8Array.from({ length: size }, (_, index) => (index * 7919) >>> 3)
    const { hash, parts } = cutBytes(bytes)
    expect(hash).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect(Buffer.concat(parts).equals(bytes)).toBe(true)
  },
)

test.each([
  ['the disk is full', 13, true],
  ['a statement fails', 10, false],
])(
  '[AT-20, AT-22] when %s while adding or writing, at any statement, there is all of it or nothing',
  async (_, resultCode, rollsBack) => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-full-'))
    const storage = sqliteStorage(join(folder, 'a.sqlite'))
    const bytes = new Uint8Array(700_000).fill(7)
    const plan: FailurePlan = { left: Infinity, resultCode, rollsBack }
    const db = await openClient({
      schema,
      storage: failingDriver(storage, plan),
      env: givenEnvironment().env,
    })
    const { hash, size } = cutBytes(bytes)
    // What opening leaves to be done is done by then.
    await db.status.get()
    let failures = 0
    for (let left = 0; ; left++) {
      plan.left = left
      const photo = await db.attachments.add(bytes).catch(() => undefined)
      plan.left = Infinity
      expect(await db.attachments.has({ hash, size })).toBe(photo !== undefined)
      const [count] = await db.query((q) => q.selectFrom('places').select((e) => e.fn.countAll().as('n')))
      expect(Number(count?.n)).toBe(0)
      if (photo !== undefined) break
      failures += 1
    }
    for (let left = 0; ; left++) {
      plan.left = left
      const id = await db.places.insert({ photo: { hash, size } }).catch(() => undefined)
      plan.left = Infinity
      const [uploads, entries] = [await db.attachments.list(), await db.outbox.list()]
      expect([uploads.length, entries.length]).toEqual(id === undefined ? [0, 0] : [1, 1])
      if (id !== undefined) break
      failures += 1
    }
    expect(failures).toBeGreaterThan(12)
    expect(await db.attachments.read({ collection: 'places', record: 'x' }, { hash, size })).toEqual(bytes)
    await db.close()
    rmSync(folder, { recursive: true })
  },
)

test('[AT-20] adding what is there already writes none of its bytes again', async () => {
  const connection = await sqliteStorage(':memory:').open()
  const statements: string[] = []
  const noted = {
    ...connection,
    run: (sql: string, params?: Parameters<typeof connection.run>[1]) => {
      statements.push(sql)
      return connection.run(sql, params)
    },
    all: (sql: string, params?: Parameters<typeof connection.all>[1]) => connection.all(sql, params),
    exec: (sql: string) => connection.exec(sql),
    describe: (sql: string) => connection.describe(sql),
    close: () => connection.close(),
    capabilities: connection.capabilities,
  }
  const storage = { name: 'noted', open: () => Promise.resolve(noted) }
  const db = await openClient({ schema, storage, env: givenEnvironment().env })
  const partsWritten = (): number => statements.filter((sql) => sql.includes('_attachment_parts')).length
  await db.attachments.add(new Uint8Array(600_000))
  expect(partsWritten()).toBe(3)
  await db.attachments.add(new Uint8Array(600_000))
  expect(partsWritten()).toBe(3)
  await db.close()
})
