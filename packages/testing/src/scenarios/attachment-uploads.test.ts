import { openClient } from '@holdfast/client'
import { sqliteStorage } from '@holdfast/client/node'
import { type AttachmentValue, collection, defineSchema, text } from '@holdfast/core'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { openFile } from './open-file.ts'
import { createPhotoWorld, type PhotoClient, photoOf, type PhotoWorld, settle } from './photo-world.ts'

const kib = 1_024
const large = photoOf(1_300 * kib)

let world: PhotoWorld
let ann: PhotoClient

beforeEach(async () => {
  world = createPhotoWorld()
  ann = await world.open()
})
afterEach(() => world.close())

/** A place with a photo, not yet pushed. */
async function givenPlace(bytes: Uint8Array): Promise<{ id: string; photo: AttachmentValue }> {
  const photo = await ann.attachments.add(bytes, { name: 'p.jpg', mediaType: 'image/jpeg' })
  return { id: await ann.places.insert({ photo }), photo }
}

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** SHA-256 of what the server stores. */
function onServer(id: string, { hash }: AttachmentValue): string | undefined {
  const bytes = world.server.attachment('places', id, hash)
  return bytes && sha(bytes)
}

/** Cycles until nothing is left to upload; time passes in between. */
async function syncUntilDone(cycles = 20): Promise<number> {
  for (let cycle = 1; cycle <= cycles; cycle++) {
    await world.sync(ann)
    if ((await ann.attachments.list()).length === 0) return cycle
    await world.env.advance(20_000)
  }
  return Number.POSITIVE_INFINITY
}

describe('adding', () => {
  test('[AT-20] what is added is there again after a restart, whole, under its SHA-256', async () => {
    const path = world.path('a.sqlite')
    const db = await world.open({ storage: sqliteStorage(path) })
    const given = large.slice()
    const adding = db.attachments.add(given, { name: 'p.jpg', mediaType: 'image/jpeg' })
    given.fill(0)
    const photo = await adding
    const hash = sha(large)
    expect(photo).toEqual({ hash, size: large.byteLength, name: 'p.jpg', mediaType: 'image/jpeg' })
    expect(await db.attachments.add(new Blob([large]))).toEqual({ hash, size: large.byteLength })
    await db.close()
    const again = await world.open({ storage: sqliteStorage(path) })
    expect(await again.attachments.has(photo)).toBe(true)
    expect(sha(await again.attachments.read({ collection: 'places', record: 'x' }, photo))).toBe(hash)
    expect(await openFile(path, 'SELECT count(*) AS n FROM _attachment_parts')).toEqual([{ n: 6 }])
  })

  test('[AT-20] an empty file is one like any other', async () => {
    const { id, photo } = await givenPlace(new Uint8Array(0))
    expect(await syncUntilDone()).toBe(1)
    expect(onServer(id, photo)).toBe(photo.hash)
    expect(await ann.attachments.read({ collection: 'places', record: id }, photo)).toEqual(new Uint8Array(0))
  })

  test('[AT-20] more than an attachment may hold is refused, and so is a name that is none', async () => {
    const unread = (): Promise<never> => Promise.reject(new Error('nobody reads so much'))
    const tooMuch = { size: 104_857_601, arrayBuffer: unread } as unknown as Blob
    await expect(ann.attachments.add(tooMuch)).rejects.toMatchObject({ code: 'VALUE_TOO_LARGE' })
    const name = 7 as unknown as string
    await expect(ann.attachments.add(large, { name })).rejects.toMatchObject({ code: 'VALUE_INVALID' })
  })
})

