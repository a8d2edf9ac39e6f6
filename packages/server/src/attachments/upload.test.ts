import { newUuid } from '@holdfast/core'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import * as tusClient from 'tus-js-client'

import { GivenDevice } from '../given-engine.ts'
import { systemEnvironment } from '../system-environment.ts'
import {
  type GivenAttachments,
  givenAttachments,
  type GivenAttachmentsOptions,
  type Heard,
  openRequest,
  part,
  tus,
} from './given-attachments.ts'
import { fileOf, type GivenFile, givenFile, reports, valueOf } from './given-photos.ts'

let given: GivenAttachments

afterEach(() => given.close())

const file = givenFile(300_000)

/** A report whose photo is the file. */
async function givenReport(
  options: GivenAttachmentsOptions = {},
  of: GivenFile = file,
): Promise<{ readonly record: string; readonly path: string }> {
  given = await givenAttachments(options)
  const record = await given.report({ photo: valueOf(of) })
  return { record, path: `/attachments/${reports}/${record}/${of.hash}` }
}

async function offsetOf(record: string, of: GivenFile = file, user = 'ann'): Promise<number> {
  const { status, headers } = await given.ask(`HEAD ${given.at(record, of)}`, { user, headers: tus })
  return status === 200 ? Number(headers.get('upload-offset')) : Number.NaN
}

/** Waits for what a request has brought so far. */
async function arrived(record: string, atLeast: number): Promise<number> {
  await expect.poll(() => offsetOf(record)).toBeGreaterThanOrEqual(atLeast)
  return offsetOf(record)
}

