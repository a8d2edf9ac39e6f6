import { statSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { type GivenAttachments, givenAttachments } from './given-attachments.ts'
import { givenFile, reports, valueOf } from './given-photos.ts'

const file = givenFile(100_000)

let given: GivenAttachments
let record: string
let path: string

beforeEach(async () => {
  given = await givenAttachments()
  record = await given.report({ photo: valueOf(file) })
  path = `/attachments/${reports}/${record}/${file.hash}`
  await given.patch(record, file, { from: 0 })
})

afterEach(() => given.close())

test('[AT-11] a download says what it is, is checked by its hash, and never runs in a browser', async () => {
  const { status, headers, bytes } = await given.ask(`GET ${path}`, {
    headers: { 'accept-encoding': 'gzip' },
  })
  expect([status, bytes.equals(file.bytes)]).toEqual([200, true])
  expect(Object.fromEntries(headers)).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-disposition': 'attachment',
    'content-length': '100000',
    'accept-ranges': 'bytes',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    etag: `"${file.hash}"`,
  })
  expect(headers.get('content-encoding')).toBe(null)
  const head = await given.ask(`HEAD ${path}`)
  expect([head.status, head.headers.get('content-length'), head.bytes.byteLength]).toEqual([200, '100000', 0])
})

test.each([
  ['bytes=0-', 206, 0, 99_999],
  ['bytes=99999-', 206, 99_999, 99_999],
  ['bytes=10-19', 206, 10, 19],
  ['bytes=0-0', 206, 0, 0],
  ['bytes=99990-200000', 206, 99_990, 99_999],
])('[AT-11] %s is a part of it', async (range, expected, start, end) => {
  const { status, headers, bytes } = await given.ask(`GET ${path}`, { headers: { range } })
  expect([status, headers.get('content-range'), headers.get('content-length')]).toEqual([
    expected,
    `bytes ${start}-${end}/100000`,
    String(end - start + 1),
  ])
  expect(bytes.equals(file.bytes.subarray(start, end + 1))).toBe(true)
})

test.each(['bytes=100000-', 'bytes=100000-100001', 'bytes=999999999999-'])(
  '[AT-11] %s lies beyond its end',
  async (range) => {
    const { status, headers, code } = await given.ask(`GET ${path}`, { headers: { range } })
    expect([status, headers.get('content-range'), code]).toEqual([416, 'bytes */100000', 'REQUEST_INVALID'])
  },
)

test.each([
  'bytes=-5',
  'bytes=0-1,5-6',
  'bytes=9-3',
  'lines=1-2',
  'bytes=',
  'bytes=1e3-',
  `bytes=${'9'.repeat(40)}-`,
])('[AT-11] %s is ignored, as is a range of other bytes', async (range) => {
  expect((await given.ask(`GET ${path}`, { headers: { range } })).status).toBe(200)
  const other = { range: 'bytes=0-1', 'if-range': `"${'0'.repeat(64)}"` }
  expect((await given.ask(`GET ${path}`, { headers: other })).status).toBe(200)
  const same = { range: 'bytes=0-1', 'if-range': `"${file.hash}"` }
  expect((await given.ask(`GET ${path}`, { headers: same })).status).toBe(206)
})

test('[AT-12] whoever sees the record reads what is stored for it, also what it named before; nobody else does', async () => {
  given.grants.set('eve', ['site:2'])
  await given.set(record, { photo: null })
  expect((await given.ask(`GET ${path}`, { user: 'ben' })).bytes.equals(file.bytes)).toBe(true)
  expect((await given.ask(`GET ${path}`, { user: 'eve' })).code).toBe('ATTACHMENT_MISSING')
  // Its record moves into her sight, and out of theirs.
  await given.set(record, { site: '2' })
  expect((await given.ask(`GET ${path}`, { user: 'eve' })).status).toBe(200)
  expect((await given.ask(`GET ${path}`, { user: 'ben' })).code).toBe('ATTACHMENT_MISSING')
  await given.ask(`DELETE /records/${reports}/${record}`, { user: 'eve' })
  expect((await given.ask(`GET ${path}`, { user: 'eve' })).code).toBe('ATTACHMENT_MISSING')
})

test('[AT-12] the same bytes of two records are stored for each: that one has them says nothing of the other', async () => {
  const other = await given.report({ photo: valueOf(file) })
  expect((await given.create(other, file)).headers.get('upload-offset')).toBe('0')
  expect((await given.ask(`GET /attachments/${reports}/${other}/${file.hash}`)).code).toBe(
    'ATTACHMENT_MISSING',
  )
  await given.patch(other, file, { from: 0 })
  expect(readdirSync(join(given.folder, 'stored', 'site-reports')).sort()).toEqual(
    [`${record}.${file.hash}`, `${other}.${file.hash}`].sort(),
  )
})

test('[AT-16] files are readable by whoever runs the server only, and their names tell capitals apart without them', () => {
  const folder = join(given.folder, 'stored', 'site-reports')
  expect(statSync(folder).mode & 0o077).toBe(0)
  expect(readdirSync(folder)).toEqual([`${record}.${file.hash}`])
  expect(statSync(join(folder, `${record}.${file.hash}`)).mode & 0o077).toBe(0)
})
