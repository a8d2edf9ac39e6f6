import { afterEach, beforeEach, expect, test } from 'vitest'

import { EventNodes, eventually, pass } from './given-events.ts'

let nodes: EventNodes
beforeEach(async () => {
  nodes = await EventNodes.open()
})
afterEach(() => nodes.close())

const dayMs = 86_400_000

async function deletions(): Promise<unknown> {
  const [row] = await nodes.database.rows(`SELECT count(*) AS n FROM holdfast_feed WHERE op = 'delete'`)
  return row?.['n']
}

test('[OP-40] deletions older than the days that were asked for are forgotten, again and again', async () => {
  const limits = { retentionIntervalMs: 40 }
  const today = await nodes.start({ retention: { tombstoneDays: 30 }, limits })
  await today.remove('notes', await today.put('notes', { body: 'n' }))
  await pass(150)
  expect(await deletions()).toBe(1)
  await today.close()
  // Each round is a day on at most.
  const later = await nodes.start({ retention: { tombstoneDays: 30 }, limits, aheadMs: 31 * dayMs })
  await eventually(async () => expect(await deletions()).toBe(0))
  await later.remove('notes', await later.put('notes', { body: 'n' }))
  expect(await deletions()).toBe(1)
})

test('[OP-40] without days nothing is forgotten, and days that are none are refused', async () => {
  const node = await nodes.start({ limits: { retentionIntervalMs: 20 }, aheadMs: -400 * dayMs })
  await node.remove('notes', await node.put('notes', { body: 'n' }))
  await nodes.start({ limits: { retentionIntervalMs: 20 } })
  await pass(150)
  expect(await deletions()).toBe(1)
  for (const tombstoneDays of [0, Number.NaN, -1])
    await expect(nodes.start({ retention: { tombstoneDays } })).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
    })
})

test('[OP-42] a clock that is a year ahead for a moment takes no deletion and no key of a request with it', async () => {
  let aheadMs = 0
  const node = await nodes.start({
    retention: { tombstoneDays: 30 },
    limits: { retentionIntervalMs: 400 },
    aheadMs: () => aheadMs,
  })
  await node.remove('notes', await node.put('notes', { body: 'n' }))
  const create = async (): Promise<string> => {
    const headers = { 'content-type': 'application/json', 'idempotency-key': '"one"' }
    const body = JSON.stringify({ body: 'once' })
    const answer = await node.sync.fetch(
      new Request('http://server/records/notes', { method: 'POST', headers, body }),
    )
    expect(answer.status).toBe(201)
    return answer.text()
  }
  const first = await create()
  await pass(1_000)
  aheadMs = 365 * dayMs
  await pass(1_000)
  aheadMs = 0
  expect(await create()).toBe(first)
  expect(await deletions()).toBe(1)
  const { horizon } = await node.sync.engine.collectTombstones({ olderThanMs: 30 * dayMs })
  expect(horizon).toBe(0)
})