describe('an upload', () => {
  test('[AT-1] is created, goes on in parts, and is readable once its last byte is there', async () => {
    const { record, path } = await givenReport({ basePath: '/api' })
    const created = await given.create(record, file)
    expect([created.status, created.headers.get('location'), created.headers.get('upload-offset')]).toEqual([
      201,
      `/api${path}/upload`,
      '0',
    ])
    const first = await given.patch(record, file, { from: 0, to: 100_000 })
    expect([first.status, first.headers.get('upload-offset'), first.bytes.byteLength]).toEqual([
      204,
      '100000',
      0,
    ])
    const head = await given.ask(`HEAD /api${path}/upload`, { headers: tus })
    expect([head.status, head.headers.get('upload-offset'), head.headers.get('upload-length')]).toEqual([
      200,
      '100000',
      '300000',
    ])
    expect(head.headers.get('cache-control')).toBe('no-store')
    expect((await given.ask(`GET /api${path}`)).code).toBe('ATTACHMENT_MISSING')
    const last = await given.patch(record, file, { from: 100_000 })
    expect([last.status, last.headers.get('upload-offset')]).toEqual([204, '300000'])
    const read = await given.ask(`GET /api${path}`)
    expect([read.status, read.bytes.equals(file.bytes)]).toEqual([200, true])
    // Whoever did not hear of it is told so, however he asks.
    expect((await given.create(record, file)).headers.get('upload-offset')).toBe('300000')
    expect(await given.patch(record, file, { from: 300_000 })).toMatchObject({ status: 204 })
    for (const answer of [created, first, head, last])
      expect(answer.headers.get('tus-resumable')).toBe('1.0.0')
  })

  test('[AT-1] errors of its routes name the version, also where nobody is signed in; another version is refused', async () => {
    const { record } = await givenReport()
    const at = given.at(record, file)
    for (const [route, user] of [
      ['POST /attachments', 'ann'],
      [`HEAD ${at}`, 'ann'],
      [`PATCH ${at}`, 'ann'],
    ] as const) {
      for (const headers of [undefined, { 'tus-resumable': '0.2.2' }]) {
        const refused = await given.ask(route, { user, headers })
        expect([refused.status, refused.headers.get('tus-version')]).toEqual([412, '1.0.0'])
        expect(refused.headers.get('tus-resumable')).toBe('1.0.0')
        if (!route.startsWith('HEAD')) expect(refused.code).toBe('REQUEST_INVALID')
      }
      const unknown = await given.ask(route, { headers: { ...tus, authorization: 'nobody' } })
      expect([unknown.status, unknown.headers.get('tus-resumable')]).toEqual([401, '1.0.0'])
    }
  })

  test.each([
    ['no length', { 'upload-length': 'many' }],
    ['no metadata', { 'upload-metadata': '' }],
    ['metadata without a hash', { 'upload-metadata': 'collection aXRlbXM=,record aXRlbXM=' }],
    ['metadata that is not base64', { 'upload-metadata': 'collection ::,record aXRlbXM=,hash aXRlbXM=' }],
    ['a length that comes later', { 'upload-length': '', 'upload-defer-length': '1' }],
  ])('[AT-1] with %s is refused', async (_, headers) => {
    const { record } = await givenReport()
    const refused = await given.create(record, file, { headers })
    expect([refused.status, refused.code]).toEqual([400, 'REQUEST_INVALID'])
  })

  test('[AT-1] parts without an offset or of another type are refused', async () => {
    const { record } = await givenReport()
    const refused = await given.patch(record, file, { from: 0, headers: { 'content-type': 'image/png' } })
    expect([refused.status, refused.code]).toEqual([415, 'REQUEST_INVALID'])
    const unplaced = await given.patch(record, file, { from: 0, headers: { 'upload-offset': '-1' } })
    expect([unplaced.status, unplaced.code]).toEqual([400, 'REQUEST_INVALID'])
    expect(await offsetOf(record)).toBe(0)
  })

  test('[AT-18] is made by an ordinary tus client, which finds out where it is and goes on', async () => {
    const { record, path } = await givenReport()
    await given.patch(record, file, { from: 0, to: 40_000 })
    const progress: number[] = []
    await new Promise<void>((resolve, reject) => {
      new tusClient.Upload(file.bytes, {
        endpoint: `${given.url}/attachments`,
        metadata: { collection: reports, record, hash: file.hash, filename: 'site.jpg' },
        headers: { authorization: 'Bearer ann' },
        chunkSize: 90_000,
        // What it created it sends from 0: it is told 409, and asks.
        retryDelays: [0],
        onChunkComplete: (_, accepted) => progress.push(accepted),
        onError: reject,
        onSuccess: () => resolve(),
      }).start()
    })
    expect(progress).toEqual([130_000, 220_000, 300_000])
    expect((await given.ask(`GET ${path}`)).bytes.equals(file.bytes)).toBe(true)
  })

  test('[AT-18] of a new file is made by an ordinary tus client from creation to end', async () => {
    const { record, path } = await givenReport()
    await new Promise<void>((resolve, reject) => {
      new tusClient.Upload(file.bytes, {
        endpoint: `${given.url}/attachments`,
        metadata: { collection: reports, record, hash: file.hash },
        headers: { authorization: 'Bearer ann' },
        onError: reject,
        onSuccess: () => resolve(),
      }).start()
    })
    expect((await given.ask(`GET ${path}`)).bytes.equals(file.bytes)).toBe(true)
  })

  test('[AT-7] of no bytes at all is over when it is created', async () => {
    const empty = fileOf(Buffer.alloc(0))
    const { record, path } = await givenReport({}, empty)
    expect((await given.ask(`GET ${path}`)).status).toBe(404)
    expect((await given.create(record, empty)).headers.get('upload-offset')).toBe('0')
    const read = await given.ask(`GET ${path}`)
    expect([read.status, read.bytes.byteLength, read.headers.get('content-length')]).toEqual([200, 0, '0'])
  })
})

