import { SyncError } from '@holdfast/core'
import { afterEach, expect, test } from 'vitest'

import { givenReports } from '../live/given-reports.ts'
import { givenHost } from './given-host.ts'
import { LeaderLink } from './leader-link.ts'
import { runInTab } from './tab-transaction.ts'
import type { Envelope, LeaderMessage, TabMessage } from './tab-messages.ts'
import { tabProtocol } from './tab-messages.ts'
import { errorToWire } from './wire-error.ts'

/** A worker whose part the test plays: it says what the leader would, and sees what the tab sends. */
class GivenWorker extends EventTarget {
  readonly sent: TabMessage[] = []
  #leader = ''

  postMessage(message: Envelope<TabMessage> | { readonly kind: string }): void {
    if ('messages' in message) this.sent.push(...message.messages)
    else if (message.kind === 'resign') this.#say({ kind: 'resigned' })
  }

  terminate(): void {
    this.sent.length = 0
  }

  /** Another leader takes the tab in. */
  async lead(leader: string): Promise<void> {
    this.#leader = leader
    this.#say({ kind: 'leading', leader, tab: link.tab, protocol: tabProtocol })
    const identity = { device: 'd1', account: null, server: null }
    await this.tell({ kind: 'welcome', identity, pausedBy: null })
  }

  /** It has the lead, and cannot open the database. */
  fail(error: SyncError): void {
    this.#say({ kind: 'failed', error: errorToWire(error) })
  }

  async tell(...messages: LeaderMessage[]): Promise<void> {
    this.#say({ leader: this.#leader, messages })
    await turn()
  }

  #say(data: unknown): void {
    this.dispatchEvent(new MessageEvent('message', { data }))
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

let link: LeaderLink
let worker: GivenWorker
let count = 0

async function openLink(): Promise<void> {
  worker = new GivenWorker()
  link = new LeaderLink({
    host: { ...givenHost, name: `given-${++count}` },
    schemaVersion: 1,
    makeWorker: () => worker,
    known: () => null,
    onKnown: () => undefined,
    token: async () => ({ token: null }),
    onSealed: () => undefined,
  })
  const opened = link.open()
  await turn()
  await worker.lead('first')
  await opened
}

afterEach(() => {
  // Nothing that a failed test left open is waited for.
  void link.close()
})

test('[BR-6] a function that outlives its leader reaches nothing of the transaction that the next one opens', async () => {
  await openLink()
  const gate = Promise.withResolvers<void>()
  let runs = 0
  const done = runInTab(link, null, async (step) => {
    const own = ++runs
    if (own === 1) {
      await gate.promise
      // It saw its leader go, and writes all the same.
      await step(['items', 'insert'], ['late']).catch(() => undefined)
    }
    return own
  })
  await turn()
  const [call] = worker.sent.flatMap((message) => (message.kind === 'call' ? [message.call] : []))
  await worker.tell({ kind: 'ready', call: call ?? -1 })
  await worker.lead('second')
  worker.sent.length = 0
  // The second leader has opened the transaction, and what it says of that is on its way.
  gate.resolve()
  await turn()
  expect(worker.sent).toEqual([])
  await worker.tell({ kind: 'ready', call: call ?? -1 })
  expect(worker.sent).toEqual([{ kind: 'finish', call, isDone: true }])
  await worker.tell({ kind: 'result', call: call ?? -1, value: null })
  expect(await done).toBe(2)
})

test('[BR-4] a listener that throws costs neither the answers that came with it nor later news', async () => {
  const reports = givenReports()
  await openLink()
  const told: unknown[] = []
  link.follow({
    ask: (id) => ({ kind: 'follow', id, topic: { of: 'status' } }),
    onTold: (value) => {
      told.push(value)
      throw new Error('in the app')
    },
  })
  const answer = link.call(['collection', 'items', 'insert'], [{}])
  await turn()
  const id = worker.sent.flatMap((message) => (message.kind === 'follow' ? [message.id] : []))[0] ?? -1
  const call = worker.sent.flatMap((message) => (message.kind === 'call' ? [message.call] : []))[0] ?? -1
  await worker.tell({ kind: 'told', id, value: 1 }, { kind: 'result', call, value: 'r1' })
  expect(await answer).toBe('r1')
  await worker.tell({ kind: 'told', id, value: 2 })
  expect(told).toEqual([1, 2])
  expect(await reports()).toEqual([new Error('in the app'), new Error('in the app')])
})

test('[BR-5] a tab that closes while the leader goes has its answer from the next one', async () => {
  await openLink()
  const answer = link.call(['collection', 'items', 'insert'], [{}])
  await turn()
  const call = worker.sent.flatMap((message) => (message.kind === 'call' ? [message.call] : []))[0] ?? -1
  const closed = link.close()
  worker.sent.length = 0
  await worker.lead('second')
  expect(worker.sent).toMatchObject([{ kind: 'call', call, isRepeat: true }])
  await worker.tell({ kind: 'result', call, value: 'r1' })
  expect(await answer).toBe('r1')
  await closed
})

test('[BR-17] what nobody caught in a worker that leads is no answer to what was asked of it', async () => {
  await openLink()
  const answer = link.call(['collection', 'items', 'insert'], [{}])
  await turn()
  const call = worker.sent.flatMap((message) => (message.kind === 'call' ? [message.call] : []))[0] ?? -1
  worker.dispatchEvent(new Event('error'))
  await worker.tell({ kind: 'result', call, value: 'r1' })
  expect(await answer).toBe('r1')
})

test('[BR-4] a call says what it was given then, whatever becomes of that, also to the next leader', async () => {
  await openLink()
  const values = { name: 'Lamp', tags: ['x'] }
  const answer = link.call(['collection', 'items', 'insert'], [values])
  // As a form does that makes room for the next one.
  Object.assign(values, { name: '' })
  values.tags.length = 0
  await turn()
  const given = { args: [{ name: 'Lamp', tags: ['x'] }] }
  expect(worker.sent).toMatchObject([given])
  worker.sent.length = 0
  await worker.lead('second')
  expect(worker.sent).toMatchObject([given])
  await worker.tell({ kind: 'result', call: 0, value: 'r1' })
  expect(await answer).toBe('r1')
})

test('[BR-5] what may have been stored is not told to have failed where the next leader cannot open the database yet', async () => {
  await openLink()
  const locked = new SyncError('STORE_LOCKED', 'another worker has the files')
  const answer = link.call(['collection', 'items', 'insert'], [{}])
  await turn()
  worker.fail(locked)
  const fresh = link.call(['collection', 'items', 'insert'], [{}])
  await expect(fresh).rejects.toThrow(locked)
  await expect(link.call(['collection', 'items', 'insert'], [{}])).rejects.toThrow(locked)
  worker.sent.length = 0
  await worker.lead('second')
  expect(worker.sent).toMatchObject([{ call: 0, isRepeat: true }])
  await worker.tell({ kind: 'result', call: 0, value: 'r1' })
  expect(await answer).toBe('r1')
})

test('[BR-5] a tab that closes while nobody can open the database does not wait for what it asked before', async () => {
  await openLink()
  const answer = link.call(['collection', 'items', 'insert'], [{}])
  await turn()
  worker.fail(new SyncError('STORE_LOCKED', 'another worker has the files'))
  await expect(link.call(['collection', 'items', 'insert'], [{}])).rejects.toThrow('another worker')
  await Promise.all([link.close(), expect(answer).rejects.toThrow('another worker')])
})
