import { createHmac, randomBytes } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { item } from '../given-engine.ts'
import type { RecordEvent } from './event-options.ts'
import { EventNodes, eventually, pass } from './given-events.ts'

/** What a webhook's receiver was sent. */
interface Received {
  readonly path: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly event: RecordEvent
}

/** How it answers. */
interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
}

/** A receiver on a real socket, as somebody else would write it. */
class Receiver {
  readonly received: Received[] = []
  answer: (received: Received) => Answer | Promise<Answer> = () => ({ status: 204 })
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => {
      let body = ''
      request.on('data', (bytes: Buffer) => (body += bytes.toString()))
      request.on('end', () => {
        const { data } = JSON.parse(body) as { data: RecordEvent }
        const received = { path: request.url, headers: request.headers, body, event: data }
        this.received.push(received)
        void Promise.resolve(this.answer(received)).then(({ status, headers }) =>
          response.writeHead(status, headers).end(),
        )
      })
    })
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  records(): readonly string[] {
    return this.received.map(({ event }) => event.record)
  }
}

/** As the specification tells receivers to check it. */
function isSigned({ headers, body }: Received, secret: string): boolean {
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`
  const expected = `v1,${createHmac('sha256', key).update(signed).digest('base64')}`
  return String(headers['webhook-signature']).split(' ').includes(expected)
}

const secret = `whsec_${randomBytes(32).toString('base64')}`
let nodes: EventNodes
let receiver: Receiver
let url: string

beforeEach(async () => {
  nodes = await EventNodes.open()
  receiver = new Receiver()
  url = await receiver.listen()
})
afterEach(async () => {
  receiver.close()
  await nodes.close()
})

test('[EV-12] a webhook is a signed POST that names its event, and only of the collections it asked for', async () => {
  const node = await nodes.start({
    webhooks: [{ name: 'erp', url: `${url}/in?from=holdfast`, secret, collections: ['items'] }],
  })
  await node.put('notes', { body: 'of no interest' })
  const record = await node.put('items', item({ name: 'Größe ✓' }))
  await eventually(() => expect(receiver.received).toHaveLength(1))
  const [received] = receiver.received
  if (!received) throw new Error('nothing came')
  const { headers, body, event } = received
  expect(received.path).toBe('/in?from=holdfast')
  expect(headers['content-type']).toBe('application/json')
  expect(headers['webhook-id']).toBe(event.id)
  expect(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1_000)).toBeLessThan(60)
  expect(JSON.parse(body)).toMatchObject({
    type: 'items.create',
    timestamp: event.receivedAt,
    data: { collection: 'items', record, op: 'create', user: 'ann', after: { name: 'Größe ✓' } },
  })
  expect(isSigned(received, secret)).toBe(true)
  expect(isSigned({ ...received, body: `${body} ` }, secret)).toBe(false)
  expect(isSigned(received, `whsec_${randomBytes(32).toString('base64')}`)).toBe(false)
})

test('[EV-12] while one secret takes the place of another, both sign', async () => {
  const old = `whsec_${randomBytes(24).toString('base64')}`
  const node = await nodes.start({ webhooks: [{ name: 'erp', url, secret: [secret, old] }] })
  await node.put('notes', { body: 'n' })
  await eventually(() => expect(receiver.received.map((each) => isSigned(each, old))).toEqual([true]))
  expect(receiver.received.map((each) => isSigned(each, secret))).toEqual([true])
})

test('[EV-12] the signature is that of the specification', async () => {
  const { signatureHeaders, readSecret } = await import('./webhook.ts')
  const key = readSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
  const signed = {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    body: '{"test": 2432232314}',
    nowMs: 1_614_265_330_000,
  }
  expect(signatureHeaders({ ...signed, keys: key ? [key] : [] })['webhook-signature']).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  )
})

test('[EV-8, EV-13] a receiver that fails is sent the same again, in order for each record, with a new time', async () => {
  const node = await nodes.start({
    webhooks: [{ name: 'erp', url, secret }],
    limits: { eventAttempts: 50, retryBaseMs: 20, retryCapMs: 60 },
  })
  const failures = new Map<string, number>()
  receiver.answer = ({ event }) => {
    const count = failures.get(event.id) ?? 0
    failures.set(event.id, count + 1)
    return { status: count < (event.version % 3) + 1 ? 503 : 200 }
  }
  const records = [await node.put('notes', { body: '0' }), await node.put('notes', { body: '0' })]
  for (let round = 1; round < 5; round++)
    for (const record of records) await node.put('notes', { body: `${round}` }, record)
  const bodiesOf = (record: string): readonly number[] =>
    receiver.received
      .filter(({ event }) => event.record === record)
      .map(({ event }) => Number(event.after?.['body']))
  await eventually(() => {
    for (const record of records) {
      expect(new Set(bodiesOf(record)).size).toBe(5)
      expect(bodiesOf(record)).toEqual(bodiesOf(record).toSorted((a, b) => a - b))
    }
  })
  const ids = receiver.received.map(({ headers }) => headers['webhook-id'])
  expect(ids.length).toBeGreaterThan(new Set(ids).size)
  for (const each of receiver.received) expect(isSigned(each, secret)).toBe(true)
  await eventually(async () =>
    expect(await node.sync.events.stats()).toMatchObject([{ delivered: 10, waiting: 0, dead: 0 }]),
  )
})

test('[EV-9] a receiver that does not answer delays no other webhook', async () => {
  const other = new Receiver()
  receiver.answer = () => new Promise(() => undefined)
  const node = await nodes.start({
    webhooks: [
      { name: 'stuck', url, secret },
      { name: 'crm', url: await other.listen(), secret },
    ],
    limits: { eventTimeoutMs: 300 },
  })
  const record = await node.put('notes', { body: 'n' })
  await eventually(() => expect(other.records()).toEqual([record]))
  await eventually(() => expect(receiver.records().slice(0, 2)).toEqual([record, record]))
  expect(node.logs[0]?.fields).toMatchObject({ consumer: 'stuck', reason: 'TIMEOUT' })
  other.close()
})

test('[EV-13] a redirect is not followed, and nobody there is a failure like any other', async () => {
  const elsewhere = new Receiver()
  const location = await elsewhere.listen()
  receiver.answer = () => ({ status: 307, headers: { location } })
  const node = await nodes.start({
    webhooks: [
      { name: 'moved', url, secret },
      { name: 'nobody', url: 'http://127.0.0.1:9/', secret },
    ],
    limits: { eventAttempts: 1 },
  })
  await node.put('notes', { body: 'n' })
  await eventually(async () => expect((await node.sync.events.deadLetters()).letters).toHaveLength(2))
  const { letters } = await node.sync.events.deadLetters()
  expect(letters.map(({ consumer, reason }) => [consumer, reason])).toEqual([
    ['moved', '307'],
    ['nobody', 'OFFLINE'],
  ])
  expect(elsewhere.received).toEqual([])
  const written = JSON.stringify([node.logs, letters])
  for (const hidden of [url, secret, '127.0.0.1']) expect(written).not.toContain(hidden)
  elsewhere.close()
})

test('[EV-13] Retry-After is waited for', async () => {
  receiver.answer = () => ({
    status: receiver.received.length > 1 ? 200 : 429,
    headers: { 'retry-after': '1' },
  })
  const node = await nodes.start({
    webhooks: [{ name: 'erp', url, secret }],
    limits: { retryCapMs: 5_000 },
  })
  await node.put('notes', { body: 'n' })
  await eventually(() => expect(receiver.received).toHaveLength(1))
  const startedMs = performance.now()
  await pass(300)
  expect(receiver.received).toHaveLength(1)
  await eventually(() => expect(receiver.received).toHaveLength(2))
  expect(performance.now() - startedMs).toBeGreaterThan(900)
})