describe('what is taken', () => {
  test('[AT-2] only what the record names, in its size', async () => {
    const { record } = await givenReport()
    const other = givenFile(300_000, 2)
    const missing = (answer: Heard): void =>
      expect([answer.status, answer.code]).toEqual([404, 'ATTACHMENT_MISSING'])
    missing(await given.create(record, other))
    missing(await given.patch(record, other, { from: 0 }))
    missing(await given.create(record, file, { headers: { 'upload-length': '299999' } }))
    missing(await given.create(await given.report(), file))
    await given.set(record, { photo: null, plan: valueOf(file) })
    expect((await given.create(record, file)).status).toBe(201)
    await given.patch(record, file, { from: 0, to: 1_000 })
    await given.set(record, { plan: valueOf(other) })
    missing(await given.patch(record, file, { from: 1_000 }))
    expect((await given.ask(`DELETE /records/${reports}/${record}`)).status).toBe(200)
    missing(await given.create(record, other))
  })

  test('[AT-2] what an open conflict in the sight of its sender names, and no longer once it is settled', async () => {
    const { record } = await givenReport()
    const mine = givenFile(5_000, 3)
    const engine = given.sync.engine
    const device = (user: string): GivenDevice =>
      new GivenDevice({ engine, user, grants: ['site:1'], now: () => Date.now(), version: 1 })
    const text = await engine.record(device('ann').caller, reports, record)
    const { version, photo } = JSON.parse(text ?? '{}') as { version: number; photo: never }
    await given.set(record, { photo: valueOf(givenFile(10, 4)) })
    const of = { collection: reports, record }
    const edit = device('ann')
    const result = await edit.pushOne(
      edit.update(of, { photo: valueOf(mine) }, { base: { photo }, baseVersion: version }),
    )
    expect(result.status).toBe('conflict')
    expect((await given.create(record, mine)).status).toBe(201)
    expect((await given.patch(record, mine, { from: 0 })).status).toBe(204)
    // Ben sees the conflict, as he sees the record; Eve sees neither.
    const path = `/attachments/${reports}/${record}/${mine.hash}`
    expect((await given.ask(`GET ${path}`, { user: 'ben' })).bytes.equals(mine.bytes)).toBe(true)
    given.grants.set('eve', ['site:2'])
    expect((await given.ask(`GET ${path}`, { user: 'eve' })).code).toBe('ATTACHMENT_MISSING')
    expect((await given.create(record, mine, { user: 'eve' })).code).toBe('ATTACHMENT_MISSING')
    const body = Buffer.from(JSON.stringify({ kind: 'theirs' }))
    await given.ask(`POST /conflicts/${result.conflict?.id}/resolve`, { body })
    expect((await given.create(record, mine)).code).toBe('ATTACHMENT_MISSING')
  })

  test('[AT-2] what a record in dispute names that was never made, for its author', async () => {
    const { record } = await givenReport()
    const engine = given.sync.engine
    const ann = new GivenDevice({
      engine,
      user: 'ann',
      grants: ['site:1'],
      now: () => Date.now(),
      version: 1,
    })
    const text = await engine.record(ann.caller, reports, record)
    const { title } = JSON.parse(text ?? '{}') as { title: string }
    const mine = givenFile(2_000, 5)
    const twin = ann.create(reports, { site: '1', title, photo: valueOf(mine), plan: null })
    expect((await ann.pushOne(twin)).status).toBe('conflict')
    expect(await engine.record(ann.caller, reports, twin.record)).toBe(null)
    expect((await given.create(twin.record, mine)).status).toBe(201)
    expect((await given.patch(twin.record, mine, { from: 0 })).status).toBe(204)
    const path = `/attachments/${reports}/${twin.record}/${mine.hash}`
    expect((await given.ask(`GET ${path}`)).bytes.equals(mine.bytes)).toBe(true)
  })

  test('[AT-2] what waits in a transaction with another record that is in dispute', async () => {
    const { record } = await givenReport()
    const other = await given.report()
    const { engine } = given.sync
    const ann = new GivenDevice({
      engine,
      user: 'ann',
      grants: ['site:1'],
      now: () => Date.now(),
      version: 1,
    })
    const versionOf = async (id: string): Promise<number> =>
      (JSON.parse((await engine.record(ann.caller, reports, id)) ?? '{}') as { version: number }).version
    const mine = givenFile(3_000, 6)
    const [seen, waits] = [await versionOf(record), await versionOf(other)]
    await given.set(record, { plan: valueOf(givenFile(10, 4)) })
    const group = newUuid(systemEnvironment())
    const at = (id: string) => ({ collection: reports, record: id })
    const results = await ann.push(
      ann.update(at(record), { plan: valueOf(file) }, { base: { plan: null }, baseVersion: seen, group }),
      ann.update(at(other), { photo: valueOf(mine) }, { base: { photo: null }, baseVersion: waits, group }),
    )
    expect(results.map(({ status }) => status)).toEqual(['conflict', 'conflict'])
    expect((await given.patch(other, mine, { from: 0 })).status).toBe(204)
    expect((await given.create(record, mine)).code).toBe('ATTACHMENT_MISSING')
    expect(
      await engine.attachmentsNamed([
        { ...at(other), hash: mine.hash },
        { ...at(record), hash: mine.hash },
      ]),
    ).toEqual([true, false])
  })

  test('[AT-2] no longer from one whose grant ended in the middle, not even the part under way', async () => {
    const { record, path } = await givenReport()
    await given.patch(record, file, { from: 0, to: 100_000 })
    const socket = await openPart(path, 100_000)
    socket.write(file.bytes.subarray(100_000, 200_000))
    await arrived(record, 200_000)
    given.grants.set('ann', ['site:2'])
    socket.write(file.bytes.subarray(200_000))
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 404 /)
    socket.destroy()
    expect((await given.create(record, file)).code).toBe('ATTACHMENT_MISSING')
    expect((await given.ask(`GET ${path}`, { user: 'ben' })).code).toBe('ATTACHMENT_MISSING')
    given.grants.delete('ann')
    expect(await offsetOf(record)).toBe(300_000)
    expect((await given.ask(`GET ${path}`, { user: 'ben' })).status).toBe(200)
  })

  test('[AT-3] foreign, gone, other and malformed keys get one and the same answer, on every route', async () => {
    const { record, path } = await givenReport()
    await given.patch(record, file, { from: 0 })
    given.grants.set('eve', ['site:2'])
    const none = newUuid(systemEnvironment())
    const deleted = await given.report({ photo: valueOf(file) })
    await given.ask(`DELETE /records/${reports}/${deleted}`)
    const unnamed = await given.report({ site: '2' })
    const keys: readonly (readonly [string, string, string])[] = [
      [reports, record, file.hash],
      [reports, none, file.hash],
      [reports, deleted, file.hash],
      [reports, unnamed, file.hash],
      [reports, unnamed, '0'.repeat(64)],
      ...[...names, ...tricks].map((trick) => [trick, record, file.hash] as const),
      ...[record.toUpperCase(), ...tricks].map((trick) => [reports, trick, file.hash] as const),
      ...[file.hash.toUpperCase(), `${file.hash}.unnamed`, ...tricks].map(
        (trick) => [reports, record, trick] as const,
      ),
    ]
    const told = new Map<string, number>()
    for (const key of keys) {
      const at = `/attachments/${key.map(encodeURIComponent).join('/')}`
      const pairs = ['collection', 'record', 'hash'].map(
        (name, index) => `${name} ${Buffer.from(key[index] ?? '').toString('base64')}`,
      )
      const answers = [
        await given.ask(`GET ${at}`, { user: 'eve' }),
        await given.ask(`GET ${at}/upload`, { user: 'eve', headers: tus }),
        await given.ask(`PATCH ${at}/upload`, {
          user: 'eve',
          headers: { ...tus, ...part, 'upload-offset': '0' },
          body: file.bytes.subarray(0, 10),
        }),
        await given.ask('POST /attachments', {
          user: 'eve',
          headers: { ...tus, 'upload-length': String(file.size), 'upload-metadata': pairs.join(',') },
        }),
      ]
      for (const [index, { status, headers, bytes }] of answers.entries()) {
        const request = headers.get('holdfast-request') ?? ''
        const kept = [...headers].filter(([name]) => !['date', 'holdfast-request'].includes(name))
        const body = bytes.toString().replace(request, 'request')
        const spelled = JSON.stringify([
          index === 0,
          status,
          kept.map(([name, value]) => [
            name,
            name === 'content-length' ? Number(value) - request.length : value,
          ]),
          body,
        ])
        told.set(spelled, (told.get(spelled) ?? 0) + 1)
      }
    }
    // One for the download, one for the uploads, which name their version.
    expect([...told.values()]).toEqual([keys.length, keys.length * 3])
    for (const spelled of told.keys()) expect(spelled).toContain('ATTACHMENT_MISSING')
    expect((await given.ask(`GET ${path}`)).status).toBe(200)
    expect(readdirSync(join(given.folder, 'uploads', 'site-reports'))).toEqual([])
  })

  test('[AT-8] no more bytes than the limit', async () => {
    const { record } = await givenReport({ maxBytes: 299_999 })
    const refused = await given.create(record, file)
    expect([refused.status, refused.code]).toEqual([413, 'REQUEST_TOO_LARGE'])
    const part = await given.patch(record, file, { from: 0, to: 10 })
    expect([part.status, part.code]).toEqual([413, 'REQUEST_TOO_LARGE'])
    expect(existsSync(join(given.folder, 'uploads'))).toBe(false)
    // Nothing is told of a record that is not there by its size either.
    const foreign = await given.create(newUuid(systemEnvironment()), file)
    expect([foreign.status, foreign.code]).toEqual([413, 'REQUEST_TOO_LARGE'])
  })

  test('[AT-8] a limit that is none is refused', async () => {
    given = await givenAttachments()
    for (const options of [{ maxBytes: 0 }, { maxBytes: 1.5 }, { keepDays: -1 }, { keepDays: Number.NaN }])
      await expect(givenAttachments(options)).rejects.toMatchObject({ code: 'SCHEMA_INVALID' })
  })

  test('[AT-17] a server without a store for them has none of these addresses', async () => {
    const { record, path } = await givenReport({ isOn: false })
    for (const route of ['POST /attachments', `HEAD ${path}/upload`, `PATCH ${path}/upload`, `GET ${path}`]) {
      const { status, code } = await given.ask(route, { headers: tus })
      expect([status, route.startsWith('HEAD') || code === 'NOT_FOUND']).toEqual([404, true])
    }
    expect(record).toHaveLength(36)
  })
})

