import { expect, test } from 'vitest'

import { SeededRandom } from '../seeded-random.ts'
import { Life } from './life.ts'
import { Link } from './link.ts'
import { healthy, Network } from './network.ts'
import type { Sender } from './sender.ts'
import type { NetworkFaults } from './plan.ts'
import { Scheduler } from './scheduler.ts'
import { Tally } from './tally.ts'

interface Given {
  readonly scheduler: Scheduler
  readonly network: Network
  readonly sender: Sender
  readonly serverLife: Life
  readonly faults: Tally
  /** Bodies the server read, in order. */
  readonly arrived: string[]
  readonly expired: string[]
  /** Sends a body and tells what came of it, after everything has settled. */
  readonly send: (body: string) => Promise<string>
}

function given(faults: Partial<NetworkFaults> = {}, answerLength = 40): Given {
  const scheduler = new Scheduler()
  const serverLife = new Life(scheduler)
  const tally = new Tally()
  const arrived: string[] = []
  const expired: string[] = []
  const network = new Network(
    {
      scheduler,
      random: new SeededRandom(7),
      faults: tally,
      destination: () => ({
        life: serverLife,
        answer: async (request) => {
          arrived.push(await request.text())
          return new Response(JSON.stringify({ n: arrived.length, pad: 'x'.repeat(answerLength) }))
        },
      }),
      expireToken: (user) => void expired.push(user),
      onRequest: () => undefined,
      onAnswer: () => undefined,
      onResponse: () => undefined,
    },
    { ...healthy(50), ...faults },
  )
  const sender = { name: 'd0', user: 'u0', life: new Life(scheduler), link: new Link() }
  const send = async (body: string): Promise<string> => {
    let outcome = 'nothing'
    const request = new Request('http://sim.test/sync/push', { method: 'POST', body })
    network
      .fetch(sender, request)
      .then((response) => response.text())
      .then(
        (text) => (outcome = `${text.slice(0, 6)}${text.endsWith('}') ? '' : ' cut'}`),
        (error: unknown) => (outcome = String(error)),
      )
    await scheduler.run(scheduler.nowMs + 600_000)
    return outcome
  }
  return { scheduler, network, sender, serverLife, faults: tally, arrived, expired, send }
}

test('[SIM-3] without faults a request arrives once and its answer comes back', async () => {
  const { send, arrived } = given()
  expect([await send('one'), await send('two'), arrived]).toEqual(['{"n":1', '{"n":2', ['one', 'two']])
})

test('[SIM-3] a lost request never arrives, a lost answer was nevertheless given', async () => {
  const lost = given({ loseRequest: 1 })
  const outcomes = [await lost.send('a'), await lost.send('b'), await lost.send('c'), await lost.send('d')]
  expect(new Set(outcomes)).toEqual(new Set(['nothing', 'TypeError: fetch failed']))
  expect(lost.arrived).toEqual([])
  const answered = given({ loseAnswer: 1 })
  await answered.send('a')
  expect([answered.arrived, answered.faults.sorted()]).toEqual([['a'], { 'lose-answer': 1 }])
})

test('[SIM-3] a doubled request arrives twice and is answered once, a replay comes minutes later', async () => {
  const doubled = given({ duplicate: 1 })
  expect(await doubled.send('a')).toMatch(/^{"n":[12]$/)
  expect(doubled.arrived).toEqual(['a', 'a'])
  const replayed = given({ replay: 1 })
  expect(await replayed.send('a')).toBe('{"n":1')
  expect(replayed.arrived).toEqual(['a', 'a'])
})

test('[SIM-3] a cut answer ends too early, as if that were all or with an error, or never ends', async () => {
  const { send } = given({ cut: 1 })
  const outcomes = new Set<string>()
  for (let count = 0; count < 20; count++) outcomes.add((await send('a')).replace(/^{.*cut$/, 'short'))
  expect([...outcomes].sort()).toEqual(['TypeError: terminated', 'nothing', 'short'])
})

test('[SIM-3] an impostor answers what a server of ours never would, and the request goes nowhere', async () => {
  const { send, arrived } = given({ impostor: 1 })
  for (let count = 0; count < 20; count++) expect(await send('a')).not.toMatch(/^{"n"/)
  expect(arrived).toEqual([])
})

test('[SIM-3] a one-way link loses one direction only, an offline one refuses, a clogged one waits', async () => {
  const { send, sender, scheduler, arrived } = given()
  sender.link.downLostUntilMs = 500_000
  expect(await send('a')).toMatch(/nothing|fetch failed/)
  expect(arrived).toEqual(['a'])
  sender.link.upLostUntilMs = scheduler.nowMs + 500_000
  await send('b')
  expect(arrived).toEqual(['a'])
  sender.link.heal()
  sender.link.offlineUntilMs = scheduler.nowMs + 500_000
  expect(await send('c')).toBe('TypeError: fetch failed')
  sender.link.heal()
  sender.link.cloggedUntilMs = scheduler.nowMs + 60_000
  const startMs = scheduler.nowMs
  expect(await send('d')).toBe('{"n":2')
  expect(scheduler.nowMs - startMs).toBeGreaterThan(60_000)
})

test('[SIM-2] a server that died over a request is a broken connection, and a dead device hears nothing', async () => {
  const { send, serverLife, sender } = given()
  serverLife.end()
  expect(await send('a')).toBe('TypeError: fetch failed')
  sender.life.end()
  expect(await send('b')).toBe('nothing')
})

test('[SIM-3] healing ends every fault but the delay', async () => {
  const { send, network, arrived } = given({ loseRequest: 1, cut: 1, expire: 1 })
  network.heal()
  expect([await send('a'), await send('b'), arrived]).toEqual(['{"n":1', '{"n":2', ['a', 'b']])
})

test('[SIM-3] what nobody has answered when the world ends fails', async () => {
  const { network, sender, serverLife, scheduler } = given()
  serverLife.end()
  sender.life.suspend()
  const outcome = network
    .fetch(sender, new Request('http://sim.test/sync/pull'))
    .catch((error: unknown) => String(error))
  await scheduler.run(600_000)
  network.close()
  expect(await outcome).toBe('TypeError: fetch failed')
})
