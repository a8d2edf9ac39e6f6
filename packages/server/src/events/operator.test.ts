import { afterEach, beforeEach, expect, test } from 'vitest'

import type { DeadLetterPage } from './events.ts'
import { EventNodes, type EventNode, eventually } from './given-events.ts'

let nodes: EventNodes
let isBroken: boolean
beforeEach(async () => {
  isBroken = true
  nodes = await EventNodes.open()
})
afterEach(() => nodes.close())

function givenOperator(): Promise<EventNode> {
  return nodes.start({
    onCommit: () => {
      if (isBroken) throw new Error('down')
    },
    operatorAccess: ({ headers }) => headers.get('authorization') === 'Operator key',
    limits: { eventAttempts: 1 },
  })
}

async function ask(node: EventNode, route: string, authorization = 'Operator key'): Promise<Response> {
  const [method, path] = route.split(' ')
  return node.sync.fetch(new Request(`http://any.example${path}`, { method, headers: { authorization } }))
}

test('[EV-15] operators list, retry and discard dead letters over HTTP', async () => {
  const node = await givenOperator()
  const list = async (query = ''): Promise<DeadLetterPage> =>
    (await (await ask(node, `GET /events/dead-letters${query}`)).json()) as DeadLetterPage
  for (const body of ['secret 1', 'secret 2']) await node.put('notes', { body })
  await eventually(async () => expect((await list()).letters).toHaveLength(2))
  const page = await list('?limit=1')
  expect(page.letters).toHaveLength(1)
  const second = (await list(`?after=${page.next}`)).letters
  expect(second).toMatchObject([{ consumer: 'onCommit', collection: 'notes', attempts: 1, reason: 'Error' }])
  expect(JSON.stringify(await list())).not.toContain('secret')
  isBroken = false
  const retried = await ask(node, `POST /events/dead-letters/${page.next}/retry`)
  expect([retried.status, await retried.json()]).toEqual([200, { status: 'waiting' }])
  await eventually(async () => expect((await node.sync.events.stats())[0]?.delivered).toBe(1))
  const path = `DELETE /events/dead-letters/${second[0]?.id ?? ''}`
  expect((await ask(node, path)).status).toBe(200)
  expect((await ask(node, path)).status).toBe(404)
  expect(await list()).toEqual({ letters: [], next: null })
  expect((await ask(node, 'GET /events/dead-letters?after=x')).status).toBe(400)
})

test('[EV-15] for everybody else, and where nobody was named, there is nothing there', async () => {
  const node = await givenOperator()
  await node.put('notes', { body: 'n' })
  await eventually(async () => expect((await node.sync.events.deadLetters()).letters).toHaveLength(1))
  const [letter] = (await node.sync.events.deadLetters()).letters
  const routes = [
    'GET /events/dead-letters',
    `POST /events/dead-letters/${letter?.id ?? ''}/retry`,
    `DELETE /events/dead-letters/${letter?.id ?? ''}`,
  ]
  for (const route of routes) expect((await ask(node, route, 'Bearer ann')).status).toBe(404)
  expect((await node.sync.events.deadLetters()).letters).toHaveLength(1)
  const closed = await nodes.start()
  for (const route of routes) expect((await ask(closed, route)).status).toBe(404)
})
