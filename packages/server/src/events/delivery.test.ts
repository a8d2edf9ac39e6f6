import { newUuid, SyncError } from '@holdfast/core'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { systemEnvironment } from '../system-environment.ts'
import type { EventOptions, RecordEvent } from './event-options.ts'
import { EventNodes, eventually, givenGate, pass } from './given-events.ts'

let nodes: EventNodes
let told: RecordEvent[]
const tell = (event: RecordEvent): void => void told.push(event)
const bodies = (record: string): readonly unknown[] =>
  told.filter((event) => event.record === record).map(({ after }) => after?.['body'])

/** The line of an attempt that failed. */
const failed = (attempts: number): unknown =>
  expect.objectContaining({ fields: expect.objectContaining({ attempts }) })

beforeEach(async () => {
  told = []
  nodes = await EventNodes.open()
})
afterEach(() => nodes.close())

test('[EV-8] what fails waits with what follows of its record, in order, and holds up no other record', async () => {
  const bad = newUuid(systemEnvironment())
  let isRefused = true
  const node = await nodes.start({
    onCommit: (event) => {
      tell(event)
      if (event.record === bad && isRefused) throw new Error('not yet')
    },
    limits: { retryBaseMs: 50, retryCapMs: 100, eventAttempts: 10_000 },
  })
  await node.put('notes', { body: '1' }, bad)
  await eventually(() => expect(bodies(bad).length).toBeGreaterThan(1))
  for (const body of ['2', '3']) await node.put('notes', { body }, bad)
  const other = await node.put('notes', { body: 'other' })
  await eventually(() => expect(bodies(other)).toEqual(['other']))
  expect([...new Set(bodies(bad))]).toEqual(['1'])
  isRefused = false
  await eventually(() => expect(bodies(bad).slice(-3)).toEqual(['1', '2', '3']))
})

test('[EV-8] what waits is tried by the next node where the one before left it', async () => {
  const first = await nodes.start({
    onCommit: { mail: () => Promise.reject(new Error('never here')) },
    limits: { retryBaseMs: 100, retryCapMs: 100, eventAttempts: 100 },
  })
  const record = await first.put('notes', { body: '1' })
  await eventually(() => expect(first.logs).toContainEqual(failed(2)))
  await first.put('notes', { body: '2' }, record)
  await pass(50)
  await first.close()
  await nodes.start({ onCommit: { mail: tell } })
  await eventually(() => expect(bodies(record)).toEqual(['1', '2']))
  await pass(100)
  expect(bodies(record)).toEqual(['1', '2'])
})

test('[EV-8] what failed while the clock was a year ahead is tried again once it is right', async () => {
  const first = await nodes.start({
    onCommit: { mail: () => Promise.reject(new Error('never here')) },
    limits: { eventAttempts: 100 },
    aheadMs: 365 * 86_400_000,
  })
  const record = await first.put('notes', { body: '1' })
  await eventually(() => expect(first.logs).toContainEqual(failed(1)))
  await first.close()
  const next = await nodes.start({ onCommit: { mail: tell } })
  await next.put('notes', { body: '2' }, record)
  await eventually(() => expect(bodies(record)).toEqual(['1', '2']))
})

test('[EV-8] whatever a handler throws is a failure of that event alone', async () => {
  const { proxy: gone, revoke } = Proxy.revocable({}, {})
  revoke()
  const thrown: readonly unknown[] = [null, 7, Object.assign(new Error('odd'), { name: undefined }), gone]
  const left = [...thrown]
  const node = await nodes.start({
    onCommit: (event) => {
      if (event.after?.['body'] === 'odd' && left.length > 0) throw left.shift()
      tell(event)
    },
    limits: { eventAttempts: 9 },
  })
  const odd = await node.put('notes', { body: 'odd' })
  const even = await node.put('notes', { body: 'even' })
  await eventually(() => expect([bodies(odd), bodies(even)]).toEqual([['odd'], ['even']]))
  expect(node.logs.map(({ message }) => message)).not.toContain('events wait for the store')
})