describe('what is to be uploaded', () => {
  test('[AT-22, AT-23] a write and its upload are one transaction; undone, there is neither', async () => {
    const photo = await ann.attachments.add(large)
    const failed = ann.transaction(async (tx) => {
      await tx.places.insert({ photo })
      throw new Error('changed my mind')
    })
    await expect(failed).rejects.toThrow('changed my mind')
    expect(await ann.attachments.list()).toEqual([])
    expect(await ann.canSafelySignOut()).toBe(true)
    const { id } = await givenPlace(large)
    const expected = { collection: 'places', record: id, hash: photo.hash, size: photo.size, sent: 0 }
    const [upload] = await ann.attachments.list()
    expect(upload).toMatchObject({ ...expected, status: 'waiting', attempts: 0, code: null })
    expect((await ann.status.get()).attachments).toEqual({ uploads: 1, uploadBytes: photo.size })
    expect(await ann.canSafelySignOut()).toBe(false)
    await syncUntilDone()
    expect((await ann.status.get()).attachments).toEqual({ uploads: 0, uploadBytes: 0 })
    expect(await ann.canSafelySignOut()).toBe(true)
  })

  test('[AT-22] a value whose bytes are not here is written as it is, and nothing is uploaded', async () => {
    const photo = { hash: 'a'.repeat(64), size: 3 }
    const id = await ann.places.insert({ photo })
    await world.sync(ann)
    expect(await ann.attachments.list()).toEqual([])
    expect(world.server.record('places', id)).toMatchObject({ photo })
    expect(world.asked).toEqual([])
  })

  test('[AT-22, AT-26] JSON that looks like an attachment is asked about, and then left alone', async () => {
    const photo = await ann.attachments.add(photoOf(10))
    await ann.places.insert({ extra: { hash: photo.hash } })
    await world.sync(ann)
    expect([await ann.attachments.list(), world.asked]).toEqual([[], []])
  })

  test('[AT-23] whoever watches sees the list at once and each step of it', async () => {
    const seen: string[] = []
    const stop = ann.attachments.watch((uploads) =>
      seen.push(uploads.map(({ status, sent }) => `${status} ${sent / kib}`).join()),
    )
    await givenPlace(large)
    await syncUntilDone()
    stop()
    const steps = ['', 'waiting 0', 'sending 0', 'sending 512', 'sending 1024', '']
    expect(seen.filter((step, index) => step !== seen[index - 1])).toEqual(steps)
  })

  test('[AT-39] [LO-15] what is to be uploaded for a collection that the app has no more stays until the server has it', async () => {
    const { env, server } = world
    server.grant('ann', 'w:w2')
    const storage = sqliteStorage(world.path('updated.sqlite'))
    ann = await world.open({ storage })
    await givenPlace(photoOf(70, 2))
    await world.sync(ann)
    const heal = server.script({ on: 'upload', fault: { kind: 'answer', status: 503 } })
    const { id, photo } = await givenPlace(photoOf(70))
    await world.sync(ann)
    await ann.close()
    const notes = collection({ fields: { body: text() }, scope: 'w:{body}' })
    const updated = await openClient({
      schema: defineSchema({ version: 2, collections: { notes } }),
      storage,
      server: 'https://photos.example',
      auth: 'ann',
      env,
      sync: { auto: false },
    })
    expect(await openFile(world.path('updated.sqlite'), 'SELECT hash FROM _attachments')).toEqual([
      { hash: photo.hash },
    ])
    server.revoke('ann', 'w:w2')
    await env.complete(updated.sync.now())
    expect(await updated.attachments.list()).toHaveLength(1)
    heal()
    await env.advance(900_000)
    await env.complete(updated.sync.now())
    await settle(env)
    expect(onServer(id, photo)).toBe(photo.hash)
    expect(await updated.attachments.list()).toEqual([])
    await updated.close()
  })

  test('[AT-26] what its record names no more is not uploaded', async () => {
    const { id } = await givenPlace(large)
    await ann.places.update(id, { photo: null })
    await world.sync(ann)
    expect([await ann.attachments.list(), world.asked]).toEqual([[], []])
  })

  test.each([
    ['takes its attachment away', (id: string) => ann.places.update(id, { photo: null })],
    ['deletes its record', (id: string) => ann.places.delete(id)],
  ])(
    '[AT-26] an upload outlives a pending edit that %s, for the case that it is refused',
    async (_, edit) => {
      const { id, photo } = await givenPlace(large)
      world.server.script({ on: 'upload', fault: { kind: 'cut', when: 'before' } })
      await world.sync(ann)
      world.server.heal()
      world.server.injectRefusals(1, 'NOT_AUTHORIZED')
      await edit(id)
      await world.sync(ann)
      const [letter] = await ann.deadLetters.list()
      await ann.deadLetters.discard(letter?.id ?? '')
      await ann.attachments.retry()
      await syncUntilDone()
      expect(onServer(id, photo)).toBe(photo.hash)
    },
  )
})

