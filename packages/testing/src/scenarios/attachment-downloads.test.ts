import { sqliteStorage } from '@holdfast/client/node'
import type { AttachmentValue } from '@holdfast/core'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { faultyStorage } from '../faulty-storage.ts'
import { openFile } from './open-file.ts'
import { createPhotoWorld, type PhotoClient, photoOf, type PhotoWorld, settle } from './photo-world.ts'

const mib = 1_048_576
const small = photoOf(300_000)
const large = photoOf(9 * mib)

let world: PhotoWorld
let ann: PhotoClient
let bob: PhotoClient

beforeEach(async () => {
  world = createPhotoWorld()
  ann = await world.open()
  bob = await world.open({ user: 'bob' })
})
afterEach(() => world.close())

interface Place {
  readonly of: { readonly collection: string; readonly record: string }
  readonly photo: AttachmentValue
}

/** A place of ann's whose photo the server has, and bob's device does not. */
async function givenPlace(bytes: Uint8Array, wh = 'w1'): Promise<Place> {
  const photo = await ann.attachments.add(bytes)
  const record = await ann.places.insert({ photo, wh })
  await world.sync(ann)
  expect(await ann.attachments.list()).toEqual([])
  await world.sync(bob)
  world.asked.length = 0
  return { of: { collection: 'places', record }, photo }
}

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const read = async (db: PhotoClient, { of, photo }: Place): Promise<string> =>
  sha(await world.env.complete(db.attachments.read(of, photo)))

describe('reading', () => {
  test('[AT-34] bytes are fetched once, by whoever asks first, and are on the device from then on', async () => {
    const place = await givenPlace(small)
    expect(await bob.attachments.has(place.photo)).toBe(false)
    const both = await Promise.all([read(bob, place), read(bob, place)])
    expect(both).toEqual([place.photo.hash, place.photo.hash])
    expect(await bob.attachments.has(place.photo)).toBe(true)
    world.server.script({ fault: { kind: 'cut', when: 'before' } })
    expect(await read(bob, place)).toBe(place.photo.hash)
    expect(world.asked.map(({ what }) => what)).toEqual(['GET'])
  })

  test('[AT-34] what is given is the reader’s own: nobody sees what is done to it', async () => {
    const place = await givenPlace(small)
    const bytes = await bob.attachments.read(place.of, place.photo)
    bytes.fill(0)
    expect(await read(bob, place)).toBe(place.photo.hash)
  })

  test('[AT-34] one record that may not be read spoils nothing for another with the same bytes', async () => {
    const place = await givenPlace(small)
    const nowhere = { ...place, of: { collection: 'places', record: 'no-such-record' } }
    const [first, second] = await Promise.allSettled([read(bob, nowhere), read(bob, place)])
    expect(first).toMatchObject({ reason: { code: 'ATTACHMENT_MISSING' } })
    expect(second).toMatchObject({ value: place.photo.hash })
  })

  test('[AT-34] what the server does not have yet is missing, offline is offline, and closing ends a wait', async () => {
    const photo = { hash: 'c'.repeat(64), size: 9 }
    const record = await ann.places.insert({ photo })
    await world.sync(ann)
    const place = { of: { collection: 'places', record }, photo }
    await expect(read(ann, place)).rejects.toMatchObject({ code: 'ATTACHMENT_MISSING' })
    world.server.script({ on: 'attachment', times: 1, fault: { kind: 'cut', when: 'before' } })
    await expect(read(ann, place)).rejects.toMatchObject({ code: 'OFFLINE' })
    world.server.script({ on: 'attachment', fault: { kind: 'silence', when: 'before' } })
    const waiting = ann.attachments.read(place.of, photo)
    waiting.catch(() => undefined)
    await settle(world.env)
    await ann.close()
    await expect(waiting).rejects.toMatchObject({ code: 'CLIENT_CLOSED' })
    const noHash = { hash: 'x' } as AttachmentValue
    await expect(bob.attachments.read(place.of, noHash)).rejects.toMatchObject({ code: 'VALUE_INVALID' })
  })

  test('[AT-35] what is large comes in pieces; those that came are not asked for again, also after a restart', async () => {
    const path = world.path('b.sqlite')
    const place = await givenPlace(large)
    world.server.script({
      on: ({ kind, index }) => kind === 'attachment' && index === 1,
      fault: { kind: 'cut', when: 'before' },
    })
    bob = await world.open({ user: 'bob', storage: sqliteStorage(path) })
    await world.sync(bob)
    await expect(read(bob, place)).rejects.toMatchObject({ code: 'OFFLINE' })
    expect(await bob.attachments.has(place.photo)).toBe(false)
    await bob.close()
    bob = await world.open({ user: 'bob', storage: sqliteStorage(path) })
    expect(await read(bob, place)).toBe(place.photo.hash)
    const ranges = [0, 4, 4, 8].map((at) => `GET bytes=${at * mib}-${Math.min(9, at + 4) * mib - 1}`)
    expect(world.asked.map(({ what }) => what)).toEqual(ranges)
  })

  test('[AT-36] damaged bytes are never handed out nor kept; the next attempt begins anew', async () => {
    const place = await givenPlace(large)
    world.server.loseAttachments('damaged')
    await expect(read(bob, place)).rejects.toMatchObject({ code: 'ATTACHMENT_MISMATCH' })
    expect(await bob.attachments.has(place.photo)).toBe(false)
    world.server.loseAttachments('damaged')
    expect(await read(bob, place)).toBe(place.photo.hash)
  })

  test.each([
    [
      'a sign-in page',
      { status: 200, body: '<html>', headers: { 'Content-Type': 'text/html' } },
      'CAPTIVE_PORTAL',
    ],
    ['fewer bytes', { status: 200, body: 'abc', headers: {} }, 'RESPONSE_INVALID'],
    [
      'another range',
      { status: 206, body: 'abc', headers: { 'Content-Range': 'bytes 1-3/300000' } },
      'RESPONSE_INVALID',
    ],
  ])('[AT-36] %s is no answer', async (_, answer, code) => {
    const place = await givenPlace(small)
    world.server.script({ on: 'attachment', times: 1, fault: { kind: 'answer', ...answer } })
    await expect(read(bob, place)).rejects.toMatchObject({ code })
    expect(await read(bob, place)).toBe(place.photo.hash)
  })
})