/** Names of collections that others would find something under. */
const names = ['_conflicts', '__proto__', 'constructor', 'SITEREPORTS', 'nothing']
/** What others would make a path or a statement of. */
const tricks = [
  '../../etc/passwd',
  '..\\..\\server.db',
  '/etc/passwd',
  'x/../../y',
  'a\u0000b',
  "' OR 1=1 --",
  '%2e%2e%2f',
  'ä',
  '-site-reports',
  'con',
  'x'.repeat(5_000),
]

/** Begins to send the rest of the file from an offset, as Ann. */
function openPart(path: string, from: number): Promise<Socket> {
  return openRequest(given.port, `PATCH ${path}/upload`, {
    ...tus,
    ...part,
    authorization: 'Bearer ann',
    'upload-offset': String(from),
    'content-length': String(file.size - from),
  })
}

describe('parts', () => {
  test('[AT-5] a part that is cut counts as far as it came, and the next one goes on there', async () => {
    const { record, path } = await givenReport()
    const socket = await openPart(path, 0)
    socket.write(file.bytes.subarray(0, 123_457))
    await arrived(record, 123_457)
    socket.resetAndDestroy()
    expect((await given.patch(record, file, { from: 123_457 })).status).toBe(204)
    expect((await given.ask(`GET ${path}`)).bytes.equals(file.bytes)).toBe(true)
  })

  test('[AT-5] an upload that is cut all the time, and goes on each time, ends', async () => {
    const { record, path } = await givenReport()
    let cuts = 0
    for (let from = 0; from < file.size; from = await offsetOf(record)) {
      const socket = await openPart(path, from)
      const to = Math.min(from + 16_384, file.size)
      socket.write(file.bytes.subarray(from, to))
      await arrived(record, to)
      socket.resetAndDestroy()
      cuts++
    }
    expect(cuts).toBe(19)
    expect((await given.ask(`GET ${path}`)).bytes.equals(file.bytes)).toBe(true)
  })

  test('[AT-5] [QU-14] [QU-21] one that stands still leaves its place to others after a while, and what came is kept', async () => {
    const { record, path } = await givenReport({ limits: { uploadsInFlight: 1, requestTimeoutMs: 1_000 } })
    const socket = await openPart(path, 0)
    const answered = once(socket, 'data')
    socket.write(file.bytes.subarray(0, 1_000))
    await arrived(record, 1_000)
    expect((await given.patch(record, file, { from: 1_000 })).status).toBe(429)
    expect(String(await answered)).toMatch(/^HTTP\/1\.1 429 [^]*retry-after: \d/i)
    expect(await offsetOf(record)).toBe(1_000)
    expect((await given.patch(record, file, { from: 1_000 })).status).toBe(204)
    socket.destroy()
  })

  test('[AT-5] a part of no announced length counts like any other', async () => {
    const { record, path } = await givenReport()
    const chunks = [file.bytes.subarray(0, 7), file.bytes.subarray(7, 200_000), file.bytes.subarray(200_000)]
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const chunk of chunks) controller.enqueue(chunk)
        controller.close()
      },
    })
    expect((await given.patch(record, file, { from: 0, body })).status).toBe(204)
    expect((await given.ask(`GET ${path}`)).bytes.equals(file.bytes)).toBe(true)
  })

  test('[AT-5] a server that was closed and opened again goes on where the upload was', async () => {
    const { record, path } = await givenReport()
    await given.patch(record, file, { from: 0, to: 150_000 })
    await given.reopen()
    expect(await offsetOf(record)).toBe(150_000)
    expect((await given.patch(record, file, { from: 150_000 })).status).toBe(204)
    await given.reopen()
    expect((await given.ask(`GET ${path}`)).bytes.equals(file.bytes)).toBe(true)
  })

  test('[AT-6] at another offset they change nothing and are told the right one, however many bytes they bring', async () => {
    const { record } = await givenReport()
    await given.patch(record, file, { from: 0, to: 1_000 })
    for (const from of [0, 999, 1_001, 300_000, 999_999_999]) {
      const refused = await given.patch(record, file, { from, body: file.bytes })
      expect([refused.status, refused.code, refused.headers.get('upload-offset')]).toEqual([
        409,
        'UPLOAD_OFFSET',
        '1000',
      ])
    }
    expect(await offsetOf(record)).toBe(1_000)
  })

  test('[AT-6] that bring more than is left are refused, announced or not', async () => {
    const { record, path } = await givenReport()
    await given.patch(record, file, { from: 0, to: 299_000 })
    const announced = await given.patch(record, file, { from: 299_000, body: file.bytes })
    expect([announced.status, announced.code]).toEqual([413, 'REQUEST_TOO_LARGE'])
    expect(await offsetOf(record)).toBe(299_000)
    let sent = 0
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (sent++ < 100) controller.enqueue(new Uint8Array(10_000))
        else controller.close()
      },
    })
    const told = await given.patch(record, file, { from: 299_000, body })
    expect([told.status, told.code]).toEqual([413, 'REQUEST_TOO_LARGE'])
    expect((await given.ask(`GET ${path}`)).status).toBe(404)
    expect((await given.patch(record, file, { from: 299_000 })).status).toBe(204)
  })

  test('[AT-7] wrong bytes are thrown away when the last one is there, and the upload begins anew', async () => {
    const { record, path } = await givenReport()
    const damaged = Buffer.from(file.bytes)
    damaged[200_000] = (damaged[200_000] ?? 0) ^ 1
    await given.patch(record, file, { from: 0, to: 100_000, body: damaged.subarray(0, 100_000) })
    const last = await given.patch(record, file, { from: 100_000, body: damaged.subarray(100_000) })
    expect([last.status, last.code]).toEqual([422, 'ATTACHMENT_MISMATCH'])
    expect((await given.ask(`GET ${path}`)).code).toBe('ATTACHMENT_MISSING')
    expect(await offsetOf(record)).toBe(0)
    expect((await given.patch(record, file, { from: 0 })).status).toBe(204)
    expect((await given.ask(`GET ${path}`)).bytes.equals(file.bytes)).toBe(true)
  })

  test('[AT-9] of two users are two uploads: one neither sees nor spoils the other', async () => {
    const { record, path } = await givenReport()
    await given.patch(record, file, { from: 0, to: 200_000, user: 'eve', body: Buffer.alloc(200_000) })
    expect(await offsetOf(record)).toBe(0)
    await given.patch(record, file, { from: 0, to: 100_000 })
    expect([await offsetOf(record), await offsetOf(record, file, 'eve')]).toEqual([100_000, 200_000])
    const spoiled = await given.patch(record, file, { from: 200_000, user: 'eve' })
    expect(spoiled.code).toBe('ATTACHMENT_MISMATCH')
    expect((await given.patch(record, file, { from: 100_000 })).status).toBe(204)
    expect((await given.ask(`GET ${path}`, { user: 'eve' })).bytes.equals(file.bytes)).toBe(true)
    expect(await offsetOf(record, file, 'eve')).toBe(300_000)
  })

  test('[AT-9] of one upload by several connections at once end in the right bytes', async () => {
    const { record, path } = await givenReport()
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, at) =>
        given.patch(record, file, { from: 0, user: at % 3 === 0 ? 'ben' : 'ann' }),
      ),
    )
    for (const { status, code } of answers) expect([204, 409]).toContain(code ? 409 : status)
    expect(answers.filter(({ status }) => status === 204).length).toBeGreaterThan(0)
    expect((await given.ask(`GET ${path}`)).bytes.equals(file.bytes)).toBe(true)
    expect(readdirSync(given.folder).filter((name) => name.startsWith('finishing'))).toEqual([])
  })

  test('[AT-10] of a request that is still open when others have finished the upload reach nothing that is stored', async () => {
    const { record, path } = await givenReport()
    const socket = await openPart(path, 0)
    socket.write(file.bytes.subarray(0, 100_000))
    await arrived(record, 100_000)
    expect((await given.patch(record, file, { from: 100_000 })).status).toBe(204)
    socket.write(Buffer.alloc(200_000, 7))
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 204 /)
    socket.destroy()
    expect((await given.ask(`GET ${path}`)).bytes.equals(file.bytes)).toBe(true)
  })

  test('[AT-19] metrics count their bytes', async () => {
    const { record, path } = await givenReport()
    await given.patch(record, file, { from: 0, to: 1_000 })
    await given.patch(record, file, { from: 1_000 })
    await given.ask(`GET ${path}`, { headers: { range: 'bytes=0-9' } })
    const text = (await given.ask('GET /metrics')).bytes.toString()
    expect(text).toContain('holdfast_attachment_bytes_total{direction="received"} 300000')
    expect(text).toContain('holdfast_attachment_bytes_total{direction="sent"} 10')
    expect(text).toMatch(
      /holdfast_requests_total\{route="\/attachments\/\{collection\}\/\{record\}\/\{hash\}\/upload",method="PATCH",status="204"\} 2/,
    )
    expect(text).not.toContain(record)
  })
})
