import { limits } from '@holdfast/core'
import { createVirtualEnvironment, type VirtualEnvironment } from '@holdfast/testing'
import { beforeEach, describe, expect, test } from 'vitest'

import { GivenSealedStore } from './given-sealed-store.ts'
import type { SealedBatch, SealedToken } from './sealed-batch.ts'
import {
  eraseSealedBatches,
  retryLater,
  type SealedFor,
  type SendOptions,
  type SendReport,
  sendSealedBatches,
} from './send-sealed-batches.ts'

const device = '01a1f866-0d00-7b06-bf37-f5ffbe9100fc'
const body = '{"ack":"","pending":{},"mutations":[]}'

function sealed({ name = 'shop', id = 'one', token = null }: Partial<SealedBatch> = {}): SealedBatch {
  const account = 'ann'
  const request = {
    server: 'https://shop.example/api/',
    device,
    account,
    schemaVersion: 3,
    method: 'POST',
    path: '/sync/push',
    body,
    traceparent: '00-1-2-01',
  } as const
  return {
    format: 1,
    id,
    name,
    device,
    account,
    request,
    seqs: [1],
    sealedAt: '2026-11-20T10:00:00.000Z',
    token,
  }
}

let env: VirtualEnvironment
let store: GivenSealedStore
let requests: Request[]
beforeEach(() => {
  env = createVirtualEnvironment()
  store = new GivenSealedStore()
  requests = []
  answerWith(() => Response.json({ results: [], serverTime: '' }))
})

function answerWith(answer: () => Response | Promise<Response>): void {
  env.connect((request) => {
    requests.push(request)
    return Promise.resolve(answer())
  })
}

function send(options: SendOptions = {}): Promise<SendReport> {
  const isLed = (): Promise<boolean> => Promise.resolve(false)
  return env.complete(sendSealedBatches({ env, store, isLed, token: () => 'ann.worker', ...options }))
}

const outcomesOf = ({ batches }: SendReport): readonly string[] => batches.map(({ outcome }) => outcome)

describe('what is sent', () => {
  test('[BG-4] is the request the device would have sent, with the clock of the hour in which it is', async () => {
    await store.put(sealed())
    await env.advance(3_600_000)
    expect(await send()).toEqual({ batches: [{ name: 'shop', outcome: 'sent' }], isWorthRepeating: false })
    const [request] = requests
    expect([request?.method, request?.url]).toEqual(['POST', 'https://shop.example/api/sync/push'])
    expect(Object.fromEntries(request?.headers ?? [])).toEqual({
      authorization: 'Bearer ann.worker',
      'content-type': 'application/json',
      'holdfast-account': 'ann',
      'holdfast-clock': '2026-11-20T11:00:00.000Z',
      'holdfast-device': device,
      'holdfast-schema': '3',
      traceparent: '00-1-2-01',
    })
    expect(await request?.text()).toBe(body)
    expect(store.batches).toEqual([])
  })

  test('[BG-4] of several databases each; one that fails keeps no other', async () => {
    for (const name of ['first', 'second', 'third']) await store.put(sealed({ name, id: name }))
    let n = 0
    answerWith(() => (n++ === 1 ? Response.error() : Response.json({ results: [] })))
    expect(outcomesOf(await send())).toEqual(['sent', 'unreached', 'sent'])
    expect(store.batches.map(({ name }) => name)).toEqual(['second'])
  })

  test('[BG-4] of several databases each, also where no token ever comes for one, and nobody answers for another', async () => {
    for (const name of ['first', 'second', 'third']) await store.put(sealed({ name, id: name }))
    answerWith(() =>
      requests.length === 1 ? new Promise<never>(() => undefined) : Response.json({ results: [] }),
    )
    const token = ({ name }: SealedFor): Promise<string> =>
      name === 'first' ? new Promise<never>(() => undefined) : Promise.resolve('ann')
    const sending = send({ token })
    await env.advance(1_000)
    expect(store.batches.map(({ name }) => name)).toEqual(['first', 'second'])
    await env.advance(limits.requestTimeoutMs)
    expect(outcomesOf(await sending)).toEqual(['noToken', 'unreached', 'sent'])
  })

  test('[BG-7] nothing is, while a tab has the database open', async () => {
    await store.put(sealed())
    const report = await send({ isLed: (name) => Promise.resolve(name === 'shop') })
    expect(report).toEqual({ batches: [{ name: 'shop', outcome: 'led' }], isWorthRepeating: true })
    expect([requests, store.batches.length]).toEqual([[], 1])
    expect(() => retryLater(report)).toThrow('left: led')
  })

  test('[BG-8] nothing is, of what was removed while a token was asked for', async () => {
    await store.put(sealed())
    const token = async (): Promise<string> => {
      await eraseSealedBatches('shop', { store })
      return 'ann'
    }
    await send({ token })
    expect(requests).toEqual([])
  })

  test('[BG-7] what a tab sealed while the request was under way is not removed with it', async () => {
    await store.put(sealed())
    answerWith(async () => {
      await store.put(sealed({ id: 'newer' }))
      return Response.json({ results: [] })
    })
    expect(outcomesOf(await send())).toEqual(['sent'])
    expect(store.batches.map(({ id }) => id)).toEqual(['newer'])
  })

  test('[BG-4] what another version of Holdfast has sealed is left alone', async () => {
    store.strange.push(null, 'text', { format: 2 }, { format: 1, id: 'x', name: 'shop', device, request: {} })
    expect(await send()).toEqual({ batches: [], isWorthRepeating: false })
  })
})

