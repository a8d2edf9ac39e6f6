import { limits } from '@holdfast/core'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'

import { readJsonBody } from './read-body.ts'

const small = { pushBytes: 1_000, jsonDepth: 32 }

function givenRequest(
  body: string | Uint8Array | ReadableStream<Uint8Array> | null,
  headers: Record<string, string> = {},
): Request {
  return new Request('http://localhost/', { method: 'POST', body, headers, duplex: 'half' })
}

/** A body of unknown length that reports how much of it was asked for. */
function givenStream(
  chunk: Uint8Array,
  count: number,
): { body: ReadableStream<Uint8Array>; taken: () => number } {
  let takenCount = 0
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (takenCount === count) return controller.close()
      takenCount++
      controller.enqueue(chunk)
    },
  })
  return { body, taken: () => takenCount }
}

function nested(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth)
}

describe('size', () => {
  test('[PH-8] a body is taken up to the limit and refused one byte later', async () => {
    const text = `"${'a'.repeat(998)}"`
    expect(await readJsonBody(givenRequest(text, { 'content-length': '1000' }), small)).toBe('a'.repeat(998))
    const longer = `"${'a'.repeat(999)}"`
    await expect(readJsonBody(givenRequest(longer), small)).rejects.toMatchObject({
      code: 'REQUEST_TOO_LARGE',
    })
  })

  test('[PH-8] B69: an announced length over the limit is refused without reading', async () => {
    const { body, taken } = givenStream(new Uint8Array(10), 1_000)
    const request = givenRequest(body, { 'content-length': '1001' })
    await expect(readJsonBody(request, small)).rejects.toMatchObject({ code: 'REQUEST_TOO_LARGE' })
    expect(taken()).toBeLessThanOrEqual(1)
  })

  test('[PH-8] B69: a body without a length is given up when it passes the limit', async () => {
    const { body, taken } = givenStream(new Uint8Array(100).fill(0x20), 1_000_000)
    await expect(readJsonBody(givenRequest(body), small)).rejects.toMatchObject({ code: 'REQUEST_TOO_LARGE' })
    expect(taken()).toBeLessThan(20)
  })

  test('[PH-8] B69: a body that is small on the wire and large inflated is refused', async () => {
    for (const [encoding, bytes] of [
      ['gzip', gzipSync(Buffer.alloc(50_000_000))],
      ['deflate', deflateSync(Buffer.alloc(50_000_000))],
    ] as const) {
      const request = givenRequest(bytes, { 'content-encoding': encoding })
      await expect(readJsonBody(request, limits)).rejects.toMatchObject({ code: 'REQUEST_TOO_LARGE' })
    }
  })

  test.each(['-1', '1e3', '0x10', 'many', '1, 1'])(
    '[PH-8] a Content-Length of %s is refused',
    async (length) => {
      const request = givenRequest('{}', { 'content-length': length })
      await expect(readJsonBody(request, small)).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
    },
  )
})

describe('encoding', () => {
  const text = JSON.stringify({ name: 'Löwe' })

  test.each([
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['GZIP', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['identity', Buffer.from(text)],
  ])('[PH-9] a body in %s is read', async (encoding, bytes) => {
    const request = givenRequest(bytes, { 'content-encoding': encoding })
    expect(await readJsonBody(request, small)).toEqual({ name: 'Löwe' })
  })

  test.each([
    ['br', brotliCompressSync(text)],
    ['zstd', Buffer.from(text)],
    ['gzip, gzip', gzipSync(gzipSync(text))],
    ['gzip', Buffer.from(text)],
    ['gzip', gzipSync(text).subarray(0, 15)],
    ['deflate', gzipSync(text)],
  ])('[PH-9] a body that says %s and cannot be inflated so is refused', async (encoding, bytes) => {
    const request = givenRequest(bytes, { 'content-encoding': encoding })
    await expect(readJsonBody(request, small)).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
  })
})

describe('text', () => {
  test.each(['{', '{"a":}', 'undefined', "{'a':1}", '{"a":1}{', '[1,]', 'NaN', '\u0000', '<html>'])(
    '[PH-10] %j is not JSON',
    async (body) => {
      await expect(readJsonBody(givenRequest(body), small)).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
    },
  )

  test('[PH-10] bytes that are not UTF-8 are refused', async () => {
    const latin1 = Buffer.from('{"name":"Löwe"}', 'latin1')
    await expect(readJsonBody(givenRequest(latin1), small)).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
  })

  test('[PH-10] values may nest as deep as the limit inside the envelope of a push, and no deeper', async () => {
    const push = (value: string): string => `{"mutations":[{"changes":{"notes":${value}}}]}`
    await expect(readJsonBody(givenRequest(push(nested(32))), small)).resolves.toBeTypeOf('object')
    await expect(readJsonBody(givenRequest(push(nested(33))), small)).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    })
  })

  test('[PH-10] B69: a bomb of 100,000 levels is refused before it becomes objects', async () => {
    await expect(readJsonBody(givenRequest(nested(100_000)), limits)).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    })
  })

  test('[PH-10] brackets inside of text do not nest', async () => {
    const text = JSON.stringify({ note: `\\"${'['.repeat(100)}\\` })
    expect(await readJsonBody(givenRequest(text), small)).toEqual({ note: `\\"${'['.repeat(100)}\\` })
  })

  test('[PH-10] an empty body is no value', async () => {
    expect(await readJsonBody(givenRequest(null), small)).toBeUndefined()
    expect(await readJsonBody(givenRequest(''), small)).toBeUndefined()
  })

  test('[PH-10] a body that breaks off is refused', async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.error(new Error('reset')),
    })
    await expect(readJsonBody(givenRequest(body), small)).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
  })

  test('B68: a member named __proto__ is an ordinary member of what was read', async () => {
    const value = await readJsonBody(givenRequest('{"__proto__":{"isAdmin":true}}'), small)
    expect(Object.keys(value as object)).toEqual(['__proto__'])
    expect(({} as Record<string, unknown>)['isAdmin']).toBeUndefined()
  })
})