describe('when it goes', () => {
  test('[AT-25] an upload waits for its record: refused, it waits until somebody repairs that', async () => {
    world.server.injectRefusals(1, 'NOT_AUTHORIZED')
    const { id, photo } = await givenPlace(large)
    await world.sync(ann)
    await world.sync(ann)
    expect(world.asked).toEqual([])
    expect(await ann.attachments.list()).toMatchObject([{ record: id, status: 'waiting', attempts: 0 }])
    const [letter] = await ann.deadLetters.list()
    await ann.deadLetters.editAndRetry(letter?.id ?? '', { name: 'repaired' })
    await syncUntilDone()
    expect(onServer(id, photo)).toBe(photo.hash)
  })

  test('[AT-22, AT-25] a photo that a repair puts into the refused record is uploaded, the one it replaced is not', async () => {
    world.server.injectRefusals(1, 'NOT_AUTHORIZED')
    const { id, photo } = await givenPlace(large)
    await world.sync(ann)
    const other = await ann.attachments.add(photoOf(5, 9))
    const [letter] = await ann.deadLetters.list()
    await ann.deadLetters.editAndRetry(letter?.id ?? '', { photo: other })
    await syncUntilDone()
    expect([onServer(id, other), onServer(id, photo)]).toEqual([other.hash, undefined])
  })

  test('[AT-25] a discarded record takes its upload with it', async () => {
    world.server.injectRefusals(1, 'NOT_AUTHORIZED')
    await givenPlace(large)
    await world.sync(ann)
    const [letter] = await ann.deadLetters.list()
    await ann.deadLetters.discard(letter?.id ?? '')
    await world.sync(ann)
    expect([await ann.attachments.list(), world.asked]).toEqual([[], []])
  })

  test('[AT-25] what is in dispute is uploaded: a person is to decide between two photos', async () => {
    const { id } = await givenPlace(photoOf(4))
    await syncUntilDone()
    const theirs = { hash: 'b'.repeat(64), size: 9 }
    world.server.write('places', id, { photo: theirs })
    const mine = await ann.attachments.add(photoOf(6, 2))
    await ann.places.update(id, { photo: mine })
    await syncUntilDone()
    expect(await ann.conflicts.list()).toHaveLength(1)
    expect(onServer(id, mine)).toBe(mine.hash)
  })

  test('[AT-24] records go first: between two pieces an upload waits for a cycle, and no cycle waits for it', async () => {
    const db = await world.open({ sync: { auto: true } })
    await world.env.advance(10)
    world.server.script({ on: 'upload', fault: { kind: 'delay', ms: 1_000 } })
    const photo = await db.attachments.add(large)
    await db.places.insert({ photo })
    await world.env.advance(1_500)
    world.server.script({ on: 'pull', fault: { kind: 'delay', ms: 10_000 } })
    await db.places.insert({ name: 'later' })
    await world.env.advance(5_000)
    expect(world.asked.map(({ what }) => what)).toEqual(['POST', 'PATCH 0'])
    expect(world.server.rows('places').size).toBe(2)
    await world.env.advance(20_000)
    expect(world.asked.map(({ what }) => what)).toEqual([
      'POST',
      'PATCH 0',
      'POST',
      'PATCH 524288',
      'PATCH 1048576',
    ])
    expect(await db.attachments.list()).toEqual([])
  })

  test.each([
    ['paused', (db: PhotoClient) => db.sync.pause()],
    ['closed', (db: PhotoClient) => void db.close()],
  ])(
    '[AT-24] an upload is called off at once when its client is %s, and counts as no failure',
    async (_, stop) => {
      const path = world.path('a.sqlite')
      const db = await world.open({ storage: sqliteStorage(path), sync: { auto: true } })
      await world.env.advance(10)
      world.server.script({ on: 'upload', fault: { kind: 'silence', when: 'before' } })
      await db.places.insert({ photo: await db.attachments.add(large) })
      await settle(world.env)
      expect(await db.attachments.list()).toMatchObject([{ status: 'sending' }])
      stop(db)
      await settle(world.env)
      const rows = await openFile(path, 'SELECT status, attempts, code FROM _uploads')
      expect(rows).toEqual([{ status: 'waiting', attempts: 0, code: null }])
    },
  )

  test('[AT-24] paused, nothing is sent; resumed, it goes on', async () => {
    const db = await world.open({ sync: { auto: true } })
    await world.env.advance(10)
    db.sync.pause()
    const photo = await db.attachments.add(large)
    const id = await db.places.insert({ photo })
    await world.env.advance(3_600_000)
    expect(world.asked).toEqual([])
    db.sync.resume()
    await settle(world.env)
    expect(onServer(id, photo)).toBe(photo.hash)
  })
})