test('[EV-9] what is not done in time is tried again, and delays no other handler', async () => {
  const others: RecordEvent[] = []
  const gate = givenGate()
  const node = await nodes.start({
    onCommit: {
      slow: (event) => {
        tell(event)
        return gate.opened
      },
      quick: (event) => void others.push(event),
    },
    limits: { eventTimeoutMs: 200, eventAttempts: 9 },
  })
  for (let round = 0; round < 20; round++) await node.put('notes', { body: `${round}` })
  await eventually(() => expect(others).toHaveLength(20))
  await eventually(() => expect(told.length).toBeGreaterThan(20))
  expect(node.logs).toContainEqual({
    level: 'warn',
    fields: expect.objectContaining({ consumer: 'slow', reason: 'TIMEOUT', attempts: 1 }),
    message: 'an event was not taken',
  })
  gate.open()
  await eventually(async () => {
    const [slow] = await node.sync.events.stats()
    expect(slow).toMatchObject({ consumer: 'slow', waiting: 0, delivered: 20, dead: 0 })
  })
})

test('[EV-10] what failed too often is a dead letter, and what follows of its record goes on', async () => {
  const bad = newUuid(systemEnvironment())
  let isBroken = true
  const node = await nodes.start({
    onCommit: (event) => {
      tell(event)
      if (isBroken && event.after?.['body'] === 'a secret') throw new SyncError('STORE_FULL', 'a secret')
    },
  })
  const { events } = node.sync
  await node.put('notes', { body: 'a secret' }, bad)
  await node.put('notes', { body: '2' }, bad)
  await eventually(() => expect(bodies(bad)).toEqual(['a secret', 'a secret', 'a secret', '2']))
  await eventually(async () => expect((await events.deadLetters()).letters).toHaveLength(1))
  const { letters, next } = await events.deadLetters({ limit: 1 })
  const [letter] = letters
  expect(next).toBe(null)
  expect(letter).toEqual({
    id: expect.stringMatching(/^onCommit\.\d+$/),
    consumer: 'onCommit',
    event: told[0]?.id,
    collection: 'notes',
    record: bad,
    attempts: 3,
    reason: 'STORE_FULL',
    failedAt: expect.stringMatching(/^20.*Z$/),
  })
  isBroken = false
  const id = letter?.id ?? ''
  expect(await events.retry('onCommit.999999')).toBe(false)
  expect(await events.retry('no id')).toBe(false)
  expect(await events.retry(id)).toBe(true)
  await eventually(() => expect(bodies(bad).at(-1)).toBe('a secret'))
  await eventually(async () => expect(await events.stats()).toMatchObject([{ waiting: 0, dead: 0 }]))
  expect(await events.retry(id)).toBe(false)
  expect(JSON.stringify(node.logs)).not.toContain('secret')
})

test('[EV-10] dead letters are listed in pages over all handlers, and may be discarded', async () => {
  const fail = (): void => {
    throw new TypeError('no')
  }
  const node = await nodes.start({ onCommit: { a: fail, b: fail }, limits: { eventAttempts: 1 } })
  const { events } = node.sync
  for (const body of ['1', '2']) await node.put('notes', { body })
  await eventually(async () => expect((await events.deadLetters()).letters).toHaveLength(4))
  const first = await events.deadLetters({ limit: 3 })
  expect(first.letters.map(({ consumer }) => consumer)).toEqual(['a', 'a', 'b'])
  const rest = await events.deadLetters({ limit: 3, after: first.next ?? '' })
  expect(rest).toMatchObject({ letters: [{ consumer: 'b', reason: 'TypeError' }], next: null })
  await expect(events.deadLetters({ after: 'nonsense' })).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
  const id = rest.letters[0]?.id ?? ''
  expect(await events.discard(id)).toBe(true)
  expect(await events.discard(id)).toBe(false)
  expect((await events.deadLetters()).letters).toHaveLength(3)
})

test('[EV-11] when so many wait, nothing more is taken on until fewer do', async () => {
  let isBroken = true
  const node = await nodes.start({
    onCommit: (event) => {
      if (isBroken) throw new Error('down')
      tell(event)
    },
    limits: { eventsWaiting: 5, eventRows: 4, eventAttempts: 1_000 },
  })
  for (let round = 0; round < 30; round++) await node.put('notes', { body: `${round}` })
  await eventually(async () => expect((await node.sync.events.stats())[0]?.waiting).toBeGreaterThanOrEqual(5))
  await pass(200)
  const [stats] = await node.sync.events.stats()
  expect(stats?.waiting).toBeGreaterThanOrEqual(5)
  expect(stats?.waiting).toBeLessThan(5 + 4)
  expect(stats?.lagMs).toBeGreaterThan(0)
  isBroken = false
  await eventually(() => expect(told).toHaveLength(30))
  await eventually(async () =>
    expect(await node.sync.events.stats()).toMatchObject([{ waiting: 0, lagMs: 0, delivered: 30 }]),
  )
})

