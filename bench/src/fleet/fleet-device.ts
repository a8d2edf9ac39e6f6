import { newUuid } from '@holdfast/core'
import { systemEnvironment } from '@holdfast/client'
import { type Agent, request } from 'node:http'

import { devicesPerWarehouse } from './fleet-schema.ts'

/** A phone that was away, and what it has to say. */
export interface Device {
  readonly token: string
  readonly id: string
  readonly body: string
  readonly mutations: number
}

/** What came of it. */
export interface Served {
  /** From the first attempt until every mutation is decided, ms. */
  readonly ms: number
  /** Until the answer that took the push, decided or with a receipt, from when there was a socket to send it on; ms. */
  readonly answeredMs: number
  /** Answers of 429, each of which said when to come back. */
  readonly refusals: readonly { readonly retryAfterMs: number }[]
  readonly isQueued: boolean
  /** Attempts that broke, and were made again. */
  readonly broken: number
}

/** Where it asks. */
export interface Way {
  readonly agent: Agent
  readonly port: number
}

/** A batch of new counts, and edits of them. */
export function prepareDevice(n: number, mutations: number): Device {
  const id = newUuid(systemEnvironment)
  const warehouse = `w${Math.floor(n / devicesPerWarehouse)}`
  const at = `${new Date().toISOString()}-0000-${id}`
  let record = ''
  const batch = Array.from({ length: mutations }, (_, index) => {
    const isNew = index % 2 === 0
    if (isNew) record = newUuid(systemEnvironment)
    const envelope = {
      id: newUuid(systemEnvironment),
      seq: index + 1,
      collection: 'counts',
      record,
      at,
      schema: 1,
    }
    return isNew
      ? { ...envelope, op: 'create', changes: { warehouse, sku: `S-${n}-${index}`, stock: 5, note: '' } }
      : { ...envelope, op: 'update', baseVersion: 0, increments: { stock: -2 } }
  })
  return {
    token: `u${n}.${warehouse}`,
    id,
    body: JSON.stringify({ ack: '', mutations: batch }),
    mutations,
  }
}

/** Until its batch is decided, as a device would: it waits as it is told, asks after its receipt, and repeats. */
export async function pushUntilDecided(way: Way, device: Device): Promise<Served> {
  const startMs = performance.now()
  const refusals: { retryAfterMs: number }[] = []
  let broken = 0
  for (;;) {
    const answer = await ask(way, device, 'POST /sync/push').catch(() => undefined)
    if (answer?.status === 429) {
      if (answer.retryAfterMs === undefined) throw new Error('a push was turned away and not told until when')
      refusals.push({ retryAfterMs: answer.retryAfterMs })
    } else if (answer?.status === 200 || answer?.status === 202) {
      const decided = answer.status === 200 ? answer.text : await askAfter(way, device, answer.text)
      checkApplied(device, decided)
      const isQueued = answer.status === 202
      return { ms: performance.now() - startMs, answeredMs: answer.ms, refusals, isQueued, broken }
    } else broken += 1
    await pause((answer?.retryAfterMs ?? 0) + retryBaseMs * Math.random())
  }
}

/** What devices add to the wait that they are told, at most, ms: `limits.retryBaseMs`. */
const retryBaseMs = 500

/** Wait between two questions after a receipt, ms: `limits.receiptPollMs`, doubled up to `limits.syncIntervalMs`, as devices without a stream do. */
const pollMs = 2_000
const pollMaxMs = 60_000

async function askAfter(way: Way, device: Device, told: string): Promise<string> {
  const { receipt } = JSON.parse(told) as { readonly receipt: string }
  for (let waitMs = pollMs; ; waitMs = Math.min(2 * waitMs, pollMaxMs)) {
    await pause(waitMs * (0.5 + Math.random() / 2))
    const answer = await ask(way, device, `GET /sync/receipts/${receipt}`).catch(() => undefined)
    if (answer?.status === 200) return answer.text
    if (answer !== undefined && answer.status !== 202 && answer.status !== 429)
      throw new Error(`a receipt was answered ${answer.status}: ${answer.text.slice(0, 500)}`)
  }
}

function checkApplied({ mutations }: Device, text: string): void {
  const applied = text.match(/"status":"applied"/g)?.length ?? 0
  if (applied !== mutations) throw new Error(`${applied} of ${mutations} were applied: ${text.slice(0, 500)}`)
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly retryAfterMs: number | undefined
  readonly ms: number
}

function ask({ agent, port }: Way, { token, id, body }: Device, route: string): Promise<Answer> {
  const [method = '', path = ''] = route.split(' ')
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      'holdfast-device': id,
      'holdfast-schema': '1',
      ...(method === 'POST' && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      }),
    }
    let startMs = performance.now()
    const call = request({ agent, port, host: '127.0.0.1', method, path, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => {
        const after = response.headers['retry-after']
        const retryAfterMs = after === undefined ? undefined : 1_000 * Number(after)
        resolve({ status: response.statusCode ?? 0, text, retryAfterMs, ms: performance.now() - startMs })
      })
    })
    call.on('socket', () => (startMs = performance.now()))
    call.on('error', reject)
    call.end(method === 'POST' ? body : undefined)
  })
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
