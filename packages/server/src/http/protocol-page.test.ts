import { isObject } from '@holdfast/core'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { fileAttachments } from '../attachments/file-attachments.ts'
import { type GivenServer, givenServer } from './given-server.ts'

const page = readFileSync(new URL('../../../../docs/protocol.md', import.meta.url), 'utf8')

/** A block of the page: a request, or the answer to the request before it. */
interface Message {
  readonly line: number
  readonly first: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

interface Example {
  readonly request: Message
  readonly answer: Message
}

let given: GivenServer
const folder = mkdtempSync(join(tmpdir(), 'holdfast-protocol-'))
/** Members of answers so far, by name: what `<cursor>` in a request stands for. */
const seen = new Map<string, string>()

beforeAll(async () => {
  given = await givenServer({
    authenticate: devUser,
    mayReview: ({ id }) => id === 'boss',
    operatorAccess: ({ headers }) => headers.get('authorization') === 'Operator key',
    onCommit: {
      mail: ({ record, op }) => {
        if (record.endsWith('000000000001') && op === 'create') throw new Error('no such address')
      },
    },
    limits: { eventAttempts: 1 },
    attachments: { store: fileAttachments(folder) },
  })
})

afterAll(async () => {
  await given.close()
  rmSync(folder, { recursive: true })
})

function devUser(request: Request): { id: string } | null {
  const id = /^Bearer dev:(\w+)$/.exec(request.headers.get('authorization') ?? '')?.[1]
  return id === undefined ? null : { id }
}

/** The handler is told beside the requests, and again after a retry. */
function deadLetter(): Promise<unknown> {
  return expect.poll(async () => (await given.sync.events.deadLetters()).letters).toHaveLength(1)
}

function examplesOf(markdown: string): readonly Example[] {
  const messages = [...markdown.matchAll(/^```http\n([\s\S]*?)^```$/gm)].map(
    ({ 1: text = '', index }): Message => {
      const [head = '', ...rest] = text.trim().split('\n\n')
      const [first = '', ...lines] = head.split('\n')
      const headers = lines.map((line): [string, string] => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      })
      return {
        line: markdown.slice(0, index).split('\n').length,
        first,
        headers: Object.fromEntries(headers),
        body: rest.join('\n\n'),
      }
    },
  )
  return messages.flatMap((request, index) => {
    const answer = messages[index + 1]
    if (request.first.startsWith('HTTP/')) return []
    if (!answer?.first.startsWith('HTTP/'))
      throw new Error(`the request in line ${request.line} has no answer`)
    return [{ request, answer }]
  })
}

function fill(text: string): string {
  return text.replace(/<(\w+)>/g, (placeholder, name: string) => seen.get(name) ?? placeholder)
}

function remember(value: unknown): void {
  if (Array.isArray(value)) value.forEach(remember)
  if (!isObject(value)) return
  for (const [name, member] of Object.entries(value)) {
    if (typeof member === 'string') seen.set(name, member)
    if (name === 'mutations' && typeof value['id'] === 'string') seen.set('edit', value['id'])
    if (name === 'conflict' && isObject(member)) seen.set('conflict', String(member['id']))
    remember(member)
  }
}

/** `"…"` in what the page says stands for any text or number. */
function expected(value: unknown): unknown {
  if (value === '…') return expect.toSatisfy((met) => typeof met === 'string' || typeof met === 'number')
  if (Array.isArray(value)) return value.map(expected)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, expected(member)]))
}

async function readAnswer(response: Response): Promise<{ body: unknown; text: string }> {
  if (response.headers.get('content-type') !== 'text/event-stream') {
    const text = await response.text()
    return { text, body: text.startsWith('{') ? JSON.parse(text) : text }
  }
  const stream: ReadableStream<Uint8Array> | null = response.body
  const reader = stream?.getReader()
  const text = new TextDecoder().decode((await reader?.read())?.value).trim()
  await reader?.cancel()
  return { text, body: text }
}

const examples = examplesOf(page)

describe('docs/protocol.md', () => {
  test.each(
    examples.map((example): [string, Example] => [
      `${example.request.first} in line ${example.request.line}`,
      example,
    ]),
  )('%s is answered as the page says', async (_, { request, answer }) => {
    given.advance(1_000)
    if (request.first.includes(' /events/')) await deadLetter()
    const [method = '', path = ''] = fill(request.first).split(' ')
    const response = await given.sync.fetch(
      new Request(`http://localhost${path}`, {
        method,
        headers: request.headers,
        body: request.body === '' ? undefined : fill(request.body),
      }),
    )
    const { text, body } = await readAnswer(response)
    remember(body)
    expect([`HTTP/1.1 ${response.status}`, text]).toEqual([answer.first, expect.any(String)])
    for (const [name, value] of Object.entries(answer.headers)) {
      expect([name, response.headers.get(name)]).toEqual([name, expected(value)])
    }
    if (answer.body.startsWith('{')) expect(body).toEqual(expected(JSON.parse(answer.body)))
    else
      expect(text.trim().split('\n')).toEqual(
        expect.arrayContaining(answer.body.trim().split('\n').filter(Boolean)),
      )
  })

  test('[OP-9] every route of the server is on the page', async () => {
    const { body } = await given.ask('GET /openapi.json', { user: null })
    const { paths } = body as { paths: Record<string, Record<string, unknown>> }
    const asked = examples.map(({ request }) =>
      fill(request.first.split('?')[0] ?? '').replace(/^HEAD/, 'GET'),
    )
    const missing = Object.entries(paths)
      .filter(([path]) => !path.includes('notes'))
      .flatMap(([path, operations]) =>
        Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
      )
      .filter((route) => {
        const pattern = new RegExp(`^${route.replace(/\{\w+\}/g, '[^/]+')}$`)
        return !asked.some((request) => pattern.test(request))
      })
    expect(missing).toEqual([])
  })
})