test('[OP-1] a logger that throws or rejects costs no delivery', async () => {
  let failures = 3
  const lines: string[] = []
  const node = await nodes.start({
    onCommit: (event) => {
      if (failures-- > 0) throw new Error('not yet')
      tell(event)
    },
    logger: {
      info: () => undefined,
      warn: (_, message): unknown => {
        lines.push(message)
        if (lines.length === 1) throw new Error('the log is full')
        return Promise.reject(new Error('the log is gone'))
      },
      error: () => undefined,
    },
    limits: { eventAttempts: 9 },
  })
  const record = await node.put('notes', { body: '1' })
  await eventually(() => expect(bodies(record)).toEqual(['1']))
  expect(lines).toEqual(Array(3).fill('an event was not taken'))
})

test('[EV-14] metrics name handlers and counts, logs name records and reasons, neither names values', async () => {
  const node = await nodes.start({
    onCommit: {
      mail: (event) => {
        if (event.op === 'update') throw new Error(`cannot send ${JSON.stringify(event.after)}`)
      },
    },
  })
  const record = await node.put('notes', { body: 'private' })
  await node.put('notes', { body: 'private too' }, record)
  const text = async (): Promise<string> =>
    (await node.sync.fetch(new Request('http://any.example/metrics'))).text()
  await eventually(async () =>
    expect(await text()).toContain('holdfast_events_dead_letters{consumer="mail"} 1'),
  )
  const metrics = await text()
  expect(metrics).toContain('holdfast_events_delivered{consumer="mail"} 1')
  expect(metrics).toContain('holdfast_events_failures{consumer="mail"} 3')
  expect(metrics).toContain('holdfast_events_waiting{consumer="mail"} 0')
  expect(metrics).toContain('holdfast_events_lag_seconds{consumer="mail"} 0')
  const warnings = node.logs.filter(({ level }) => level === 'warn')
  expect(warnings.map(({ message, fields }) => [message, fields['attempts'], fields['reason']])).toEqual([
    ['an event was not taken', 1, 'Error'],
    ['an event was not taken', 2, 'Error'],
    ['an event was given up', 3, 'Error'],
  ])
  expect(warnings[2]?.fields).toMatchObject({ consumer: 'mail', collection: 'notes', record })
  expect(metrics + JSON.stringify(node.logs)).not.toContain('private')
})

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const webhook = { name: 'erp', url: 'https://erp.example/in', secret }

test.each<[string, EventOptions]>([
  ['a name with a dot', { webhooks: [{ ...webhook, name: 'e.r.p' }] }],
  ['a handler without a name', { onCommit: { '': tellNobody } }],
  ['one name twice', { onCommit: { erp: tellNobody }, webhooks: [webhook] }],
  ['no URL', { webhooks: [{ ...webhook, url: 'erp' }] }],
  ['another protocol', { webhooks: [{ ...webhook, url: 'ftp://erp.example/hidden' }] }],
  ['a password in the URL', { webhooks: [{ ...webhook, url: 'https://me:hidden@erp.example' }] }],
  ['no secret', { webhooks: [{ ...webhook, secret: [] }] }],
  ['a secret that is not base64', { webhooks: [{ ...webhook, secret: 'whsec_hidden!' }] }],
  ['a short secret', { webhooks: [{ ...webhook, secret: [secret, 'whsec_hidden00'] }] }],
  ['an unknown collection', { webhooks: [{ ...webhook, collections: ['people'] }] }],
])(
  '[EV-7] %s is refused when the server is made, without showing an address or a secret',
  async (_, options) => {
    const made = nodes.start(options)
    await expect(made).rejects.toMatchObject({ code: 'SCHEMA_INVALID' })
    await expect(made).rejects.not.toThrow(/hidden|me:/)
  },
)

function tellNobody(): void {
  // Only its name matters.
}