describe('whatever happens on the way', () => {
  test('[AT-28] each piece is cut, and still the server has exactly the bytes', async () => {
    const { id, photo } = await givenPlace(large)
    world.server.script({
      on: ({ kind, index }) => kind === 'upload' && index % 2 === 1,
      fault: { kind: 'cut-body', bytes: 100_000 },
    })
    expect(await syncUntilDone(40)).toBeLessThan(40)
    expect(onServer(id, photo)).toBe(photo.hash)
  })

  test('[AT-28] each answer is lost, and nothing is sent twice', async () => {
    const { id, photo } = await givenPlace(large)
    world.server.script({ on: 'upload', times: 8, fault: { kind: 'cut', when: 'after' } })
    expect(await syncUntilDone(40)).toBeLessThan(40)
    expect(onServer(id, photo)).toBe(photo.hash)
    const patched = world.asked.filter(({ what }) => what.startsWith('PATCH'))
    expect(patched.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)).toBe(large.byteLength)
  })

  test('[AT-28] an upload that is at another place goes on there', async () => {
    const { id, photo } = await givenPlace(large)
    world.server.script({ on: 'upload', times: 3, fault: { kind: 'duplicate' } })
    expect(await syncUntilDone()).toBeGreaterThan(1)
    expect(onServer(id, photo)).toBe(photo.hash)
  })

  test('[AT-28] a device that dies between any two requests goes on where the server is', async () => {
    const path = world.path('a.sqlite')
    let photo: AttachmentValue | undefined
    let id = ''
    for (let life = 0; life < 12; life++) {
      const db = await world.open({ storage: sqliteStorage(path) })
      if (photo === undefined) {
        photo = await db.attachments.add(large)
        id = await db.places.insert({ photo })
      }
      // One request gets through in each life, and its answer in every second.
      const [first, then] = [
        world.server.script({
          on: 'upload',
          times: 1,
          fault: life % 2 === 0 ? { kind: 'delay', ms: 0 } : { kind: 'cut', when: 'after' },
        }),
        world.server.script({ on: 'upload', fault: { kind: 'cut', when: 'before' } }),
      ]
      await world.env.complete(db.sync.now())
      await world.env.advance(0)
      await settle(world.env)
      await db.close()
      first()
      then()
    }
    world.server.heal()
    const last = await world.open({ storage: sqliteStorage(path) })
    await last.attachments.retry()
    await world.sync(last)
    expect(await last.attachments.list()).toEqual([])
    expect(photo && onServer(id, photo)).toBe(sha(large))
  })

  test('[AT-29] failures put the next attempt off further and further, up to the cap; whatever gets ahead forgets them', async () => {
    await givenPlace(large)
    world.server.script({ on: 'upload', fault: { kind: 'answer', status: 503 } })
    const waits: number[] = []
    for (let attempt = 1; attempt <= 14; attempt++) {
      await ann.attachments.retry()
      await world.sync(ann)
      const [upload] = await ann.attachments.list()
      expect(upload).toMatchObject({ attempts: attempt, code: 'SERVER_FAILED', status: 'waiting' })
      waits.push(Date.parse(upload?.nextAttemptAt ?? '') - world.env.now())
    }
    for (const [index, wait] of waits.entries())
      expect(wait).toBeLessThanOrEqual(Math.min(900_000, 500 * 2 ** (index + 1)))
    expect(Math.max(...waits)).toBeGreaterThan(200_000)
    world.server.heal()
    world.server.script({
      on: ({ kind, index }) => kind === 'upload' && index > 15,
      fault: { kind: 'answer', status: 503 },
    })
    await ann.attachments.retry()
    await world.sync(ann)
    expect(await ann.attachments.list()).toMatchObject([{ attempts: 1, sent: 512 * kib }])
  })

  test('[AT-29] by itself it tries again when the time has come', async () => {
    const db = await world.open({ sync: { auto: true } })
    await world.env.advance(10)
    world.server.script({ on: 'upload', times: 3, fault: { kind: 'answer', status: 503 } })
    const photo = await db.attachments.add(large)
    const id = await db.places.insert({ photo })
    await world.env.advance(15_000)
    expect(onServer(id, photo)).toBe(photo.hash)
  })

  test('[AT-29] a clock that was put back does not put an attempt off', async () => {
    const { id, photo } = await givenPlace(large)
    world.server.script({ on: 'upload', times: 1, fault: { kind: 'answer', status: 503 } })
    await world.sync(ann)
    world.env.jumpClock(-86_400_000)
    await world.sync(ann)
    expect(onServer(id, photo)).toBe(photo.hash)
  })

  test('[AT-29] a server without attachments is asked now and then only', async () => {
    await givenPlace(large)
    const body = JSON.stringify({ error: { code: 'NOT_FOUND', message: 'nothing here' } })
    const headers = { 'Content-Type': 'application/json' }
    world.server.script({ on: 'upload', fault: { kind: 'answer', status: 404, body, headers } })
    await world.sync(ann)
    const [upload] = await ann.attachments.list()
    expect(upload?.code).toBe('NOT_FOUND')
    expect(Date.parse(upload?.nextAttemptAt ?? '') - world.env.now()).toBeGreaterThanOrEqual(450_000)
    expect(world.server.rows('places').size).toBe(1)
  })

  test('[AT-29] offline for long, it goes on as soon as the network is back, however long it was to wait', async () => {
    const db = await world.open({ sync: { auto: true } })
    await world.env.advance(10)
    const photo = await db.attachments.add(large)
    world.server.script({ on: 'upload', fault: { kind: 'cut', when: 'before' } })
    const id = await db.places.insert({ photo })
    const waitMs = async (): Promise<number> =>
      Date.parse((await db.attachments.list())[0]?.nextAttemptAt ?? '') - world.env.now()
    for (let tries = 0; tries < 50 && !((await waitMs()) > 300_000); tries++) await world.env.advance(60_000)
    expect(await waitMs()).toBeGreaterThan(300_000)
    world.server.script({ fault: { kind: 'cut', when: 'before' } })
    await world.env.advance(120_000)
    expect(await db.attachments.list()).toMatchObject([{ code: 'OFFLINE' }])
    world.server.heal()
    db.sync.setOnline(true)
    await settle(world.env)
    expect(onServer(id, photo)).toBe(photo.hash)
  })

  test('[AT-27] without a valid token the engine pauses, and nobody is asked for one again and again', async () => {
    let tokens = 0
    const auth = (): string => {
      tokens += 1
      return 'ann'
    }
    const db = await world.open({ sync: { auto: true }, auth })
    await world.env.advance(10)
    const photo = await db.attachments.add(large)
    world.server.script({ on: 'upload', times: 1, fault: { kind: 'delay', ms: 1_000 } })
    const id = await db.places.insert({ photo })
    await settle(world.env)
    world.server.expire('ann')
    await world.env.advance(600_000)
    expect((await db.status.get()).pausedBy).toBe('auth')
    expect(tokens).toBeLessThanOrEqual(4)
    world.server.accept('ann')
    db.sync.resume()
    await world.env.advance(5_000)
    expect(onServer(id, photo)).toBe(photo.hash)
  })

  test('[AT-30] pieces shrink while they get no answer, and grow again', async () => {
    await givenPlace(photoOf(2_000 * kib))
    world.server.script({
      on: ({ kind, index }) => kind === 'upload' && index % 2 === 1 && index < 12,
      fault: { kind: 'cut', when: 'before' },
    })
    expect(await syncUntilDone(40)).toBeLessThan(40)
    const sizes = world.asked
      .filter(({ what }) => what.startsWith('PATCH'))
      .map(({ bodyBytes }) => bodyBytes / kib)
    expect(sizes).toEqual([512, 256, 128, 64, 32, 32, 32, 64, 128, 256, 512, 512, 496])
  })

  test('[AT-31] bytes that were damaged on the way are sent again', async () => {
    const { id, photo } = await givenPlace(large)
    const body = JSON.stringify({ error: { code: 'ATTACHMENT_MISMATCH', message: 'other bytes' } })
    const headers = { 'Content-Type': 'application/json' }
    world.server.script({
      on: ({ kind, index }) => kind === 'upload' && index === 3,
      fault: { kind: 'answer', status: 422, body, headers },
    })
    await world.sync(ann)
    expect(await ann.attachments.list()).toMatchObject([{ code: 'ATTACHMENT_MISMATCH', attempts: 1 }])
    expect(await syncUntilDone()).toBeLessThan(20)
    expect(onServer(id, photo)).toBe(photo.hash)
  })

  test('[AT-31] bytes that are damaged on the device are never read; the upload says so until they are added again', async () => {
    const path = world.path('a.sqlite')
    ann = await world.open({ storage: sqliteStorage(path) })
    const { id, photo } = await givenPlace(large)
    await openFile(path, 'UPDATE _attachment_parts SET bytes = zeroblob(length(bytes)) WHERE n = 2')
    await world.sync(ann)
    expect(await ann.attachments.list()).toMatchObject([
      { code: 'ATTACHMENT_MISMATCH', nextAttemptAt: null, sent: 0 },
    ])
    expect(await ann.attachments.has(photo)).toBe(false)
    const count = world.asked.length
    await world.sync(ann)
    expect(world.asked).toHaveLength(count)
    expect(await ann.canSafelySignOut()).toBe(false)
    await ann.attachments.add(large)
    await syncUntilDone()
    expect(onServer(id, photo)).toBe(photo.hash)
  })

  test.each([
    ['nothing said of a place', {}],
    ['a place behind the end', { 'Tus-Resumable': '1.0.0', 'Upload-Offset': '999999999' }],
    ['a place that is none', { 'Tus-Resumable': '1.0.0', 'Upload-Offset': 'x' }],
  ])('[AT-32] an answer that cannot be the server’s counts for nothing: %s', async (_, headers) => {
    const { id, photo } = await givenPlace(large)
    world.server.script({ on: 'upload', times: 1, fault: { kind: 'answer', status: 204, headers } })
    await world.sync(ann)
    expect(await ann.attachments.list()).toMatchObject([{ sent: 0, code: 'RESPONSE_INVALID' }])
    await syncUntilDone()
    expect(onServer(id, photo)).toBe(photo.hash)
  })

  test('[AT-33] a server that was put back gets what it lost, from whoever has it', async () => {
    const { id, photo } = await givenPlace(large)
    await syncUntilDone()
    world.server.loseAttachments()
    world.server.changeEpoch()
    await syncUntilDone()
    expect(onServer(id, photo)).toBe(photo.hash)
  })
})
