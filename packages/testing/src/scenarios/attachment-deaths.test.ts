import { sqliteStorage } from '@holdfast/client/node'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { faultyStorage } from '../faulty-storage.ts'
import { createPhotoWorld, photoOf, type PhotoWorld, settle } from './photo-world.ts'
import { sharedStorage } from './shared-storage.ts'

let world: PhotoWorld

beforeEach(() => {
  world = createPhotoWorld()
})
afterEach(() => world.close())

const bytes = photoOf(530_000)
const hash = createHash('sha256').update(bytes).digest('hex')

function expectWhole(record: string): void {
  const stored = world.server.attachment('places', record, hash)
  expect(stored && createHash('sha256').update(stored).digest('hex')).toBe(hash)
}

test.each(['kill', 'fail'] as const)(
  '[AT-28] at each statement of a cycle and an upload: after a %s nothing is lost, and nothing stored twice over',
  async (fate) => {
    for (let at = 0; ; at++) {
      const path = world.path(`${fate}-${at}.sqlite`)
      let judged = Number.POSITIVE_INFINITY
      let hasStruck = false
      const storage = faultyStorage(sqliteStorage(path), () => {
        judged -= 1
        if (judged !== -1) return 'run'
        hasStruck = true
        return fate
      })
      const db = await world.open({ storage })
      const record = await db.places.insert({ photo: await db.attachments.add(bytes) })
      judged = at
      void db.sync.now().catch(() => undefined)
      await settle(world.env)
      judged = Number.POSITIVE_INFINITY
      if (!hasStruck) {
        expectWhole(record)
        expect(at).toBeGreaterThan(30)
        return
      }
      // One that was killed is opened anew; one whose disk was full goes on when there is room.
      await world.env.advance(20_000)
      const next = fate === 'kill' ? await world.open({ storage: sqliteStorage(path) }) : db
      await world.sync(next)
      await world.env.advance(20_000)
      await world.sync(next)
      expect(await next.attachments.list()).toEqual([])
      expectWhole(record)
      await next.close()
    }
  },
)

test('[AT-28] two processes with one database upload each attachment whole, also at the same time', async () => {
  const storage = sharedStorage(sqliteStorage(world.path('shared.sqlite')))
  const [one, two] = [
    await world.open({ storage, sync: { auto: true } }),
    await world.open({ storage, sync: { auto: true } }),
  ]
  await world.env.advance(10)
  world.server.script({ on: 'upload', fault: { kind: 'delay', ms: 300 } })
  const records = []
  for (const db of [one, two, one, two])
    records.push(await db.places.insert({ photo: await db.attachments.add(bytes) }))
  await world.env.advance(120_000)
  for (const record of records) expectWhole(record)
  expect(await one.attachments.list()).toEqual([])
})
