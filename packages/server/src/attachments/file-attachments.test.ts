import { newUuid } from '@holdfast/core'
import { mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { systemEnvironment } from '../system-environment.ts'
import type { UploadKey } from './attachment-store.ts'
import { fileAttachments } from './file-attachments.ts'
import { type GivenFile, givenFile } from './given-photos.ts'

const file = givenFile(200_000)

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-files-'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

function givenUpload(of: GivenFile = file, more: Partial<UploadKey> = {}): UploadKey {
  return { collection: 'items', record: newUuid(systemEnvironment()), hash: of.hash, user: 'ann', ...more }
}

async function* of(...chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks
}

test('[AT-9] the same bytes at the same place again are harmless, from two nodes over one folder too', async () => {
  const [one, other] = [fileAttachments(folder), fileAttachments(folder)]
  const upload = givenUpload()
  const at = (from: number, to: number): AsyncIterable<Uint8Array> => of(file.bytes.subarray(from, to))
  await one.write(upload, 0, at(0, 120_000))
  await Promise.all([one.write(upload, 50_000, at(50_000, 160_000)), other.write(upload, 0, at(0, 90_000))])
  expect(await other.uploaded(upload)).toBe(160_000)
  await other.write(upload, 160_000, at(160_000, 200_000))
  const ended = await Promise.all([one, other, one, other].map((store) => store.finish(upload, file.size)))
  expect(ended).toEqual([true, true, true, true])
  expect(await one.size(upload)).toBe(file.size)
  expect(readdirSync(folder).sort()).toEqual(['stored', 'uploads'])
  expect(readdirSync(join(folder, 'uploads', 'items'))).toEqual([])
})

test('[AT-6] bytes behind the end of an upload that was thrown away begin no file with a hole', async () => {
  const store = fileAttachments(folder)
  const upload = givenUpload()
  await store.write(upload, 1_000, of(file.bytes.subarray(1_000)))
  expect(await store.uploaded(upload)).toBe(0)
})

test('[AT-7] bytes of another length or hash are thrown away, and so is an upload that is not there', async () => {
  const store = fileAttachments(folder)
  for (const bytes of [
    file.bytes.subarray(1),
    Buffer.concat([file.bytes, Buffer.alloc(1)]),
    Buffer.alloc(200_000),
  ]) {
    const upload = givenUpload()
    await store.write(upload, 0, of(bytes))
    expect(await store.finish(upload, file.size)).toBe(false)
    expect([await store.uploaded(upload), await store.size(upload)]).toEqual([0, null])
    expect(await store.finish(upload, file.size)).toBe(false)
  }
})

test('[AT-5] what came before the bytes broke off is there', async () => {
  const store = fileAttachments(folder)
  const upload = givenUpload()
  const broken = async function* (): AsyncIterable<Uint8Array> {
    yield file.bytes.subarray(0, 70_001)
    throw new Error('cut')
  }
  await expect(store.write(upload, 0, broken())).rejects.toThrow('cut')
  expect(await store.uploaded(upload)).toBe(70_001)
})

test('[AT-7] a stored file that lost its end is not counted as there, and is replaced by the next upload', async () => {
  const store = fileAttachments(folder)
  const upload = givenUpload()
  await store.write(upload, 0, of(file.bytes))
  await store.finish(upload, file.size)
  truncateSync(join(folder, 'stored', 'items', `${upload.record}.${upload.hash}`), 10)
  expect(await store.size(upload)).toBe(10)
  await store.write(upload, 0, of(file.bytes))
  expect(await store.finish(upload, file.size)).toBe(true)
  expect(await store.size(upload)).toBe(file.size)
})

test('[AT-16] collections that differ in capitals only have folders that differ in more, and are listed by their names', async () => {
  const store = fileAttachments(folder)
  const names = ['items', 'Items', 'itemS', 'a_B1c', 'AB']
  for (const collection of names) {
    const upload = givenUpload(file, { collection })
    await store.write(upload, 0, of(file.bytes))
    await store.finish(upload, file.size)
  }
  const folders = readdirSync(join(folder, 'stored'))
  expect(new Set(folders.map((name) => name.toLowerCase())).size).toBe(names.length)
  const listed: string[] = []
  for await (const { collection, hash, unnamedSince } of store.list()) {
    listed.push(collection)
    expect([hash, unnamedSince]).toEqual([file.hash, null])
  }
  expect(listed.sort()).toEqual([...names].sort())
})

test.each([
  { collection: '../stored' },
  { collection: '' },
  { collection: '__proto__/x' },
  { record: '..' },
  { record: `${newUuid(systemEnvironment())}/../x` },
  { hash: '../../x' },
  { hash: file.hash.toUpperCase() },
])('[AT-4] a key that is none never becomes a path: %j', async (more) => {
  const store = fileAttachments(folder)
  const upload = givenUpload(file, more)
  await expect(async () => store.size(upload)).rejects.toThrow()
  await expect(async () => store.write(upload, 0, of(file.bytes))).rejects.toThrow()
  expect(readdirSync(folder)).toEqual([])
})

test('[AT-9] the id of a user becomes no path, whatever it is', async () => {
  const store = fileAttachments(folder)
  for (const user of ['../../x', 'a/b', '\u0000', 'ä'.repeat(1_000)]) {
    const upload = givenUpload(file, { user })
    await store.write(upload, 0, of(file.bytes.subarray(0, 5)))
    expect(await store.uploaded(upload)).toBe(5)
  }
  expect(readdirSync(join(folder, 'uploads'))).toEqual(['items'])
  expect(readdirSync(folder)).toEqual(['uploads'])
})