describe('what stays', () => {
  test('[AT-37] beyond its bound a device drops what the server has, the least recently used first', async () => {
    bob = await world.open({ user: 'bob', sync: { attachments: { cacheBytes: 700_000 } } })
    const places: Place[] = []
    for (const seed of [1, 2, 3]) {
      places.push(await givenPlace(photoOf(300_000, seed)))
      await world.env.advance(7_200_000)
    }
    const [first, second, third] = places
    if (!first || !second || !third) throw new Error('three places')
    await read(bob, first)
    await world.env.advance(7_200_000)
    await read(bob, second)
    await world.env.advance(7_200_000)
    await read(bob, first)
    await read(bob, third)
    const has = (db: PhotoClient): Promise<boolean[]> =>
      Promise.all(places.map(({ photo }) => db.attachments.has(photo)))
    expect(await has(bob)).toEqual([true, false, true])
    expect(await has(ann)).toEqual([true, true, true])
  })

  test('[AT-37] what was not uploaded is never dropped, nor what is in no record yet', async () => {
    const db = await world.open({ sync: { attachments: { cacheBytes: 10 } } })
    const [free, queued, sent] = [
      await db.attachments.add(photoOf(50, 1)),
      await db.attachments.add(photoOf(50, 2)),
      await db.attachments.add(photoOf(50, 3)),
    ]
    world.server.script({ on: 'upload', times: 1, fault: { kind: 'answer', status: 503 } })
    await db.places.insert({ photo: queued })
    await world.sync(db)
    await db.places.insert({ photo: sent })
    await db.places.insert({ photo: { ...sent } })
    await world.sync(db)
    expect(await db.attachments.list()).toMatchObject([{ hash: queued.hash }])
    const has = await Promise.all([free, queued, sent].map((photo) => db.attachments.has(photo)))
    expect(has).toEqual([true, true, false])
  })

  test('[AT-38] bytes that nothing names go after a day; what a row, an edit or a dispute names stays', async () => {
    const place = await givenPlace(small)
    const spare = await ann.attachments.add(photoOf(40, 7))
    const waiting = await ann.attachments.add(photoOf(40, 8))
    await world.env.advance(23 * 3_600_000)
    await world.sync(ann)
    expect(await ann.attachments.has(spare)).toBe(true)
    world.server.injectRefusals(1, 'NOT_AUTHORIZED')
    await ann.places.insert({ plan: waiting })
    for (const hours of [2, 2]) {
      await world.env.advance(hours * 3_600_000)
      await world.sync(ann)
    }
    const has = await Promise.all([spare, place.photo, waiting].map((each) => ann.attachments.has(each)))
    expect(has).toEqual([false, true, true])
  })

  test('[AT-38] a clock that jumps between adding and writing takes nothing away', async () => {
    const photo = await ann.attachments.add(small)
    world.env.jumpClock(365 * 86_400_000)
    await world.sync(ann)
    expect(await ann.attachments.has(photo)).toBe(true)
    const record = await ann.places.insert({ photo })
    await world.env.advance(2 * 3_600_000)
    await world.sync(ann)
    await world.sync(ann)
    const bytes = world.server.attachment('places', record, photo.hash)
    expect([await ann.attachments.has(photo), bytes?.byteLength]).toEqual([true, small.byteLength])
  })

  test('[AT-38] parts of a fetch that nobody goes on with are dropped', async () => {
    const path = world.path('b.sqlite')
    bob = await world.open({ user: 'bob', storage: sqliteStorage(path) })
    const place = await givenPlace(large)
    world.server.script({
      on: ({ kind, index }) => kind === 'attachment' && index > 0,
      fault: { kind: 'cut', when: 'before' },
    })
    await expect(read(bob, place)).rejects.toMatchObject({ code: 'OFFLINE' })
    const count = 'SELECT count(*) AS n FROM _attachment_parts'
    expect(await openFile(path, count)).toEqual([{ n: 16 }])
    await world.env.advance(3_600_000)
    await world.sync(bob)
    expect(await openFile(path, count)).toEqual([{ n: 0 }])
  })

  test.each([
    ['its scope is revoked', (): void => world.server.revoke('bob', 'w:w1')],
    [
      'its record moves out of sight',
      ({ of }: Place): void => void world.server.write('places', of.record, { wh: 'w9' }),
    ],
  ])(
    '[AT-39] when %s, the bytes go in the transaction of the rows, with what was half fetched',
    async (_, end) => {
      const path = world.path('b.sqlite')
      bob = await world.open({ user: 'bob', storage: sqliteStorage(path) })
      const own = await bob.attachments.add(photoOf(70, 5))
      const [half, place] = [await givenPlace(large), await givenPlace(small)]
      await read(bob, place)
      world.server.script({
        on: ({ kind, index }) => kind === 'attachment' && index > 1,
        fault: { kind: 'cut', when: 'before' },
      })
      await expect(read(bob, half)).rejects.toMatchObject({ code: 'OFFLINE' })
      expect(await openFile(path, 'SELECT count(DISTINCT hash) AS n FROM _attachment_parts')).toEqual([
        { n: 3 },
      ])
      end(half)
      end(place)
      await world.sync(bob)
      expect(await bob.places.get(place.of.record)).toBeUndefined()
      expect(await openFile(path, 'SELECT hash FROM _attachments')).toEqual([{ hash: own.hash }])
      expect(await openFile(path, 'SELECT DISTINCT hash FROM _attachment_parts')).toEqual([
        { hash: own.hash },
      ])
    },
  )

  test('[AT-39] an upload of a record that goes out of sight goes with it', async () => {
    const record = await ann.places.insert({ name: 'to be lost' })
    await world.sync(ann)
    world.server.script({ on: 'upload', fault: { kind: 'answer', status: 503 } })
    const photo = await ann.attachments.add(small)
    await ann.places.update(record, { photo })
    await world.sync(ann)
    expect(await ann.attachments.list()).toHaveLength(1)
    world.server.revoke('ann', 'w:w1')
    await world.sync(ann)
    expect([await ann.attachments.list(), await ann.attachments.has(photo)]).toEqual([[], false])
  })
})