describe('what becomes of a batch', () => {
  const json = (status: number) => (): Response => Response.json({ error: { code: 'SOME' } }, { status })
  const html = (): Response => new Response('<html>', { headers: { 'content-type': 'text/html' } })

  test.each<[what: string, answer: () => Response, outcome: string, isWorthRepeating: boolean]>([
    ['results', () => Response.json({ results: [] }), 'sent', false],
    ['a receipt', () => Response.json({ receipt: 'r1' }, { status: 202 }), 'sent', false],
    ['a page of a portal', html, 'unreached', true],
    ['JSON of something else', () => Response.json({ ok: true }), 'unreached', true],
    ['half an answer', () => new Response('{"results":[{"id"'), 'unreached', true],
    ['a network that is gone', () => Response.error(), 'unreached', true],
    ['a refused token', json(401), 'noToken', false],
    ['a token of somebody else', json(403), 'noToken', false],
    ['a body that is refused', json(400), 'refused', false],
    ['another history', json(410), 'refused', false],
    ['a body that is too large', json(413), 'refused', false],
    ['an app that is too old', json(426), 'refused', false],
    ['too many requests', json(429), 'unreached', true],
    ['a server that failed', json(500), 'unreached', true],
    ['a portal that wants a sign-in', json(511), 'unreached', true],
  ])('[BG-5] %s', async (_, answer, outcome, isWorthRepeating) => {
    await store.put(sealed())
    answerWith(answer)
    expect(await send()).toEqual({ batches: [{ name: 'shop', outcome }], isWorthRepeating })
    expect(store.batches.length).toBe(outcome === 'sent' ? 0 : 1)
  })

  test('[BG-5] an answer that does not come is given up, and the batch stays', async () => {
    await store.put(sealed())
    answerWith(() => new Promise(() => undefined))
    expect(outcomesOf(await send())).toEqual(['unreached'])
    expect(requests[0]?.signal.aborted).toBe(true)
    expect([env.monotonicMs(), env.timerCount]).toEqual([limits.requestTimeoutMs, 0])
    expect(store.batches.length).toBe(1)
  })
})

describe('the token', () => {
  const lasting: SealedToken = { token: 'ann.sealed', expiresAtMs: Date.UTC(2026, 10, 20, 10, 10) }

  test.each<[what: string, sealedToken: SealedToken | null, own: SendOptions['token'], used: string | null]>([
    ['beside the batch is used as long as it lasts', lasting, () => 'ann.worker', 'ann.sealed'],
    [
      'of the service worker is asked for otherwise',
      { ...lasting, expiresAtMs: 1 },
      () => 'ann.worker',
      'ann.worker',
    ],
    ['of the service worker is asked for when there is none', null, () => 'ann.worker', 'ann.worker'],
    ['may be absent', null, undefined, null],
    ['may be refused', null, () => null, null],
    ['may fail', null, () => Promise.reject(new Error('no network')), null],
  ])('[BG-5] %s', async (_, sealedToken, own, used) => {
    await store.put(sealed({ token: sealedToken }))
    const report = await send({ token: own })
    expect(requests[0]?.headers.get('authorization') ?? null).toBe(used === null ? null : `Bearer ${used}`)
    expect(outcomesOf(report)).toEqual([used === null ? 'noToken' : 'sent'])
    expect(store.batches.length).toBe(used === null ? 1 : 0)
  })

  test('[BG-5] of the service worker is asked for when the one beside the batch is refused', async () => {
    await store.put(sealed({ token: lasting }))
    const isTaken = (): boolean => requests.at(-1)?.headers.get('authorization') === 'Bearer ann.worker'
    answerWith(() => (isTaken() ? Response.json({ results: [] }) : Response.json({}, { status: 401 })))
    expect(outcomesOf(await send())).toEqual(['sent'])
    expect([requests.length, store.batches.length]).toEqual([2, 0])
  })

  test('[BG-5] is asked for by account and server', async () => {
    const asked: unknown[] = []
    await store.put(sealed())
    await send({ token: (batch) => (asked.push(batch), 'ann') })
    expect(asked).toEqual([{ name: 'shop', account: 'ann', server: 'https://shop.example/api/' }])
  })
})