describe('fetching ahead', () => {
  const eager = { attachments: { download: 'eager' } } as const

  test('[AT-40] an eager device has the bytes of its rows after a sync, each once, its own uploads first', async () => {
    const places = [
      await givenPlace(photoOf(1_000, 1)),
      await givenPlace(photoOf(1_000, 2)),
      await givenPlace(photoOf(1_000, 1)),
    ]
    const db = await world.open({ user: 'bob', sync: eager })
    await db.places.insert({ photo: await db.attachments.add(photoOf(10, 3)) })
    await world.sync(db)
    expect(world.asked.map(({ what }) => what)).toEqual(['POST', 'PATCH 0', 'GET', 'GET'])
    for (const { photo } of places) expect(await db.attachments.has(photo)).toBe(true)
    await world.sync(db)
    expect(world.asked).toHaveLength(4)
  })

  test('[AT-24] what is written while something is fetched ahead is uploaded before the rest is fetched', async () => {
    await givenPlace(photoOf(1_000, 1))
    await givenPlace(photoOf(1_000, 2))
    const db = await world.open({ user: 'bob', sync: eager })
    world.server.script({ on: 'attachment', times: 1, fault: { kind: 'delay', ms: 9_000 } })
    await world.sync(db)
    await db.places.insert({ photo: await db.attachments.add(photoOf(10, 3)) })
    await world.sync(db)
    await world.env.advance(10_000)
    await settle(world.env)
    expect(world.asked.map(({ what }) => what)).toEqual(['GET', 'POST', 'PATCH 0', 'GET'])
  })

  test('[AT-40] what the server does not have yet is asked for again, later and later', async () => {
    const db = await world.open({ user: 'bob', sync: { ...eager, auto: true } })
    world.server.script({ on: 'upload', fault: { kind: 'cut', when: 'before' } })
    const photo = await ann.attachments.add(small)
    await ann.places.insert({ photo })
    await world.sync(ann)
    await world.env.advance(600_000)
    const count = world.asked.filter(({ what }) => what === 'GET').length
    expect(count).toBeGreaterThan(3)
    expect(count).toBeLessThan(25)
    world.server.heal()
    await ann.attachments.retry()
    await world.sync(ann)
    await world.env.advance(900_000)
    expect(await db.attachments.has(photo)).toBe(true)
  })

  test('[AT-40] it ends where the room ends, and drops nothing for it', async () => {
    await givenPlace(photoOf(600, 1))
    await givenPlace(photoOf(600, 2))
    const db = await world.open({
      user: 'bob',
      sync: { attachments: { download: 'eager', cacheBytes: 1_000 } },
    })
    await world.sync(db)
    await world.sync(db)
    expect(world.asked.map(({ what }) => what)).toEqual(['GET'])
  })

  test('[AT-40] what an app is reading is left to it, and fetched after the next sync if that failed', async () => {
    const { of, photo } = await givenPlace(small)
    let looks = 0
    // A device that looks without a pause gives way to nothing else: its disk ends that here.
    const storage = faultyStorage(sqliteStorage(':memory:'), (sql) =>
      sql.includes('HAVING size') && ++looks > 50 ? 'fail' : 'run',
    )
    const db = await world.open({ user: 'bob', storage, sync: eager })
    world.server.script({ on: 'attachment', times: 1, fault: { kind: 'silence', when: 'before' } })
    const reading = db.attachments.read(of, photo)
    reading.catch(() => undefined)
    await world.sync(db)
    expect(looks).toBeLessThan(5)
    expect(world.asked).toHaveLength(1)
    await world.env.advance(120_000)
    await expect(reading).rejects.toMatchObject({ code: 'TIMEOUT' })
    await world.sync(db)
    expect(await db.attachments.has(photo)).toBe(true)
  })

  test('[AT-40] under a data saver nothing is fetched that nobody asked for', async () => {
    const place = await givenPlace(small)
    const db = await world.open({ user: 'bob', sync: eager })
    db.sync.setConditions({ savesData: true })
    await world.sync(db)
    expect(world.asked).toEqual([])
    expect(await read(db, place)).toBe(place.photo.hash)
  })
})
